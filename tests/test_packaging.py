"""What a user installs: the wheel's content, the wheel alone without a network, and `dev.py` in a fresh clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import module_of

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OFFLINE = '''\
"""Ends this process when it wants a network."""
import os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        os.write(2, f"{event} {arguments}".encode())
        os._exit(97)

sys.addaudithook(refuse)
'''


def call(command: list[str | Path], folder: Path, **variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the environment's own hatchling: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("dist")
    call([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], ROOT)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_its_data_and_its_licences_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    info = f"mishape-{PROJECT['version']}.dist-info"
    assert wheel.name == f"mishape-{PROJECT['version']}-py3-none-any.whl"
    assert {name.split("/")[0] for name in names} == {"mishape", info}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "mishape").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources
    library = "mishape/plugins/shapes/libraries/neuropil"
    data = {f"{library}/{name}" for name in ("LICENSE", "library.json", "index.jsonl", "vertices.npy", "faces.npy")}
    data |= {"mishape/py.typed", "mishape/plugins/verbs/demo.yaml"}
    assert {name for name in names if name.startswith("mishape/")} == sources | data
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/{library}/LICENSE"} <= set(names)


def test_data_under_other_licences_stay_in_the_clone(tmp_path: Path) -> None:
    """UroCell's volume is for tests in a clone, and CC BY-NC-SA: it is in no distribution."""
    assert (ROOT / "tests/data/urocell/fib1-1-0-3.nii.gz").is_file()
    assert "CC BY-NC-SA 4.0" in (ROOT / "tests/data/urocell/README.md").read_text(encoding="utf-8")
    call([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path], ROOT)
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as sdist:
        names = sdist.getnames()
    assert any(name.endswith("tests/test_em_prepare.py") for name in names)
    assert not any("urocell" in name for name in names)


def test_the_wheel_says_what_the_project_says(wheel: Path) -> None:
    def text(name: str) -> str:
        return zipfile.ZipFile(wheel).read(f"mishape-{PROJECT['version']}.dist-info/{name}").decode()

    entries = ConfigParser(delimiters="=")
    entries.optionxform = str  # type: ignore[assignment,method-assign]
    entries.read_string(text("entry_points.txt"))
    expected = {"console_scripts": PROJECT["scripts"], **PROJECT["entry-points"]}
    assert {group: dict(entries[group]) for group in entries.sections()} == expected
    families = "shapes labelers libraries microscopes noises truths executors exporters models segmenters hooks cli"
    assert set(expected) == {"console_scripts", *(f"mishape.{family}" for family in families.split())}
    assert text("licenses/LICENSE").startswith("MIT License")
    library = text("licenses/mishape/plugins/shapes/libraries/neuropil/LICENSE")
    assert "CC BY 4.0" in library
    assert "Garcia" in library
    metadata = text("METADATA")
    assert "License-Expression: MIT\n" in metadata
    extras = set(re.findall("^Provides-Extra: (.*)$", metadata, re.M))
    assert extras == {"fast", "gpu12", "gpu13", "learn", "em", "zarr", "dask", "test", "dev", "peers"}


def test_the_wheel_alone_makes_the_demo_without_a_network(wheel: Path, tmp_path: Path) -> None:
    site, guard, elsewhere = (tmp_path / name for name in ("site", "guard", "elsewhere"))
    zipfile.ZipFile(wheel).extractall(site)  # which is what installing a wheel of pure Python without scripts does
    for folder in (guard, elsewhere):
        folder.mkdir()
    (guard / "sitecustomize.py").write_text(OFFLINE)
    closed = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    variables = {**closed, "PYTHONPATH": os.pathsep.join(map(str, (guard, site)))}
    python: list[str | Path] = [sys.executable, "-P"]  # without the current folder on the path

    where = call([*python, "-c", "import mishape; print(mishape.__file__)"], elsewhere, **variables)
    assert Path(where.strip()) == site / "mishape/__init__.py"
    asked = "import socket; socket.create_connection(('127.0.0.1', 9))"
    assert subprocess.run([*python, "-c", asked], env={**os.environ, **variables}).returncode == 97
    said = call([*python, "-m", "mishape", "demo"], elsewhere, **variables)
    report = elsewhere / "mishape-demo/report.html"
    assert said == f"12 sample(s) in mishape-demo\nreport: {report.resolve()}\n"
    assert report.stat().st_size > 10_000
    said = call([*python, "-m", "mishape", "verify", "mishape-demo"], elsewhere, **variables)
    assert said.startswith("mishape-demo is whole: ")


class Clone:
    """`dev.py` in a fresh folder, with recorded commands in place of real ones."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.commands = folder, list[list[str]]()
        self.fails: set[str] = set()
        self.uv: str | None = None
        self.python = folder / ".venv/bin/python"
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)
        self.dev = module_of(ROOT / "dev.py")
        stand_ins = {
            "ROOT": folder,
            "VENV": folder / ".venv",
            "PYTHON": self.python,
            "STAMP": folder / ".venv/mishape-env.txt",
            "INSTALL": ["-e", "."],
            "subprocess": SimpleNamespace(run=self.record),
            "shutil": SimpleNamespace(which=lambda name: self.uv, rmtree=shutil.rmtree),
        }
        for name, value in stand_ins.items():
            monkeypatch.setattr(self.dev, name, value)

    def record(self, command: list[str], cwd: Path) -> SimpleNamespace:
        assert cwd == self.folder
        self.commands.append(command)
        failed = bool(self.fails & set(command))
        if "venv" in command and not failed:
            self.python.parent.mkdir(parents=True, exist_ok=True)
            self.python.touch()
        return SimpleNamespace(returncode=7 if failed else 0)

    def run(self, *arguments: str) -> list[list[str]]:
        """Do one job and return the commands that it gave."""
        self.commands.clear()
        assert self.dev.main([*arguments]) == 0
        return [*self.commands]

    def complaint(self) -> str:
        with pytest.raises(SystemExit) as stop:
            self.dev.main(["demo"])
        assert isinstance(stop.value.code, str), "a text, with which Python exits with 1"
        return stop.value.code


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    return Clone(tmp_path, monkeypatch)


def test_the_first_call_installs_and_the_second_does_not(clone: Clone) -> None:
    python, demo = str(clone.python), [str(clone.python), "-m", "mishape", "demo"]
    install = [python, "-m", "pip", "install", "-e", "."]
    make = [sys.executable, "-m", "venv", str(clone.folder / ".venv")]  # mends one that was left half made, too
    assert clone.run("demo") == [make, install, demo]
    assert clone.run("demo") == [demo]
    assert clone.run("env") == []
    (clone.folder / "pyproject.toml").write_text("[project]\n")
    assert clone.run("demo") == [make, install, demo]
    clone.python.unlink()
    assert clone.run("demo") == [make, install, demo]


def test_another_python_makes_a_new_environment(clone: Clone) -> None:
    clone.run("env")
    old = clone.folder / ".venv/old.txt"
    old.touch()
    stamp = clone.folder / ".venv/mishape-env.txt"
    stamp.write_text("3.10.1 " + stamp.read_text().split()[1])
    assert [command[2] for command in clone.run("env")] == ["venv", "pip"]
    assert not old.exists()


def test_uv_is_used_where_it_is_installed(clone: Clone) -> None:
    clone.uv = "/usr/bin/uv"
    make, install = clone.run("env")
    assert make == ["uv", "venv", "--python", sys.executable, str(clone.folder / ".venv")]
    assert install == ["uv", "pip", "install", "--python", str(clone.python), "-e", "."]
    assert clone.run("env") == []


def test_a_failed_installation_says_so_and_is_begun_anew(clone: Clone) -> None:
    clone.fails = {"pip"}
    command = f"{clone.python} -m pip install -e ."
    said = f"pip could not install the dependencies (`{command}` ended with 7): the lines above say why."
    assert clone.complaint() == said
    assert clone.complaint() == said, "a second call tries again"
    clone.fails = {"venv"}
    shutil.rmtree(clone.folder / ".venv")
    assert clone.complaint().startswith("Python could not make .venv (`")
    clone.uv, clone.fails = "/usr/bin/uv", {"uv"}
    assert clone.complaint().startswith("uv could not make .venv (`uv venv --python ")


def test_what_is_missing_is_named(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SimpleNamespace(find_spec=lambda name: None if name == "ensurepip" else name)
    monkeypatch.setattr(clone.dev, "importlib", SimpleNamespace(util=spec))
    version = "{}.{}".format(*sys.version_info)
    assert clone.complaint() == (
        "Python's venv module is missing, and uv is not installed: install one of them, for example "
        f"`sudo apt install python{version}-venv` on Debian and Ubuntu, and try again."
    )
    stand_in = SimpleNamespace(version_info=(3, 10, 4), exit=sys.exit)
    monkeypatch.setattr(clone.dev, "sys", stand_in)
    assert clone.complaint() == (
        "mishape needs Python 3.11 or newer, this is 3.10: run dev.py with a newer one, for example "
        "`python3.11 dev.py demo`."
    )
    assert clone.commands == []


def test_jobs_give_the_commands_that_their_page_says(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    def jobs(*arguments: str) -> list[str]:
        return [" ".join(command[2:]) for command in clone.run(*arguments)]

    clone.run("env")
    clone.dev.os = SimpleNamespace(sched_getaffinity=lambda process: {0, 1, 2})
    assert jobs("test") == ["pytest -m not long -n 3"]
    assert jobs("test", "-k", "psf") == ["pytest -m not long -n 3 -k psf"]
    assert jobs("test", "-m", "long") == ["pytest -n 3 -m long"]
    assert jobs("test", "--pdb") == ["pytest -m not long --pdb"]
    assert jobs("test", "benchmarks", "--benchmark-enable", "-m", "") == ["pytest benchmarks --benchmark-enable -m "]
    assert jobs("lint") == ["ruff check", "ruff format --check"]
    assert jobs("types") == ["mypy"]
    capsys.readouterr()
    assert [clone.dev.main([]), clone.dev.main(["dmeo"]), clone.dev.main(["--help"])] == [2, 2, 0]
    assert capsys.readouterr().out.count("python3 dev.py demo") == 3


@pytest.mark.long
def test_a_fresh_clone_needs_one_command(tmp_path: Path) -> None:
    """The commands of the README in a real clone; what pip or uv download is downloaded."""
    call(["git", "clone", "--quiet", ROOT, "mishape"], tmp_path)
    python = getattr(sys, "_base_executable", sys.executable)
    first = call([python, "dev.py", "demo"], tmp_path / "mishape", PYTHONPATH="")
    assert first.startswith("Setting up .venv: the first time takes a few minutes, later calls none.\n")
    assert "12 sample(s) in mishape-demo\n" in first
    again = call([python, "dev.py", "demo"], tmp_path / "mishape", PYTHONPATH="")
    assert again.startswith("12 sample(s) in mishape-demo\n"), "no installer ran"
    assert " passed" in call([python, "dev.py", "test", "tests/test_yaml.py"], tmp_path / "mishape", PYTHONPATH="")
