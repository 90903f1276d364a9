"""Error against CPU time on the same work: this project, ways written by hand, microsim and DeepTrack2.

The work is that of `benchmarks.peers.work`: 3000 emitters, 3 planes of 128 x 128 pixels. Every way runs in a process of
its own on one thread. microsim and DeepTrack2 may live in an environment of their own (microsim wants numpy below 2):

    python -m venv peers && peers/bin/pip install microsim==0.0.12.post0 deeptrack==2.0.2
    MISHAPE_PEERS=peers/bin/python python -m benchmarks.results

Where they are missing their rows are skipped. Errors are the largest difference over the peak. A peer's PSF is not
ours (scalar, or cut off), so its images are scaled to fit best and compared with the exact sum, and again with its own
finest sampling.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from benchmarks.peers import by_hand, with_deeptrack, with_microsim, with_mishape
from benchmarks.peers.child import ABSENT
from benchmarks.peers.plot import Point, plotted
from benchmarks.peers.task import timed
from benchmarks.peers.work import Image, Work, error
from benchmarks.results import Record, markdown, runs_s
from benchmarks.single_thread import ENVIRONMENT

ROOT = Path(__file__).parents[1]
PLOT = ROOT / "benchmarks" / "peers.svg"
MODULES = {
    "with_mishape": with_mishape,
    "by_hand": by_hand,
    "with_microsim": with_microsim,
    "with_deeptrack": with_deeptrack,
}
OTHERS = ("with_microsim", "with_deeptrack")
"""Packages that may have an environment of their own."""
LARGEST = {"mishape: preview": 0.01, "mishape: standard": 0.005, "mishape: exact": 1e-3}
"""Errors that this project promises."""
SLACK = 2
"""By which the errors of a dozen emitters, most of them out of focus, may be larger."""
HEADS = ["", "error, %", "to its own finest, %", "CPU ms", "set-up ms", "our way as good, ms", "ratio"]
ABOUT = """3000 emitters on a tube, 3 planes of 128 x 128 pixels: the CPU time of one image, and apart from it the
set-up for the optics. Errors are the largest difference to the exact sum over its peak; those of microsim and
DeepTrack2, whose PSFs are not ours, after scaling to fit best, and beside it to their own finest sampling: the smaller
one counts. The ratio is to our fastest way that is as good."""
PATHS = {"core": "0"} | ({"fast": "1"} if find_spec("numba") else {})
"""Values of MISHAPE_FAST."""


@dataclass(frozen=True)
class Result:
    """A way's image, the time of each run and of the set-up in s, and the packages it ran with."""

    image: Image
    cpu_s: list[float]
    set_up_s: float
    versions: str


@cache
def made(module: str, modality: str, name: str, path: str) -> Result:
    """Make the image in a process of its own, or skip the test where the package is missing."""
    work = Work.of(modality)
    python = os.environ.get("MISHAPE_PEERS", sys.executable) if module in OTHERS else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "task.npz", Path(folder) / "result.npz"
        work.task().save(given)
        command = [python, "-m", "benchmarks.peers.child", module, name, str(given), str(result)]
        environment = {**os.environ, **ENVIRONMENT, **({"MISHAPE_FAST": PATHS[path]} if path else {})}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode == ABSENT:
            pytest.skip(f"{done.stdout.strip()} is not installed for {Path(python).name}: see bench_peers.py")
        assert done.returncode == 0, done.stderr
        with np.load(result, allow_pickle=False) as found:
            times, set_up = found["cpu_s"].tolist(), float(found["set_up_s"])
            return Result(found["image"], times, set_up, ", ".join(found["versions"].tolist()))


def made_small(module: str, modality: str, name: str) -> Result:
    """Make a small image in this process: what is tested where nothing is benchmarked."""
    if module in OTHERS:
        pytest.skip("other packages are compared with --benchmark-enable alone")
    with threadpool_limits(1):
        return Result(*timed(MODULES[module].WAYS[modality][name], _small(modality).task()), "")


def _small(modality: str) -> Work:
    return Work.of(modality, emitters=12, pixels=20)


@cache
def exact(modality: str, small: bool) -> Image:
    return (_small(modality) if small else Work.of(modality)).exact()


CASES = [
    pytest.param(module, modality, name, path, id=f"{modality}, {name} {path}".strip())
    for modality in ("widefield", "confocal")
    for module, ways in MODULES.items()
    for name in ways.WAYS.get(modality, {})
    for path in (PATHS if module == "with_mishape" else [""])
]


@pytest.mark.parametrize(("module", "modality", "name", "path"), CASES)
def test_way(benchmark: BenchmarkFixture, module: str, modality: str, name: str, path: str) -> None:
    small = bool(benchmark.disabled)
    given = (module, modality, name) if small else (module, modality, name, path)
    result: Result = benchmark.pedantic(made_small if small else made, given, rounds=1)
    scaled = module in OTHERS
    of_exact = error(result.image, exact(modality, small), scaled)
    ways = MODULES[module].WAYS[modality]
    limit = ways[name].limit
    of_limit = error(result.image, made(module, modality, limit, "").image, scaled=True) if limit else None
    assert of_exact < LARGEST.get(name, 0.5) * (SLACK if small else 1)
    benchmark.extra_info.update(
        modality=modality,
        module=module,
        way=name.replace(":", f", {path}:") if path else name,
        of_exact=of_exact,
        of_limit=of_limit,
        set_up_s=result.set_up_s,
        versions=result.versions,
        cpu_s=result.cpu_s,
        runs=ways[name].runs,
    )


# ---- what RESULTS.md says --------------------------------------------------------------------------------------------
def section(records: list[Record]) -> list[str]:
    """Return the tables of both modalities, and draw the plot."""
    lines = [ABOUT, ""]
    points = []
    for modality in ("widefield", "confocal"):
        mine = [record for record in records if record["extra_info"]["modality"] == modality]
        lines += [f"### {modality}", "", *_table(mine), ""]
        points += [_point(record) for record in mine]
    PLOT.write_text(plotted(points), encoding="utf-8")
    found = sorted({record["extra_info"]["versions"] for record in records})
    return [*lines, f"![Error against CPU time]({PLOT.name})", "", "Run with " + "; ".join(found) + "."]


def _table(records: list[Record]) -> list[str]:
    return markdown(HEADS, [_row(record, records) for record in records])


def _row(record: Record, records: list[Record]) -> list[str]:
    info = record["extra_info"]
    time_ms = 1e3 * median(runs_s(record))
    ours = [1e3 * median(runs_s(other)) for other in records if _is_ours(other) and _error(other) <= _error(record)]
    compared = ["", ""] if _is_ours(record) or not ours else [f"{min(ours):.3g}", f"{time_ms / min(ours):.3g}"]
    of_limit = "" if info["of_limit"] is None else f"{100 * info['of_limit']:.2g}"
    set_up = f"{1e3 * info['set_up_s']:.3g}" if info["runs"] else "within"
    numbers = [f"{100 * info['of_exact']:.2g}", of_limit, f"{time_ms:.3g}", set_up]
    return [info["way"], *numbers, *compared]


def _is_ours(record: Record) -> bool:
    return bool(record["extra_info"]["module"] == "with_mishape")


def _error(record: Record) -> float:
    """Return the error that counts: the smaller one where there are two."""
    info: dict[str, Any] = record["extra_info"]
    return float(min(error for error in (info["of_exact"], info["of_limit"]) if error is not None))


def _point(record: Record) -> Point:
    info = record["extra_info"]
    return Point(info["modality"], info["way"], 1e3 * median(runs_s(record)), 100 * _error(record))
