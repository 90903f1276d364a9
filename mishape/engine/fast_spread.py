"""From emitters to maps in one pass, compiled by numba (the extra `fast`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.fast import compiled
from mishape.engine.grids import Patch
from mishape.engine.types import Points

LANES = 8
"""Numbers that the processor adds at once: ranks are filled up to a multiple of it."""


def spread_emitters(
    rows: Points,
    columns: Points,
    z_cells: Points,
    photons: NDArray[np.float32],
    coefficients: NDArray[np.float32],
    axial: NDArray[np.float32],
    patch: Patch,
) -> NDArray[np.float32]:
    """Return the maps of emitters, (rank, rows, columns): each summed in the order of the emitters.

    Parameters
    ----------
    rows, columns
        (n,) places in grid points; none may need points outside the patch.
    z_cells
        (n,) where each emitter's z lies in the axial table, in its cells.
    photons
        (n,).
    coefficients
        Those of `mishape.engine.spreading.Window`.
    axial
        (cells + 1, rank): v_k, linear between.
    patch
        The part of the grid that is returned.
    """
    rank = axial.shape[1]
    lanes = -(-rank // LANES) * LANES
    padded = np.zeros((len(axial), lanes), np.float32)
    padded[:, :rank] = axial
    (weigh, spread), width = _kernels(), coefficients.shape[1]
    first, weights = np.empty((2, len(rows)), np.int64), np.empty((2, width, len(rows)), np.float32)
    for axis, places in enumerate((rows, columns)):
        weigh(places - patch[axis].start, coefficients, first[axis], weights[axis])
    out = np.zeros((*(part.stop - part.start for part in patch), lanes), np.float32)
    spread(first, weights, z_cells, photons, padded, out)
    return np.ascontiguousarray(np.moveaxis(out[..., :rank], -1, 0))


@cache
def _kernels() -> tuple[Any, Any]:
    return compiled(_weigh), compiled(_spread)


def _weigh(places: Any, coefficients: Any, first: Any, weights: Any) -> None:
    """Fill in the first point that each place touches, (n,), and how much of it each point takes, (width, n)."""
    degree, width = coefficients.shape[0] - 1, coefficients.shape[1]
    start = np.ceil(places - width / 2)
    first[:] = start.astype(np.int64)
    t = (2 * (start - places) + (width - 1)).astype(np.float32)
    for i in range(width):
        weight = weights[i]
        weight[:] = coefficients[degree, i]
        for power in range(degree - 1, -1, -1):
            coefficient = coefficients[power, i]
            for n in range(places.shape[0]):
                weight[n] = weight[n] * t[n] + coefficient


def _spread(first: Any, weights: Any, z_cells: Any, photons: Any, axial: Any, out: Any) -> None:
    """Add row by row: a row of the window is one piece of memory, which the compiler works on eight numbers at a time.

    Its length is not written as a constant, else the compiler would write the loop out and add number by number.
    """
    width, lanes, last_cell = weights.shape[1], out.shape[2], axial.shape[0] - 2
    flat, stride, length = out.reshape(-1), out.shape[1] * lanes, width * lanes
    values, line = np.empty(lanes, np.float32), np.empty(length, np.float32)
    for n in range(first.shape[1]):
        cell = min(max(int(np.floor(z_cells[n])), 0), last_cell)
        share, below, above = np.float32(z_cells[n] - cell), axial[cell], axial[cell + 1]
        for k in range(lanes):
            values[k] = photons[n] * (below[k] + share * (above[k] - below[k]))
        for j in range(width):
            weight, part = weights[1, j, n], line[j * lanes : (j + 1) * lanes]
            for k in range(lanes):
                part[k] = weight * values[k]
        start = first[0, n] * stride + first[1, n] * lanes
        for i in range(width):
            weight, target = weights[0, i, n], flat[start : start + length]
            for k in range(length):
                target[k] += weight * line[k]
            start += stride
