"""What several test files share."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mishape.cli import main
from mishape.engine import registry
from mishape.engine.fast import SWITCH, code_path

ROOT = Path(__file__).parents[1]
_measured: list[dict[str, Any]] = []
Run = Callable[..., tuple[int, str, str]]
"""The fixture `run`."""


class Accuracy:
    """Asserts a number of the list of accuracy tests, and keeps it for the README's table."""

    def __init__(self, record_property: Callable[[str, object], None]) -> None:
        self.record = record_property

    def __call__(
        self,
        test: int,
        claim: str,
        found: float,
        expected: float = 0.0,
        *,
        rel: float | None = None,
        abs: float | None = None,
        above: float | None = None,
        case: str = "",
    ) -> None:
        """Assert that a number lies within its tolerance of the expected one, or above its limit."""
        given = {"test": test, "claim": claim, "case": case, "rel": rel, "abs": abs, "above": above}
        self.record("accuracy", {**given, "found": float(found), "expected": float(expected)})
        if above is not None:
            assert found > above, f"test {test}, {claim} {case}"
            return
        assert float(found) == pytest.approx(expected, rel=rel or 0, abs=abs or 0), f"test {test}, {claim} {case}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accuracy", metavar="FILE", help="write what the accuracy tests measured to this JSON file")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect what tests measured, in whichever process they ran."""
    if report.when == "call":
        _measured.extend(value for name, value in report.user_properties if name == "accuracy")


def pytest_sessionfinish(session: pytest.Session) -> None:
    file = session.config.getoption("--accuracy")
    if file and not hasattr(session.config, "workerinput"):
        Path(file).write_text(json.dumps(_measured, indent=1))


@pytest.fixture
def accuracy(record_property: Callable[[str, object], None]) -> Accuracy:
    """Return what asserts a number and keeps it."""
    return Accuracy(record_property)


@pytest.fixture(autouse=True)
def _no_failures_of_other_tests() -> None:
    """Begin with an empty ledger of plugins that failed: it is a process's, and pytest runs many tests in one."""
    registry.ledger.clear()


@pytest.fixture(scope="session")
def mishape_data() -> Path:
    """The folder of third-party data beside the project; tests that need it are skipped without it."""
    folder = os.environ.get("MISHAPE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set MISHAPE_DATA to the folder of third-party data to run this test")
    return Path(folder)


@pytest.fixture
def sphere_scene() -> dict[str, Any]:
    """A small, fast scene: two spheres that move from sample to sample."""
    return {
        "mishape": 1,
        "seed": 4,
        "samples": 5,
        "objects": [
            {
                "count": 2,
                "shape": {"kind": "implicit", "form": "sphere", "radius_nm": {"$uniform": [150, 250]}},
                "pose": {"center_nm": [{"$uniform": [-500, 500]}, {"$uniform": [-500, 500]}, 0]},
                "labeler": {"kind": "surface", "density_per_um2": 300},
            }
        ],
        "views": {
            "epi": {
                "grid": {"shape": [2, 24, 20], "pixel_nm": 100, "z_step_nm": 300},
                "microscope": {"kind": "epi", "preset": "epi2"},
                "noise": {"kind": "poisson", "background": 10},
            }
        },
        "truths": {"masks_2d": {}, "emitters": {}},
        "dataset": {"shard_size": 2},
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own, without another test's plugin files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_files", [])
    monkeypatch.setattr(registry, "_from_files", {})
    registry.load.cache_clear()
    yield tmp_path
    registry.load.cache_clear()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process; return its exit code, output and messages."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def use_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return what makes this process run another code path until the test ends; ``fast`` is skipped without numba."""

    def choose(path: str) -> None:
        if path == "fast":
            pytest.importorskip("numba")
        monkeypatch.setenv(SWITCH, str(int(path == "fast")))
        code_path.cache_clear()

    yield choose
    code_path.cache_clear()


@pytest.fixture(params=["core", "fast"])
def each_path(request: pytest.FixtureRequest, use_path: Callable[[str], None]) -> str:
    """Run the test on each code path in turn; ``fast`` is skipped without numba."""
    use_path(request.param)
    return str(request.param)


def module_of(path: Path) -> ModuleType:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
