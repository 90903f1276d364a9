"""A plane's series from the modes' terms, compiled by numba (the extra `fast`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.fast import compiled

Numbers = NDArray[np.float32]


def add_weighted(spectra: Numbers, transfer: Numbers, terms: Numbers, row: int) -> None:
    """Add the sum over k of transfer[k] * terms[:, k] to spectra, from a frequency along y on.

    Parameters
    ----------
    spectra
        (images, 2, rows, 2, columns).
    transfer
        (rank, some rows, the first columns).
    terms
        (images, rank, 2, rows, 2, columns).
    row
        The transfer's first.
    """
    for series, ours in zip(spectra, terms, strict=True):
        _kernel()(series, transfer, ours, row)


@cache
def _kernel() -> Any:
    return compiled(_add)


def _add(series: Any, transfer: Any, terms: Any, row: int) -> None:
    for n in range(transfer.shape[1]):
        for a in range(2):
            for b in range(2):
                total = series[a, row + n, b]
                for k in range(transfer.shape[0]):
                    weights, values = transfer[k, n], terms[k, a, row + n, b]
                    for column in range(transfer.shape[2]):
                        total[column] += weights[column] * values[column]
