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
from mishape.engine.types import Array, Points

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
        """Of a field's spectrum: rows -band .. band in a Fourier transform's order, zeros between, columns 0 .. band.

        The rows are a whole number of periods.
        """
        return -(-(2 * self.rows.band + 1) // self.rows.period) * self.rows.period, self.columns.band + 1

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
        """Return the maps' transforms, rows as a Fourier transform orders them, columns 0 .. band."""
        half = arrays.rfft_columns(maps, self.columns.points)[..., : self.columns.band + 1]
        return arrays.fft_rows(half, self.rows.points)

    def inverse(self, spectrum: Array) -> Array:
        """Return the field's pixels from a spectrum: (..., rows, columns).

        Frequencies above half a wave per pixel are what pixels alias: along rows they are folded, along columns finer
        pixels are computed and every n-th is kept.
        """
        xp, rows, columns = arrays.namespace(spectrum), self.rows, self.columns
        if spectrum.shape[-2] > rows.period:
            periods = (*spectrum.shape[:-2], -1, rows.period, spectrum.shape[-1])
            spectrum = xp.sum(xp.reshape(spectrum, periods), axis=-3)
        along_y = arrays.ifft_rows(spectrum)[..., rows.lead : rows.lead + rows.pixels, :]
        finer = columns.band * 2 // columns.period + 1
        line = arrays.irfft_columns(along_y, finer * columns.period) * finer
        return line[..., finer * columns.lead :: finer][..., : columns.pixels]


@lru_cache(maxsize=256)
def correction_of(field: Field, integrated: tuple[bool, bool]) -> NDArray[np.float64]:
    """Return what a field's spectrum is multiplied by: pixels integrated, the window's own spectrum divided out.

    What is left of transfer functions at the spreading grid's own limit fades out before it. A pixel that integrates
    over its height (y) or width (x) weights by its own transform there; np.sinc(x) is sin(pi x) / (pi x).
    """
    factors = []
    for axis, integrates in zip((field.rows, field.columns), integrated, strict=True):
        waves = np.arange(axis.band + 1.0)
        pixel = np.sinc(waves / axis.period) if integrates else 1.0
        fade = faded(waves / axis.points, NYQUIST / (1 + FADE))
        factors.append(pixel * fade / field.window.spectrum(waves / axis.points))
    rows: Points = np.zeros(field.spectrum_shape[0])
    rows[: len(factors[0])] = factors[0]
    rows[: -len(factors[0]) : -1] = factors[0][1:]
    return np.asarray(np.multiply.outer(rows, factors[1]))


def is_fast(array: Array) -> bool:
    """Return whether compiled code works on an array."""
    return arrays.is_host(array) and code_path() == "fast"


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
        # An empty one: another array would keep its emitters, and the graph of their derivatives, alive.
        self.modes, self.field, self.reference = modes, field, arrays.zeros((0,), reference)
        self.axial = arrays.like(modes.axial, reference)
        self.bands = [self._band(float(end)) for end in modes.ends_per_nm]
        numbers = modes.axial.shape[1] * sum(2 * (rows + 1) * (columns + 1) for rows, columns in self.bands)
        held = 4 * numbers <= HELD_BYTES
        self.held = [self._read(n, 0, rows + 1) for n, (rows, _) in enumerate(self.bands)] if held else None
        self.nbytes = modes.nbytes + (4 * numbers if held else 0)

    def _band(self, end_per_nm: float) -> tuple[int, int]:
        axes = self.field.rows, self.field.columns
        rows, columns = (max(1, min(axis.band, math.ceil(end_per_nm * axis.length_nm))) for axis in axes)
        return rows, columns

    def _read(self, plane: int, first: int, last: int) -> tuple[Array, Array]:
        """Return a plane's transfer functions (rank, rows, columns) for some rows >= 0, and for minus those.

        Columns end with the plane's band, which is round. The second are in a Fourier transform's order, without row 0.
        """
        field, transfer = self.field, self.modes.transfer
        waves = np.arange(first, last) / field.rows.length_nm
        end_per_nm = math.sqrt(max(float(self.modes.ends_per_nm[plane]) ** 2 - float(waves[0]) ** 2, 0.0))
        columns = min(math.ceil(end_per_nm * field.columns.length_nm), self.bands[plane][1])
        along_x = np.arange(columns + 1) / field.columns.length_nm
        upper = transfer.at(plane, waves, along_x)
        below = waves[waves > 0][::-1]
        lower = upper[:, ::-1][:, : len(below)] if transfer.is_real else transfer.at(plane, -below, along_x)
        return arrays.like(upper, self.reference), arrays.like(np.ascontiguousarray(lower), self.reference)

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
        if image is None and is_fast(photons):
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
        """Add the planes' spectra to (images, planes, *spectrum_shape) from (images, rank, rows, columns) maps."""
        terms = self.field.transformed(maps)
        add = _add_compiled
        if not (self.modes.transfer.is_real and is_fast(terms)):
            terms, add = arrays.split(terms, self.modes.transfer.is_real), _add
        step = self.field.rows.band + 1 if self.held else max(1, POINTS_AT_ONCE // self.field.spectrum_shape[1])
        for start in range(0, self.field.rows.band + 1, step):
            for plane, (rows, _) in enumerate(self.bands):
                stop = min(start + step, rows + 1)
                if start < stop:
                    upper, lower = self.held[plane] if self.held else self._read(plane, start, stop)
                    add(spectra[:, plane, ...], upper, terms, start)
                    add(spectra[:, plane, ...], lower, terms, 1 - stop)


def _add(spectra: Array, transfer: Array, terms: Array, row: int) -> None:
    """Add one plane's transfer functions (rank, rows, columns) times their terms, from a row on.

    Negative rows count from the end, in spectra (images, rows, columns) and in terms (..., rank, rows, columns) alike.
    """
    if transfer.shape[1]:
        part = slice(row, row + transfer.shape[1] or None), slice(transfer.shape[2])
        spectra[:, *part] += arrays.weighted_sum(transfer, terms[..., *part])


def _add_compiled(spectra: Array, transfer: Array, terms: Array, row: int) -> None:
    from mishape.engine.fast_sums import add_weighted

    for spectrum, ours in zip(spectra, terms, strict=True):
        add_weighted(spectrum, transfer, ours, row)
