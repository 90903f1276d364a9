"""The grids of a field: emitters are spread on one, and its transform times the microscope's makes the pixels."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from mishape.engine import arrays
from mishape.engine.lattice import Axis
from mishape.engine.sampling import FADE, faded
from mishape.engine.spreading import Window
from mishape.engine.types import Array, Points

NYQUIST = 0.5
"""The highest frequency that a grid carries, cycles per point."""

Patch = tuple[slice, slice]
"""Rows and columns of the spreading grid."""
Transfers = tuple[Array, Array | None]
"""One plane's transfer functions, (rank, rows, columns), at some frequencies along y and from 0 on along x; and those
at minus the first, in reverse order and without 0, where they differ: where the PSF is not symmetric."""


@dataclass(frozen=True)
class Grids(ABC):
    """The grids of a field, rows (y) and columns (x), and the window that spreads emitters on them.

    How they are transformed is a subclass's: spectra and terms have its own form.
    """

    rows: Axis
    columns: Axis
    window: Window

    @property
    def points(self) -> int:
        """Of the spreading grid in its period."""
        return self.rows.points * self.columns.points

    @abstractmethod
    def work(self, planes: int, modes: int) -> float:
        """Return about how many sums and products making so many planes of so many maps takes."""

    @abstractmethod
    def patch(self, row: Array, column: Array) -> Patch:
        """Return a part of the spreading grid that holds all that emitters at some places touch."""

    @abstractmethod
    def dark(self, images: int, planes: int, reference: Array) -> Array:
        """Return spectra without light, (images, planes, ...), in a reference's library, device and precision."""

    @abstractmethod
    def transformed(self, maps: Array, patch: Patch) -> Array:
        """Return the terms of maps of a patch, (images, rank, rows, columns)."""

    @abstractmethod
    def add(self, spectra: Array, transfer: Transfers, terms: Array, row: int) -> None:
        """Add to one plane's spectra, (images, ...), the sum over k of its transfer functions times their terms.

        Parameters
        ----------
        row
            The transfer functions' first frequency along y, in waves per period.
        """

    @abstractmethod
    def pixels(self, spectra: Array, integrated: tuple[bool, bool]) -> Array:
        """Return the field's pixels, (images, planes, rows, columns).

        Parameters
        ----------
        integrated
            Whether a pixel integrates over its height (y) and its width (x).
        """

    def maps(self, row: Array, column: Array, values: Array, image: Array | None, images: int, patch: Patch) -> Array:
        """Spread values on a patch of the grid: (images, rank, rows, columns).

        Parameters
        ----------
        row, column
            (n,) places in grid points.
        values
            (n, rank).
        image
            (n,) which image each belongs to; all to the first where not given.
        """
        xp = arrays.namespace(values)
        shape = (images, *(part.stop - part.start for part in patch))
        first_row, row_weights = self.window.weights(row - patch[0].start, values)
        first_column, column_weights = self.window.weights(column - patch[1].start, values)
        kind = xp.int32 if images == 1 else xp.int64
        first = xp.astype(first_row, kind) * shape[2] + xp.astype(first_column, kind)
        if image is not None:
            first = first + image * (shape[1] * shape[2])
        steps = np.add.outer(np.arange(self.window.width) * shape[2], np.arange(self.window.width)).ravel()
        steps = arrays.like(steps.astype(np.int32), first)
        index = first[:, None] + steps
        weights = xp.reshape(arrays.outer(row_weights, column_weights), (-1, steps.shape[0]))
        cells = arrays.spread(index, weights, values, math.prod(shape))
        return xp.permute_dims(xp.reshape(cells, (*shape, -1)), (0, 3, 1, 2))


def correction(axis: Axis, window: Window, integrates: bool) -> Points:
    """Return what an axis's frequencies, 0 .. band, are multiplied by: (band + 1,).

    The pixel is integrated, by its own transform, and the window's is divided out; np.sinc(x) is sin(pi x) / (pi x).
    What is left of transfer functions at the spreading grid's own limit fades out before it.
    """
    waves = np.arange(axis.band + 1.0)
    pixel = np.sinc(waves / axis.period) if integrates else 1.0
    fade = faded(waves / axis.points, NYQUIST / (1 + FADE))
    return np.asarray(pixel * fade / window.spectrum(waves / axis.points))
