"""Datasets: what writing costs beside simulating, what a second core gives, and how quickly samples are read.

Recipe mitostack (3 planes of 128 x 128 at 109 nm, masks in 3D), shards of 100. "Simulated alone" makes the same samples
with all truths, those of the library's shapes too, and writes nothing; it takes turns with making the dataset, as one
worker process does with two, and ratios are medians of the turns'. The report and the card, which are made once for a
dataset, are left out. Reading takes images of 98 kB in random order into memory, from files that the system holds in
memory; the others hold them as one .npz per sample, and as HDF5 and Zarr with one uncompressed chunk per sample. Each
row is a process of its own. Recipe mitoseg is made once at its full size, with two workers, report and card, and all
files are verified.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import mishape
from benchmarks.dataset_run import SCENE, SHARD_SIZE, write_others
from benchmarks.results import Record, markdown
from benchmarks.single_thread import ENVIRONMENT

ROOT = Path(__file__).parents[1]
MADE, SHARED, READ, MITOSEG = 400, 3000, 2000, 7000
RUNS = 3
MAKING = [("turns", MADE), ("workers", SHARED)]
READING = ["read", "read_npz", "read_hdf5", "read_zarr"]
NAMES = {
    "read": "mishape's shards",
    "read_npz": "one .npz per sample",
    "read_hdf5": "HDF5",
    "read_zarr": "Zarr",
}


@pytest.fixture(scope="module")
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, int]:
    """A dataset, a folder with its images in other formats, and how many there are."""
    samples = 6 if request.config.getoption("benchmark_disable") else READ
    folder = tmp_path_factory.mktemp("datasets")
    spec = mishape.load_spec(SCENE).with_values(samples=samples, shard_size=SHARD_SIZE)
    dataset = mishape.generate(spec, folder / "dataset", workers=2)
    write_others(dataset, folder / "others")
    return folder / "dataset", folder / "others", samples


@pytest.mark.parametrize(("what", "samples"), MAKING)
def test_making(benchmark: BenchmarkFixture, what: str, samples: int) -> None:
    samples = 4 if benchmark.disabled else samples
    _measure(benchmark, "making", what, samples, rounds=1)


def test_mitoseg(benchmark: BenchmarkFixture) -> None:
    _measure(benchmark, "mitoseg", "mitoseg", 3 if benchmark.disabled else MITOSEG, rounds=1)


@pytest.mark.parametrize("what", READING)
def test_reading(benchmark: BenchmarkFixture, places: tuple[Path, Path, int], what: str) -> None:
    dataset, others, samples = places
    _measure(benchmark, "reading", what, samples, str(dataset), str(others))


def _measure(
    benchmark: BenchmarkFixture, series: str, what: str, samples: int, *places: str, rounds: int = RUNS
) -> None:
    results: list[dict[str, Any]] = []
    command = [sys.executable, "-m", "benchmarks.dataset_run", what, str(samples), *places]

    def job() -> None:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))

    benchmark.pedantic(job, rounds=1 if benchmark.disabled else rounds)
    benchmark.extra_info.update(series=series, what=what, samples=samples, results=results)


def section(records: list[Record]) -> list[str]:
    """Return the module's part of RESULTS.md."""
    found = {record["extra_info"]["what"]: record["extra_info"] for record in records}

    def rate(what: str, clock: str) -> float:
        return float(found[what]["samples"] / median(result[clock] for result in found[what]["results"]))

    rows = [*_turns(found["turns"], "cpu", {"bare": "simulated alone", "written": "written"})]
    rows += _turns(found["workers"], "wall", {"1": "1 worker process", "2": "2 worker processes"})
    reads = [
        [NAMES[what], f"{rate(what, 'cpu_s'):.4g}", f"{rate(what, 'cpu_s') / rate('read', 'cpu_s'):.2f}"]
        for what in READING
    ]
    (full,) = found["mitoseg"]["results"]
    return [
        " ".join((__doc__ or "").split()),
        "",
        *markdown(["mitostack", "clock", "samples per second", "ratio"], rows),
        "",
        *markdown(["random reads", "samples per second and core", "ratio"], reads),
        "",
        f"mitoseg: {found['mitoseg']['samples']} samples, {full['wall_s'] / 60:.1f} min, {full['bytes'] / 1e9:.2f} GB.",
    ]


def _turns(found: dict[str, Any], clock: str, names: dict[str, str]) -> list[list[str]]:
    """Return a row for each of two ways that took turns, with the median of the turns' ratios."""
    (times,) = found["results"]
    first, second = names
    ratio = median(a / b for a, b in zip(times[first], times[second], strict=True))
    rates = {name: found["samples"] / median(times[name]) for name in names}
    return [
        [names[first], clock, f"{rates[first]:.3g}", "1.00"],
        [names[second], clock, f"{rates[second]:.3g}", f"{ratio:.2f}"],
    ]
