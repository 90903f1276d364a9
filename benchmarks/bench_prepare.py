"""Label volumes to libraries: how quickly, in how much memory, beside what plain tools take for less.

Synthetic volumes of uint32 labels in Zarr (chunks of 128^3, zstd; `benchmarks.synthetic_labels`): rods of mitochondrial
size in voxels of 8 nm, prepared at 24 nm. Each row is a new process of one worker; "read" is tensorstore alone,
"components" is tensorstore and cc3d's connected components and statistics of each block, as a script would do them,
without joining what spans blocks and without shapes. "scan" is our blocks, which the shapes are then made of. The real
volume is 256^3 with 83 instances (UroCell fib1-3-3-0), where MISHAPE_DATA has it. Mvoxel/s are those of the file.
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

from benchmarks.prepare_run import run
from benchmarks.results import Record, markdown, runs_s
from benchmarks.single_thread import ENVIRONMENT
from benchmarks.synthetic_labels import TILE, write_labels
from mishape.em.prepare import prepare
from mishape.em.settings import Making
from mishape.engine import sampled
from mishape.engine.columns import inside_mesh

ROOT = Path(__file__).parents[1]
CASES = [(512, what) for what in ("read", "components", "scan", "prepare")] + [(2048, "read"), (2048, "prepare")]
LIVER_VOXELS = 340e9
"""What is extrapolated to: the liver volume that the MiShape paper took its shapes from."""
SMALL = ROOT / "tests/data/urocell/fib1-1-0-3.nii.gz"
REAL = Path(os.environ.get("MISHAPE_DATA", "")) / "urocell/mito_instance/fib1-3-3-0.nii.gz"
MAKING = Making(voxel_nm=(16.0, 16.0, 15.0))


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Volumes that are written when they are first asked for."""
    folder = tmp_path_factory.mktemp("labels")

    class Volumes(dict[int, Path]):
        def __missing__(self, size: int) -> Path:
            self[size] = folder / f"rods{size}.zarr"
            write_labels(self[size], size)
            return self[size]

    return Volumes()


@pytest.mark.parametrize(("size", "what"), CASES)
def test_synthetic(benchmark: BenchmarkFixture, volumes: dict[int, Path], size: int, what: str) -> None:
    if benchmark.disabled and size > CASES[0][0]:
        pytest.skip("only benchmarked")
    job, volume = (run, volumes[TILE]) if benchmark.disabled else (run_apart, volumes[size])
    result = benchmark.pedantic(job, (what, volume), rounds=1)
    assert result.get("watertight", True)
    benchmark.extra_info.update(result, series="synthetic", size=size, what=what)


def run_apart(what: str, volume: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.prepare_run", what, str(volume)]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.benchmark(timer=time.process_time)
def test_real(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """256^3 voxels, from the packed file to the library."""
    volume = REAL if REAL.is_file() and not benchmark.disabled else SMALL
    folders = iter(range(100))
    with threadpool_limits(1):
        library = benchmark.pedantic(
            lambda: prepare(volume, tmp_path / str(next(folders)), MAKING), rounds=1 if benchmark.disabled else 3
        )
    assert all(entry.watertight for entry in library)
    benchmark.extra_info.update(series="real", what=f"{volume.name.partition('.')[0]}: {len(library)} instances")


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("path", ["core", "fast"])
@pytest.mark.parametrize("how", ["field", "mesh"])
def test_inside(
    benchmark: BenchmarkFixture, tmp_path: Path, how: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 000 points: by the kept field, and by the mesh alone."""
    if path == "fast":
        pytest.importorskip("numba")
    monkeypatch.setattr(sampled, "code_path", lambda: path)
    library = prepare(SMALL, tmp_path / "library", MAKING)
    entry = max(library, key=lambda entry: entry.voxels)
    count = 1000 if benchmark.disabled else 100_000
    points = np.random.default_rng(0).uniform(-0.55, 0.55, (count, 3)) * entry.scale_nm + entry.centre_nm
    shape = entry.shape()
    job = shape.inside if how == "field" else lambda points: inside_mesh(shape.surface, points)
    with threadpool_limits(1):
        inside = benchmark.pedantic(job, (points,), rounds=9, warmup_rounds=1)
    assert 0 < inside.mean() < 0.5
    benchmark.extra_info.update(series="inside", what=f"{how}, {path}")


# ---- what RESULTS.md says --------------------------------------------------------------------------------------------
def section(records: list[Record]) -> list[str]:
    """Return a table of the synthetic volumes with what they extrapolate to, then the real one and inside tests."""
    lines = [" ".join((__doc__ or "").partition("\n\n")[2].split()), ""]
    by_series = {key: list(group) for key, group in groupby(records, key=lambda r: r["extra_info"]["series"])}
    rows = []
    for record in by_series["synthetic"]:
        info, seconds = record["extra_info"], median(runs_s(record))
        rate = info["voxels"] / seconds
        hours = LIVER_VOXELS / rate / 3600
        numbers = [f"{seconds:.3g}", f"{rate / 1e6:.3g}", f"{info['memory_mib']:.0f}", f"{hours:.3g}"]
        found = f"{info['shapes']} shapes" if "shapes" in info else ""
        rows.append([f"{info['size']}^3", info["what"], *numbers, found])
    heads = ["", "", "CPU s", "Mvoxel/s per core", "most memory, MiB", "340 Gvoxel at this rate, core hours", ""]
    lines += [*markdown(heads, rows), ""]
    times = [
        [record["extra_info"]["what"], f"{1e3 * median(runs_s(record)):.3g}"]
        for record in by_series["real"] + by_series["inside"]
    ]
    return [*lines, *markdown(["a real volume, prepared; 100 000 inside tests", "CPU ms"], times)]
