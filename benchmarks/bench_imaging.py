"""How the cost of an image grows with emitters, pixels and planes, and what an operator costs.

Planes are 250 nm apart. Emitters are spread evenly over the field, and over 1 um of depth where planes or emitters are
counted (by planes, by emitters, by field); "by planes and depth" fills the depth of the stack, so that each further
plane also sees more emitters out of focus, further away. Operators are made beforehand, in the first image. Each row is
compared with the one above it: cost that grows no faster than the work has a smaller ratio of times than of work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from benchmarks.imaging_run import SCOPES, Stack, run
from benchmarks.results import Record, markdown, runs_s
from benchmarks.single_thread import ENVIRONMENT

ROOT = Path(__file__).parents[1]
SCALED = ("epi2", "con1")
BY_EMITTERS = [Stack(3, 128, 10**power) for power in range(2, 7)]
BY_FIELD = [Stack(3, 128 * 2**power, 5000 * 4**power) for power in range(5)]
BY_PLANES = [Stack(4**power, 128, 20_000, deep=0) for power in range(4)]
BY_DEPTH = [Stack(4**power, 128, 20_000) for power in range(4)]
SERIES = {"emitters": BY_EMITTERS, "field": BY_FIELD, "planes": BY_PLANES, "planes and depth": BY_DEPTH}
CASES = [
    pytest.param(scope, name, stack, id=f"{scope}, {name}: {stack}")
    for scope in SCALED
    for name, stacks in SERIES.items()
    for stack in stacks
]
SMALLEST = Stack(2, 16, 20)
LARGE = Stack(32, 512, 100_000)
APART = [(scope, Stack(3, 128, 5000)) for scope in SCOPES] + [(scope, LARGE) for scope in SCALED]
LONGEST_S = 0.5
"""An image that takes longer is made three times, any other nine times."""


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize(("scope", "series", "stack"), CASES)
def test_scaling(benchmark: BenchmarkFixture, scope: str, series: str, stack: Stack) -> None:
    stack = SMALLEST if benchmark.disabled else stack
    emitters, grid, microscope = stack.emitters(), stack.grid(), SCOPES[scope]
    with threadpool_limits(1):
        start = time.process_time()
        for _ in range(1 if benchmark.disabled else 2):
            start = time.process_time()
            microscope.image(emitters, grid)
        rounds = 3 if time.process_time() - start > LONGEST_S else 9
        image = benchmark.pedantic(microscope.image, (emitters, grid), rounds=rounds)
    assert image.shape == grid.shape
    assert 0 < image.sum() < emitters.photons.sum() * stack.planes
    benchmark.extra_info.update(scope=scope, series=series, stack=str(stack), work=stack.work(series))


@pytest.mark.parametrize(("scope", "stack"), APART, ids=[f"{scope}: {stack}" for scope, stack in APART])
def test_apart(benchmark: BenchmarkFixture, scope: str, stack: Stack) -> None:
    """In a new process: its first image and its memory."""
    if benchmark.disabled and scope not in SCALED:
        pytest.skip("only benchmarked")
    job, small = (run, SMALLEST) if benchmark.disabled else (run_apart, stack)
    result = benchmark.pedantic(job, (scope, small), rounds=1)
    assert result["memory_mib"] > 0
    benchmark.extra_info.update(result, scope=scope, series="apart", stack=str(stack))


def run_apart(scope: str, stack: Stack) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.imaging_run", scope, *map(str, stack)]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


# ---- what RESULTS.md says --------------------------------------------------------------------------------------------
def section(records: list[Record]) -> list[str]:
    """Return a table for each series of each microscope, then set-up and memory."""
    lines = [" ".join((__doc__ or "").partition("\n\n")[2].split()), ""]
    scaled = [record for record in records if record["extra_info"]["series"] != "apart"]
    for key, group in groupby(scaled, key=lambda record: [record["extra_info"][name] for name in ("scope", "series")]):
        lines += [f"### {key[0]}, by {key[1]}", "", *_series(list(group), key[1]), ""]
    apart = [record for record in records if record["extra_info"]["series"] == "apart"]
    return [*lines, "### Set-up and memory, each in a new process", "", *_apart(apart)]


def _series(records: list[Record], series: str) -> list[str]:
    unit = {"emitters": "emitter", "field": "pixel"}.get(series, "plane")
    rows, before = [], None
    for record in records:
        now = np.array([median(runs_s(record)), record["extra_info"]["work"]])
        ratios = ["", ""] if before is None else [f"{ratio:.2f}" for ratio in now / before]
        rows.append([record["extra_info"]["stack"], f"{1e3 * now[0]:.3g}", *ratios, f"{1e6 * now[0] / now[1]:.3g}"])
        before = now
    return markdown(["", "CPU ms", "times the one above", "its work", f"us for each {unit}"], rows)


def _apart(records: list[Record]) -> list[str]:
    rows = []
    for record in records:
        info = record["extra_info"]
        numbers = [f"{1e3 * info['set_up_s']:.3g}", f"{1e3 * median(info['cpu_s']):.3g}", f"{info['memory_mib']:.0f}"]
        rows.append([f"{info['scope']}: {info['stack']}", *numbers])
    return markdown(["", "set-up, CPU ms", "an image, CPU ms", "most memory, MiB"], rows)
