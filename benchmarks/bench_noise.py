"""CPU time of noise on one core: Poisson numbers beside numpy's, and whole detectors, on each code path.

3 planes of 128 x 128 pixels: even light for the Poisson numbers, a spot of 300 photons on a background of 100 (10 for
the photomultiplier) for the detectors. Photons are float32, as imaging makes them. The code for devices was run on no
GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.results import Record, markdown, runs_s
from mishape.engine.fast import SWITCH, code_path
from mishape.engine.poisson import poisson
from mishape.plugins.noises.emccd import Emccd
from mishape.plugins.noises.pmt import Pmt
from mishape.plugins.noises.poisson import Poisson
from mishape.plugins.noises.scmos import Scmos

SHAPE = (3, 128, 128)
PIXELS = 3 * 128 * 128
PATHS = {"core": "0"} | ({"fast": "1"} if find_spec("numba") else {})
"""Values of MISHAPE_FAST."""
LAWS = [(mean, way) for mean in (1, 10, 100, 1000) for way in ("numpy", *PATHS)]
DETECTORS = {
    "scmos": Scmos(background=100),
    "poisson": Poisson(background=100),
    "poisson, SBR 3": Poisson(background=100, sbr=3),
    "emccd": Emccd(background=100),
    "pmt, analogue": Pmt(background=10),
    "pmt, counting": Pmt(background=10, mode="counting"),
}
Draw = Callable[[NDArray[np.float32], np.random.Generator], NDArray[Any]]

pytestmark = pytest.mark.benchmark(timer=time.process_time)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return what makes this process run a code path until the benchmark ends."""

    def choose(path: str) -> None:
        monkeypatch.setenv(SWITCH, PATHS[path])
        code_path.cache_clear()

    yield choose
    code_path.cache_clear()


def spot() -> NDArray[np.float32]:
    y, x = np.mgrid[-64:64, -64:64]
    return np.asarray(np.multiply.outer([0.5, 1, 0.25], 300 * np.exp(-(x**2 + y**2) / 800)), dtype=np.float32)


def timed(benchmark: BenchmarkFixture, draw: Draw, photons: NDArray[np.float32]) -> NDArray[Any]:
    """What was drawn first; all else is made once before the clock starts."""
    rng = np.random.default_rng(1)
    first = draw(photons, rng)
    benchmark.pedantic(draw, (photons, rng), rounds=1 if benchmark.disabled else 50)
    return first


def _numpys(means: Any, rng: np.random.Generator) -> Any:
    return rng.poisson(means)


@pytest.mark.parametrize(("mean", "way"), LAWS, ids=[f"Poisson, mean {mean}, {way}" for mean, way in LAWS])
def test_poisson(benchmark: BenchmarkFixture, use: Callable[[str], None], mean: int, way: str) -> None:
    draw: Draw = _numpys if way == "numpy" else poisson
    if way != "numpy":
        use(way)
    counts = timed(benchmark, draw, np.full(SHAPE, mean, dtype=np.float32))
    assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / PIXELS))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", DETECTORS)
def test_detector(benchmark: BenchmarkFixture, use: Callable[[str], None], name: str, path: str) -> None:
    use(path)
    assert timed(benchmark, DETECTORS[name].detect, spot()).shape == SHAPE


def section(records: list[Record]) -> list[str]:
    """Return a table of what was drawn, each row with its ratio to the first of its group."""
    rows, group, first = [], "", 1.0
    for record in records:
        name, _, path = (record["param"] or record["name"]).replace("-", ", ").rpartition(", ")
        middle = median(runs_s(record))
        if name != group:
            group, first = name, middle
        rows.append([name, path, f"{middle * 1e3:.2f}", f"{middle / PIXELS * 1e9:.1f}", f"{first / middle:.1f}"])
    return markdown(["3 x 128 x 128", "code", "median, ms", "ns / pixel", "times as fast as its first row"], rows)
