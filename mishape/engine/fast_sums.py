"""A plane's spectrum from the modes' transforms, compiled by numba (the extra `fast`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.fast import compiled


def add_weighted(
    spectrum: NDArray[np.complex64], transfer: NDArray[np.float32], terms: NDArray[np.complex64], row: int
) -> None:
    """Add to a (rows, columns) spectrum the sum over k of transfer[k] * terms[k], from a row on.

    Parameters
    ----------
    transfer
        (rank, rows, columns) of some rows and the first columns.
    terms
        (rank, rows, columns), of another number of rows than the spectrum.
    row
        The transfer's first in both; a negative one counts from the end.
    """
    to_row, from_row = (row if row >= 0 else row + count for count in (spectrum.shape[0], terms.shape[1]))
    _kernel()(spectrum.view(np.float32), transfer, terms.view(np.float32), to_row, from_row)


@cache
def _kernel() -> Any:
    return compiled(_add)


def _add(spectrum: Any, transfer: Any, terms: Any, to_row: int, from_row: int) -> None:
    for row in range(transfer.shape[1]):
        total = spectrum[to_row + row]
        for k in range(transfer.shape[0]):
            weights, values = transfer[k, row], terms[k, from_row + row]
            for column in range(transfer.shape[2]):
                total[2 * column] += weights[column] * values[2 * column]
                total[2 * column + 1] += weights[column] * values[2 * column + 1]
