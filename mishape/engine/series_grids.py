"""Grids that are transformed by matrix products, into real Fourier series: on the host, for symmetric PSFs.

Emitters mostly touch a small patch of the grid, and of its frequencies only those within the microscope's band count.
So few numbers are wanted from few numbers, which the processor's matrix product makes sooner than an FFT makes all.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.fast import code_path
from mishape.engine.grids import Grids, Patch, Transfers, correction
from mishape.engine.lattice import Axis
from mishape.engine.types import Array, Points

Matrix = NDArray[np.float32]


class SeriesGrids(Grids):
    """Spectra and terms are real: (..., 2, rows.band + 1, 2, columns.band + 1), cosines and sines along y and x.

    The transfer functions are even and real, so one of them multiplies all four.
    """

    @property
    def series_shape(self) -> tuple[int, int, int, int]:
        """Cosines and sines, their frequencies along y, and the same along x."""
        return 2, self.rows.band + 1, 2, self.columns.band + 1

    def work(self, planes: int, modes: int) -> float:
        """Return those of the matrix products, and tenfold those of the weighted sums, which wait for the memory."""
        (rows, columns), (_, along_y, _, along_x) = (self.rows, self.columns), self.series_shape
        along_y, along_x = 2 * along_y, 2 * along_x
        forward = rows.lit * along_x * (columns.lit + along_y)
        backward = rows.pixels * along_x * (along_y + columns.pixels)
        return 2 * (modes * forward + planes * backward + 10 * planes * modes * along_y * along_x)

    def patch(self, row: Array, column: Array) -> Patch:
        """Return the least patch that the emitters touch."""
        width = self.window.width
        low, high = ([math.ceil(edge(at) - width / 2) for at in (row, column)] for edge in (np.min, np.max))
        return slice(low[0], high[0] + width), slice(low[1], high[1] + width)

    def dark(self, images: int, planes: int, reference: Array) -> Array:
        """Return (images, planes, *series_shape) zeros."""
        return np.zeros((images, planes, *self.series_shape), np.float32)

    def transformed(self, maps: Array, patch: Patch) -> Array:
        """Return (images, rank, *series_shape)."""
        along_y, along_x = (_forward(axis)[part] for axis, part in zip((self.rows, self.columns), patch, strict=True))
        terms = along_y.T @ (np.ascontiguousarray(maps) @ along_x)
        return terms.reshape(*maps.shape[:2], *self.series_shape)

    def add(self, spectra: Array, transfer: Transfers, terms: Array, row: int) -> None:
        """Add to (images, *series_shape)."""
        upper = transfer[0]
        if code_path() == "fast":
            from mishape.engine.fast_series import add_weighted

            add_weighted(spectra, upper, terms, row)
        else:
            rows, columns = slice(row, row + upper.shape[1]), slice(upper.shape[2])
            spectra[:, :, rows, :, columns] += np.einsum("kyx,ikaybx->iaybx", upper, terms[:, :, :, rows, :, columns])

    def pixels(self, spectra: Array, integrated: tuple[bool, bool]) -> Array:
        """Return the field's pixels, one plane after the other: what lies between fills no more than the cache."""
        along_y, along_x = _backward(self, integrated)
        flat = spectra.reshape(*spectra.shape[:2], along_y.shape[1], along_x.shape[0])
        made = np.empty((*flat.shape[:2], along_y.shape[0], along_x.shape[1]), np.float32)
        for plane in range(flat.shape[1]):
            np.matmul(along_y @ flat[:, plane], along_x, out=made[:, plane])
        return made


@lru_cache(maxsize=16)
def _forward(axis: Axis) -> Matrix:
    """Return the cosines and sines of an axis at its grid's points: (lit, 2 (band + 1))."""
    return _waves(axis, np.arange(axis.lit) / axis.finer).astype(np.float32)


@lru_cache(maxsize=16)
def _backward(grids: SeriesGrids, integrated: tuple[bool, bool]) -> tuple[Matrix, Matrix]:
    """Return what makes pixels of a series: (rows, 2 (rows.band + 1)) and (2 (columns.band + 1), columns)."""
    made = []
    for axis, integrates in zip((grids.rows, grids.columns), integrated, strict=True):
        share = np.where(np.arange(axis.band + 1), 2.0, 1.0) / axis.period
        share *= correction(axis, grids.window, integrates)
        at_pixels = _waves(axis, axis.lead + np.arange(axis.pixels)) * np.tile(share, 2)
        made.append(at_pixels.astype(np.float32))
    return made[0], np.ascontiguousarray(made[1].T)


def _waves(axis: Axis, places: NDArray[Any]) -> Points:
    """Return cosines, then sines, of 0 .. band waves per period at places in pixels: (places, 2 (band + 1))."""
    angle = 2 * math.pi / axis.period * np.multiply.outer(places, np.arange(axis.band + 1))
    return np.hstack([np.cos(angle), np.sin(angle)])
