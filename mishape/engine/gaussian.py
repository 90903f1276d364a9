"""Normal deviates from pairs of uniform ones, for arrays of any library."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.arrays import namespace
from mishape.engine.types import Array

BLOCK = 16384
"""Values worked on at once: few enough for the processor's cache. The bytes drawn by a seed belong to this number."""


def box_muller(uniform: Array, single: bool = False) -> Array:
    """Return two independent standard normal deviates for each pair of uniform ones (Box and Muller 1958).

    In float32 they differ from those in float64 of the same pair by rounding alone, at most 5e-7 of the pair's radius.

    Parameters
    ----------
    uniform
        (2, N) float64 in [0, 1), of 53 bits: the radius then reaches 8.57.
    single
        Compute in float32 all but the logarithm, which needs the bits near 1; else in float64.

    Returns
    -------
    (2, N) deviates.
    """
    xp = namespace(uniform)
    dtype = xp.float32 if single else xp.float64
    radius = xp.sqrt(-2 * xp.astype(xp.log(1 - uniform[0, :]), dtype))
    angle = 2 * math.pi * xp.astype(uniform[1, :], dtype)
    return xp.stack([xp.cos(angle) * radius, xp.sin(angle) * radius])


def gaussian(count: int, rng: Generator) -> NDArray[np.float32]:
    """Return `count` standard normal deviates, float32."""
    out = np.empty(count, dtype=np.float32)
    for start in range(0, count, BLOCK):
        part = out[start : start + BLOCK]
        part[:] = box_muller(rng.random((2, -(-part.size // 2))), single=True).ravel()[: part.size]
    return out
