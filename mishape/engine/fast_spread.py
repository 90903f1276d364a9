"""From emitters to maps in one pass, compiled by numba (the extra `fast`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.fast import compiled
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
    shape: tuple[int, int],
) -> NDArray[np.float32]:
    """Return the maps of emitters, (rank, rows, columns): each summed in the order of the emitters.

    Parameters
    ----------
    rows, columns
        (n,) places in grid points; none may need points outside the grid.
    z_cells
        (n,) where each emitter's z lies in the axial table, in its cells.
    photons
        (n,).
    coefficients
        Those of `mishape.engine.spreading.Window`.
    axial
        (cells + 1, rank): v_k, linear between.
    shape
        Rows and columns.
    """
    rank = axial.shape[1]
    lanes = -(-rank // LANES) * LANES
    padded = np.zeros((len(axial), lanes), np.float32)
    padded[:, :rank] = axial
    out = np.zeros((*shape, lanes), np.float32)
    _kernel()(rows, columns, z_cells, photons, coefficients, padded, out)
    return np.ascontiguousarray(np.moveaxis(out[..., :rank], -1, 0))


@cache
def _kernel() -> Any:
    return compiled(_spread)


def _spread(rows: Any, columns: Any, z_cells: Any, photons: Any, coefficients: Any, axial: Any, out: Any) -> None:
    degree, width = coefficients.shape[0] - 1, coefficients.shape[1]
    rank, last_cell = axial.shape[1], axial.shape[0] - 2
    row_weights, column_weights = np.empty(width, np.float32), np.empty(width, np.float32)
    values = np.empty(rank, np.float32)
    for n in range(rows.shape[0]):
        first_row, first_column = int(np.ceil(rows[n] - width / 2)), int(np.ceil(columns[n] - width / 2))
        t_row = np.float32(2 * (first_row - rows[n]) + (width - 1))
        t_column = np.float32(2 * (first_column - columns[n]) + (width - 1))
        for i in range(width):
            row_weights[i] = column_weights[i] = coefficients[degree, i]
        for power in range(degree - 1, -1, -1):
            for i in range(width):
                row_weights[i] = row_weights[i] * t_row + coefficients[power, i]
                column_weights[i] = column_weights[i] * t_column + coefficients[power, i]
        cell = min(max(int(np.floor(z_cells[n])), 0), last_cell)
        share = np.float32(z_cells[n] - cell)
        for k in range(rank):
            values[k] = photons[n] * (axial[cell, k] + share * (axial[cell + 1, k] - axial[cell, k]))
        for i in range(width):
            for j in range(width):
                weight = row_weights[i] * column_weights[j]
                target = out[first_row + i, first_column + j]
                for k in range(rank):
                    target[k] += weight * values[k]
