"""A microscope's modes on a field: emitters are spread on its grid, and planes come out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mishape.engine import arrays
from mishape.engine.lattice import Axis
from mishape.engine.modes import CELLS, Modes
from mishape.engine.spreading import Window
from mishape.engine.types import Array


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

    def maps(self, x_nm: Array, y_nm: Array, values: Array, image: Array | None, images: int) -> Array:
        """Spread emitters on the grid: (images, rank, rows, columns).

        Parameters
        ----------
        x_nm, y_nm
            (n,) from the field's middle.
        values
            (n, rank).
        image
            (n,) which image each belongs to; all to the first where not given.
        """
        xp = arrays.namespace(values)
        shape = (images, self.rows.lit, self.columns.lit)
        row, row_weights = self._along(self.rows, y_nm, values)
        column, column_weights = self._along(self.columns, x_nm, values)
        first = row * shape[2] + column
        if image is not None:
            first = first + image * (shape[1] * shape[2])
        steps = np.add.outer(np.arange(self.window.width) * shape[2], np.arange(self.window.width)).ravel()
        index = first[:, None] + arrays.like(steps.astype(np.int32), values)
        weights = xp.reshape(arrays.outer(row_weights, column_weights), (-1, len(steps)))
        cells = arrays.spread(index, weights, values, math.prod(shape))
        return xp.permute_dims(xp.reshape(cells, (*shape, -1)), (0, 3, 1, 2))

    def _along(self, axis: Axis, place_nm: Array, values: Array) -> tuple[Array, Array]:
        """Return the first grid point of each emitter along an axis, int32, and its weights."""
        xp = arrays.namespace(values)
        first, weights = self.window.weights(axis.place(place_nm), values)
        return xp.astype(first, xp.int32 if arrays.is_host(values) else xp.int64), weights

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
        turns = -(-(band + 1) // period)
        shape = (*spectra.shape[:-2], turns * period - band, spectra.shape[-1])
        before, after = arrays.zeros(shape, spectra), arrays.zeros((*shape[:-2], shape[-2] - 1, shape[-1]), spectra)
        whole = xp.concat([before, spectra, after], axis=-2)
        return xp.sum(xp.reshape(whole, (*shape[:-2], 2 * turns, period, shape[-1])), axis=-3)

    def correction(self, integrated: tuple[bool, bool]) -> NDArray[np.float64]:
        """Return what the kept frequencies are multiplied by: pixels integrated, the window's spectrum divided out.

        A pixel that integrates over its height (y) or width (x) weights by its own transform there; np.sinc(x) is
        sin(pi x) / (pi x).
        """
        factors = []
        for axis, integrates in zip((self.rows, self.columns), integrated, strict=True):
            waves = axis.frequencies()
            pixel = np.sinc(waves / axis.period) if integrates else 1.0
            factors.append(pixel / self.window.spectrum(waves / axis.points))
        return np.multiply.outer(factors[0], factors[1][self.columns.band :])


HELD_BYTES = 1 << 26
"""An operator's transfer functions are kept if they fill no more; else each is read anew when it is used."""


class Operator:
    """A microscope's modes on a field.

    Parameters
    ----------
    modes
        Of one range of z.
    field
        The grids.
    integrated
        Whether a pixel integrates over its height (y) and its width (x).
    reference
        An array of the library, device and precision to work in.
    """

    def __init__(self, modes: Modes, field: Field, integrated: tuple[bool, bool], reference: Array) -> None:
        self.modes, self.field, self.reference = modes, field, reference
        self.correction = arrays.like(field.correction(integrated), reference)
        self.axial = arrays.like(modes.axial, reference)
        self.bands = [self._band(float(end)) for end in modes.ends_per_nm]
        self.rank = modes.axial.shape[1]
        numbers = sum((2 * rows + 1) * (columns + 1) for rows, columns in self.bands) * self.rank
        self.nbytes = 4 * numbers if 4 * numbers <= HELD_BYTES else 0
        self.held = [self._read(plane) for plane in range(len(self.bands))] if self.nbytes else None

    def _band(self, end_per_nm: float) -> tuple[int, int]:
        axes = self.field.rows, self.field.columns
        rows, columns = (max(1, min(axis.band, math.ceil(end_per_nm * axis.length_nm))) for axis in axes)
        return rows, columns

    def _read(self, plane: int) -> Array:
        """Return a plane's transfer functions, (rank, rows, columns) up to its band."""
        (rows, columns), field = self.bands[plane], self.field
        along_y = np.arange(-rows, rows + 1) / field.rows.length_nm
        along_x = np.arange(columns + 1) / field.columns.length_nm
        return arrays.multipliers(self.modes.transfer.at(plane, along_y, along_x), self.reference)

    def values(self, z_nm: Array) -> Array:
        """Return v_k at each z, linear between the table's places: (n, rank)."""
        xp = arrays.namespace(z_nm)
        place = (z_nm - self.modes.z_start_nm) / self.modes.z_step_nm
        cell = xp.clip(xp.floor(place), 0, CELLS - 1)
        share = xp.astype(place - cell, self.axial.dtype)[:, None]
        below = xp.astype(cell, xp.int64)
        return xp.take(self.axial, below, axis=0) * (1 - share) + xp.take(self.axial, below + 1, axis=0) * share

    def add_to(self, spectra: Array, maps: Array) -> None:
        """Add the planes' transforms to (images, planes, *spectrum_shape) from (images, rank, rows, columns) maps."""
        terms, whole = self.field.transformed(maps), self.field.rows.band
        for plane, (rows, columns) in enumerate(self.bands):
            kept = slice(whole - rows, whole + rows + 1), slice(columns + 1)
            transfer = self._read(plane) if self.held is None else self.held[plane]
            spectra[:, plane, *kept] += arrays.weighted_sum(transfer, terms[..., *kept])
