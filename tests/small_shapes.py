"""Analytic solids with a sampled field, as libraries hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from mishape.engine.sampled import SampledField
from mishape.engine.types import Shape
from mishape.plugins.shapes.implicit import Implicit


def sampled(**parameters: Any) -> Shape:
    """An analytic solid, sampled every 20 nm."""
    exact = Implicit(**parameters).sample(np.random.default_rng(0), None)
    assert exact.implicit is not None
    low, high = exact.implicit.bounds_nm
    step = 20.0
    counts = np.ceil((high - low) / step).astype(int) + 7
    axes = [start - 3 * step + step * np.arange(count) for start, count in zip(low, counts.tolist(), strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = exact.implicit.field(points.reshape(-1, 3)).reshape(counts)
    field = SampledField(values, np.array([axis[0] for axis in axes]), np.full(3, step))
    return Shape("x", exact.surface, field.implicit())
