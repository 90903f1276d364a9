"""A plane's spectrum from the modes' transforms, compiled by numba (the extra `fast`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.fast import compiled


def add_weighted(
    spectrum: NDArray[np.complex64],
    transfers: tuple[NDArray[np.float32], NDArray[np.float32]],
    terms: NDArray[np.complex64],
) -> None:
    """Add to a (rows, columns) spectrum the sum over k of transfer[k] * terms[k].

    Parameters
    ----------
    transfers
        (rank, rows, columns) for rows 0, 1, ... and for the last rows, as `mishape.engine.operators` reads them.
    terms
        (rank, rows, columns); rows as a Fourier transform orders them, of another length than the spectrum's.
    """
    upper, lower = transfers
    _kernel()(spectrum.view(np.float32), upper, terms.view(np.float32), 0, 0)
    below = lower.shape[1]
    _kernel()(spectrum.view(np.float32), lower, terms.view(np.float32), len(spectrum) - below, terms.shape[1] - below)


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
