"""Stacks per second of the whole path on one core: rotate, label, image, detect, write.

3 planes of 128 x 128 pixels, 5000 emitters on average, scmos on a background of 100, one shard by `mishape.generate` in
one process, for each code path in a process of its own. Shapes come from the bundled library, whose meshes are read
once, at 15 037 emitters per um^2; or four times as large at a sixteenth of that, so that emitters reach 1.6 um from
focus. Beside it stands what numpy takes for a Poisson number of mean 100, measured between the images, and the rate
scaled to a machine that takes 70 ns for one. The report, which is made once for a dataset, is left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.pipeline_run import SHAPES, VIEWS, run
from benchmarks.results import Record, markdown, runs_s
from benchmarks.single_thread import ENVIRONMENT

ROOT = Path(__file__).parents[1]
SAMPLES, REPEATS = 500, 3
POISSON_NS = 70.0
"""What a Poisson number of mean 100 costs on the machine that rates are scaled to."""
PATHS = {"core": "0"} | ({"fast": "1"} if find_spec("numba") else {})
"""Values of MISHAPE_FAST."""
STAGES = ("rotate + emit", "image", "detect", "write + engine")


def run_apart(view: str, shape: str, path: str) -> dict[str, Any]:
    """Run in a new process: a process keeps to one code path."""
    command = [sys.executable, "-m", "benchmarks.pipeline_run", view, shape, str(SAMPLES), str(REPEATS)]
    environment = {**os.environ, **ENVIRONMENT, "MISHAPE_FAST": PATHS[path]}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


CASES = [(view, shape, path) for view in VIEWS for shape in SHAPES for path in PATHS]


@pytest.mark.parametrize(("view", "shape", "path"), CASES)
def test_pipeline(benchmark: BenchmarkFixture, view: str, shape: str, path: str) -> None:
    small = bool(benchmark.disabled)
    if small and (view, shape, path) != CASES[0]:
        pytest.skip("only benchmarked")
    job, given = (run, (view, shape, 2, 1)) if small else (run_apart, (view, shape, path))
    result = benchmark.pedantic(job, given, rounds=1)
    assert 1000 < result["emitters"] < 15_000
    assert 0 < sum(result["stages_s"].values()) < median(result["cpu_s"])
    benchmark.extra_info.update(result, row=f"{view}, {shape}, {path}")


def section(records: list[Record]) -> list[str]:
    """Return the rates and the budget of each stage."""
    heads = ["", "emitters", "stacks/s", "Poisson, ns", f"stacks/s at {POISSON_NS:g} ns", "ms", *STAGES]
    about = " ".join((__doc__ or "").partition("\n\n")[2].split())
    return [about, "", *markdown(heads, [_row(record) for record in records])]


def _row(record: Record) -> list[str]:
    info = record["extra_info"]
    each_s, stages = mean(runs_s(record)), info["stages_s"]
    stages = {**stages, "write + engine": each_s - sum(stages.values())}
    rate, poisson_ns = 1 / each_s, info["poisson_ns"]
    rates = [f"{rate:.0f}", f"{poisson_ns:.0f}", f"{rate * poisson_ns / POISSON_NS:.0f}"]
    times = [f"{1e3 * seconds:.2f}" for seconds in (each_s, *(stages[name] for name in STAGES))]
    return [info["row"], f"{info['emitters']:.0f}", *rates, *times]
