"""A microscope's modes on a field: emitters are spread on its grid, and planes come out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mishape.engine import arrays
from mishape.engine.fast import code_path
from mishape.engine.lattice import Axis
from mishape.engine.modes import CELLS, Modes
from mishape.engine.sampling import FADE, faded
from mishape.engine.spreading import Window
from mishape.engine.types import Array

NYQUIST = 0.5
"""The highest frequency that a grid carries, cycles per point."""


@dataclass(frozen=True)
class Field:
    """The grids of a field, rows (y) and columns (x), and the window that spreads emitters on them."""

    rows: Axis
    columns: Axis
    window: Window

    @property
    def points(self) -> int:
        """Of the larger of both grids."""
        return max(self.rows.points * self.columns.points, self.rows.period * (self.columns.band + 1))

    @property
    def spectrum_shape(self) -> tuple[int, int]:
        """Of the frequencies kept: rows -band .. band, columns 0 .. band."""
        return 2 * self.rows.band + 1, self.columns.band + 1

    def maps(self, row: Array, column: Array, values: Array, image: Array | None, images: int) -> Array:
        """Spread values on the grid: (images, rank, rows, columns).

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
        shape = (images, self.rows.lit, self.columns.lit)
        first_row, row_weights = self.window.weights(row, values)
        first_column, column_weights = self.window.weights(column, values)
        first = xp.astype(first_row * shape[2] + first_column, xp.int32 if images == 1 else xp.int64)
        if image is not None:
            first = first + image * (shape[1] * shape[2])
        steps = np.add.outer(np.arange(self.window.width) * shape[2], np.arange(self.window.width)).ravel()
        steps = arrays.like(steps.astype(np.int32), first)
        index = first[:, None] + steps
        weights = xp.reshape(arrays.outer(row_weights, column_weights), (-1, steps.shape[0]))
        cells = arrays.spread(index, weights, values, math.prod(shape))
        return xp.permute_dims(xp.reshape(cells, (*shape, -1)), (0, 3, 1, 2))

    def transformed(self, maps: Array) -> Array:
        """Return the maps' transforms at the frequencies kept: (..., *spectrum_shape)."""
        band = self.rows.band
        half = arrays.rfft_columns(maps, self.columns.points)[..., : self.columns.band + 1]
        whole = arrays.fft_rows(half, self.rows.points)
        return arrays.namespace(maps).concat([whole[..., -band:, :], whole[..., : band + 1, :]], axis=-2)

    def inverse(self, spectra: Array) -> Array:
        """Return the field's pixels from transforms at the frequencies kept: (..., rows, columns).

        Frequencies above half a wave per pixel are what pixels alias: along rows they are folded, along columns finer
        pixels are computed and every n-th is kept.
        """
        rows, columns = self.rows, self.columns
        along_y = arrays.ifft_rows(self._folded(spectra))[..., rows.lead : rows.lead + rows.pixels, :]
        finer = columns.band * 2 // columns.period + 1
        line = arrays.irfft_columns(along_y, finer * columns.period) * finer
        return line[..., finer * columns.lead :: finer][..., : columns.pixels]

    def _folded(self, spectra: Array) -> Array:
        """Return rows -band .. band in the order of a transform whose length is the period."""
        xp, period, band = arrays.namespace(spectra), self.rows.period, self.rows.band

        def empty(rows: int) -> Array:
            return arrays.zeros((*spectra.shape[:-2], rows, spectra.shape[-1]), spectra)

        if 2 * band < period:
            parts = [spectra[..., band:, :], empty(period - 2 * band - 1), spectra[..., :band, :]]
            return xp.concat(parts, axis=-2)
        turns = -(-(band + 1) // period)
        whole = xp.concat([empty(turns * period - band), spectra, empty(turns * period - band - 1)], axis=-2)
        return xp.sum(xp.reshape(whole, (*spectra.shape[:-2], 2 * turns, period, spectra.shape[-1])), axis=-3)


@lru_cache(maxsize=256)
def correction_of(field: Field, integrated: tuple[bool, bool]) -> NDArray[np.float64]:
    """Return what a field's kept frequencies are multiplied by: pixels integrated, the window's spectrum divided out.

    What is left of transfer functions at the spreading grid's own limit fades out before it. A pixel that integrates
    over its height (y) or width (x) weights by its own transform there; np.sinc(x) is sin(pi x) / (pi x).
    """
    factors = []
    for axis, integrates in zip((field.rows, field.columns), integrated, strict=True):
        waves = axis.frequencies()
        pixel = np.sinc(waves / axis.period) if integrates else 1.0
        fade = faded(np.abs(waves) / axis.points, NYQUIST / (1 + FADE))
        factors.append(pixel * fade / field.window.spectrum(waves / axis.points))
    return np.asarray(np.multiply.outer(factors[0], factors[1][field.columns.band :]))


HELD_BYTES = 1 << 26
"""An operator's transfer functions are kept if they fill no more; else they are read anew at each use, ..."""
POINTS_AT_ONCE = 1 << 12
"""... so many frequencies at a time, which the processor's own memory holds."""


class Operator:
    """A microscope's modes on a field.

    Parameters
    ----------
    modes
        Of one range of z.
    field
        The grids.
    reference
        An array of the library, device and precision to work in.
    """

    def __init__(self, modes: Modes, field: Field, reference: Array) -> None:
        self.modes, self.field, self.reference = modes, field, reference
        self.axial = arrays.like(modes.axial, reference)
        self.bands = [self._band(float(end)) for end in modes.ends_per_nm]
        numbers = modes.axial.shape[1] * sum((2 * rows + 1) * (columns + 1) for rows, columns in self.bands)
        self.nbytes = 4 * numbers if 4 * numbers <= HELD_BYTES else 0
        self.held = [self._read(n, -rows, rows + 1) for n, (rows, _) in enumerate(self.bands)] if self.nbytes else None

    def _band(self, end_per_nm: float) -> tuple[int, int]:
        axes = self.field.rows, self.field.columns
        rows, columns = (max(1, min(axis.band, math.ceil(end_per_nm * axis.length_nm))) for axis in axes)
        return rows, columns

    def _read(self, plane: int, first: int, last: int) -> Array:
        """Return a plane's transfer functions (rank, rows, columns) up to its band, for rows from first to last."""
        along_y = np.arange(first, last) / self.field.rows.length_nm
        along_x = np.arange(self.bands[plane][1] + 1) / self.field.columns.length_nm
        return arrays.like(self.modes.transfer.at(plane, along_y, along_x), self.reference)

    def maps(self, xyz_nm: Array, photons: Array, image: Array | None, images: int) -> Array:
        """Spread emitters on the grid, weighted by their photons and the v_k at their z: (images, rank, rows, columns).

        Parameters
        ----------
        xyz_nm
            (n, 3) from the field's middle.
        photons
            (n,).
        image
            (n,) which of several images each belongs to.
        """
        cells = (xyz_nm[:, 2] - self.modes.z_start_nm) / self.modes.z_step_nm
        row, column = self.field.rows.place(xyz_nm[:, 1]), self.field.columns.place(xyz_nm[:, 0])
        if image is None and arrays.is_host(photons) and code_path() == "fast":
            from mishape.engine.fast_spread import spread_emitters

            shape, coefficients = (self.field.rows.lit, self.field.columns.lit), self.field.window.coefficients
            return spread_emitters(row, column, cells, photons, coefficients, self.axial, shape)[None]
        return self.field.maps(row, column, self._axial_values(cells) * photons[:, None], image, images)

    def _axial_values(self, cells: Array) -> Array:
        """Return v_k, linear between the table's places: (n, rank)."""
        xp = arrays.namespace(cells)
        cell = xp.clip(xp.floor(cells), 0, CELLS - 1)
        share = xp.astype(cells - cell, self.axial.dtype)[:, None]
        below = xp.astype(cell, xp.int64)
        return xp.take(self.axial, below, axis=0) * (1 - share) + xp.take(self.axial, below + 1, axis=0) * share

    def add_to(self, spectra: Array, maps: Array) -> None:
        """Add the planes' transforms to (images, planes, *spectrum_shape) from (images, rank, rows, columns) maps."""
        terms = arrays.split(self.field.transformed(maps), self.modes.transfer.is_real)
        whole, columns = self.field.rows.band, self.field.columns.band
        step = 2 * whole + 1 if self.held else max(1, POINTS_AT_ONCE // (columns + 1))
        for start in range(-whole, whole + 1, step):
            for plane, (rows, columns) in enumerate(self.bands):
                first, last = max(start, -rows), min(start + step, rows + 1)
                if first < last:
                    part = slice(first + whole, last + whole), slice(columns + 1)
                    transfer = self.held[plane] if self.held else self._read(plane, first, last)
                    spectra[:, plane, *part] += arrays.weighted_sum(transfer, terms[..., *part])
