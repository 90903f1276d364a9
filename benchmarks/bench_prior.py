"""Shapes drawn from the default prior on one core: the draw of latent numbers alone, and whole meshes.

The longest edge has so many lattice corners; 65 is what `kind: mishape` takes unless it is told otherwise. A shape is
drawn by itself, so that its bytes depend on its own random stream alone: "draw" is what batches could save a part of.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from benchmarks.results import Record, markdown, runs_s

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("mishape_weights_urocell", reason="the default weights are not installed")

SHAPES = 8
"""Drawn one after the other in a run."""


@pytest.mark.parametrize("corners", [0, 65, 129], ids=lambda corners: f"{corners} corners" if corners else "draw")
def test_shapes(benchmark: BenchmarkFixture, corners: int) -> None:
    from mishape.learn.installed import find_weights
    from mishape.learn.prior import load_prior
    from mishape.plugins.shapes.mishape import Mishape

    source = Mishape(resolution=corners or 65)
    prior = load_prior(find_weights("urocell", "prior.safetensors", "urocell", Path())[0], 0)

    def draw() -> Any:
        rng = np.random.default_rng(1)
        if not corners:
            return [prior.draw(rng) for _ in range(SHAPES)]
        return [source.sample(rng, None) for _ in range(SHAPES)]

    with threadpool_limits(1):
        drawn = benchmark.pedantic(draw, rounds=5, warmup_rounds=1)
    if corners:
        faces = median(len(shape.surface.faces) for shape in drawn)
        benchmark.extra_info["triangles"] = f"{faces:.0f}"


def section(records: list[Record]) -> list[str]:
    """Return the table."""
    rows = []
    for record in records:
        each = median(runs_s(record)) / SHAPES
        rows.append(
            [record["param"], f"{each * 1e3:.3g}", f"{1 / each:.3g}", record["extra_info"].get("triangles", "")]
        )
    assert __doc__ is not None
    return [" ".join(__doc__.split()), "", *markdown(["", "ms for a shape", "shapes per second", "triangles"], rows)]
