"""The Kaiser-Bessel window: puts a point between grid points so that its spectrum stays right up to a band limit.

After Fessler & Sutton, IEEE Trans. Signal Process. 51, 560 (2003): points are spread by a short window, and the
window's own spectrum is divided out after the FFT.
"""

from __future__ import annotations

import math

import numpy as np

from mishape.engine import arrays
from mishape.engine.types import Array, Points

WIDTH = 6
"""Grid points that a point touches along each axis."""


def window_beta(band_limit: float) -> float:
    """Return the window's shape parameter for frequencies up to `band_limit` cycles per grid point (below 0.5).

    The first alias of the highest frequency, 1 - band_limit, falls where the window's spectrum stops decaying.
    """
    return math.pi * WIDTH * (1 - band_limit)


def axis_weights(position: Array, size: int, beta: float) -> tuple[Array, Array]:
    """Return the grid points that points touch along one periodic axis, and how much of them each takes.

    Parameters
    ----------
    position
        (n,) in grid points; any real number, wrapped by `size`.

    Returns
    -------
    (n, WIDTH) int64 indices in [0, size) and (n, WIDTH) weights.
    """
    xp = arrays.namespace(position)
    first = xp.ceil(position - WIDTH / 2)
    offsets = arrays.like(np.arange(WIDTH, dtype=np.float64), position)
    distance = (first - position)[:, None] + offsets[None, :]
    inside = xp.clip(1 - (2 * distance / WIDTH) ** 2, 0.0, None)
    index = xp.astype(first, xp.int64)[:, None] + xp.astype(offsets, xp.int64)[None, :]
    return index % size, _bessel_i0(beta * xp.sqrt(inside)) / float(np.i0(beta))


def window_spectrum(frequency: Points, beta: float) -> Points:
    """Return the window's Fourier transform at frequencies in cycles per grid point."""
    root = np.sqrt((beta**2 - (math.pi * WIDTH * frequency) ** 2).astype(complex))
    ratio = np.where(np.abs(root) > 1e-8, np.sinh(root) / np.where(root == 0, 1, root), 1.0)
    return WIDTH * ratio.real / float(np.i0(beta))


def _bessel_i0(x: Array) -> Array:
    """Modified Bessel function of order 0 by its power series, to 1e-12 for the arguments of a window (below 20)."""
    xp = arrays.namespace(x)
    quarter = x * x / 4
    term = xp.ones_like(x)
    total = xp.ones_like(x)
    for n in range(1, 40):
        term = term * quarter / n**2
        total = total + term
    return total
