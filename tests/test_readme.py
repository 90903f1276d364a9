"""The README does what it says: every command, scene and script in it is run as written."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import mishape
from mishape.cli import main

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def blocks(language: str, containing: str = "") -> list[str]:
    found = [re.sub(rf"^{indent}", "", body, flags=re.M) for indent, name, body in BLOCKS if name == language]
    return [body for body in found if containing in body]


def run(command: str, folder: Path) -> None:
    words = shlex.split(command)
    program = {"mishape": [sys.executable, "-m", "mishape"], "python": [sys.executable]}[words[0]]
    done = subprocess.run([*program, *words[1:]], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what a clone has."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def test_the_dataset_of_the_readme(folder: Path) -> None:
    (scene,) = blocks("yaml")
    (folder / "scene.yaml").write_text(scene)
    (commands,) = blocks("", "mishape check scene.yaml")
    for command in commands.splitlines():
        run(command, folder)
    for script in blocks("python", "import mishape\n"):
        done = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_error_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (scene,) = blocks("yaml")
    (error,) = blocks("", "error: scene.yaml")
    monkeypatch.chdir(tmp_path)
    Path("scene.yaml").write_text(scene.replace("{kind: epi, preset: epi1}", "{kind: epi, preset: epi1, na: 3}"))
    with pytest.raises(SystemExit) as stop:
        main(["check", "scene.yaml"])
    assert stop.value.code == 2
    shown = [" ".join(line.split()) for line in capsys.readouterr().err.splitlines()]
    assert shown == [" ".join(line.split()) for line in error.splitlines()]


def test_the_microscope_of_the_readme(folder: Path) -> None:
    from mishape.engine import registry
    from mishape.testing import check_microscope

    (source,) = blocks("python", "class Blur")
    (folder / "blur.py").write_text(source)
    (folder / "my_scene.yaml").write_text(
        (ROOT / "examples/01_one_tube.yaml").read_text().replace("kind: epi, preset: epi2", "kind: blur")
    )
    run("mishape render my_scene.yaml --plugin blur.py", folder)
    registry.add_file(folder / "blur.py")
    try:
        check_microscope(registry.load("microscopes", "blur")())
    finally:
        registry._from_files.pop(("microscopes", "blur"))
        registry._files.remove((folder / "blur.py").resolve())
        registry.load.cache_clear()


def test_the_other_commands_of_the_readme(folder: Path) -> None:
    (commands,) = blocks("", "mishape generate examples/03")
    for command in commands.splitlines():
        run(command, folder)
    (folder / "docs").mkdir()
    run("mishape render examples/02_real_mitochondrion.yaml -o docs/pictures", folder)
    assert (folder / "docs/pictures/02_real_mitochondrion-000000.png").is_file()
    run("mishape plugins epi", folder)


def test_the_pictures_are_there_and_belong_to_commands_of_the_readme() -> None:
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", TEXT)
    assert len(pictures) == 2
    for picture in pictures:
        assert (ROOT / picture).is_file()
        example = Path(picture).name.removesuffix("-000000.png")
        assert f"mishape render examples/{example}.yaml -o docs/pictures" in TEXT


def test_what_the_readme_names_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
    for name in re.findall(r"mishape\.(\w+)\(", TEXT):
        assert hasattr(mishape, name) or name == "testing", name
