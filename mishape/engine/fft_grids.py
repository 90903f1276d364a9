"""Grids that are transformed by fast Fourier transforms: any library, any PSF."""

from __future__ import annotations

import math

import numpy as np

from mishape.engine import arrays
from mishape.engine.grids import Grids, Patch, Transfers, correction
from mishape.engine.types import Array, Points


class FFTGrids(Grids):
    """Spectra are complex: rows -band .. band in a Fourier transform's order, zeros between, columns 0 .. band."""

    @property
    def spectrum_shape(self) -> tuple[int, int]:
        """Rows, a whole number of periods, and columns."""
        return -(-(2 * self.rows.band + 1) // self.rows.period) * self.rows.period, self.columns.band + 1

    def work(self, planes: int, modes: int) -> float:
        """Return those of the Fourier transforms."""
        return 5 * math.log2(self.points) * self.points * (planes + modes)

    def patch(self, row: Array, column: Array) -> Patch:
        """Return the whole grid, so that a device need not be asked where its emitters are."""
        return slice(0, self.rows.lit), slice(0, self.columns.lit)

    def dark(self, images: int, planes: int, reference: Array) -> Array:
        """Return (images, planes, *spectrum_shape) complex zeros."""
        return arrays.zeros((images, planes, *self.spectrum_shape), reference, complex_numbers=True)

    def transformed(self, maps: Array, patch: Patch) -> Array:
        """Return the maps' transforms, rows in a Fourier transform's order, columns 0 .. band."""
        half = arrays.rfft_columns(maps, self.columns.points)[..., : self.columns.band + 1]
        return arrays.fft_rows(half, self.rows.points)

    def add(self, spectra: Array, transfer: Transfers, terms: Array, row: int) -> None:
        """Add to (images, *spectrum_shape)."""
        upper, lower = transfer
        _add(spectra, upper, terms, row)
        if lower is None:
            lower = arrays.namespace(upper).flip(upper[:, int(row == 0) :, :], axis=1)
        _add(spectra, lower, terms, 1 - row - upper.shape[1])

    def pixels(self, spectra: Array, integrated: tuple[bool, bool]) -> Array:
        """Return the field's pixels, one plane after the other: together their transforms would fill the memory."""
        factors = self._correction(integrated, spectra)
        planes = [self._plane(spectra[:, plane, ...] * factors) for plane in range(spectra.shape[1])]
        return arrays.namespace(spectra).stack(planes, axis=1)

    def _correction(self, integrated: tuple[bool, bool], spectra: Array) -> Array:
        along_y = correction(self.rows, self.window, integrated[0])
        rows: Points = np.zeros(self.spectrum_shape[0])
        rows[: len(along_y)] = along_y
        rows[: -len(along_y) : -1] = along_y[1:]
        along_x = correction(self.columns, self.window, integrated[1])
        return arrays.like(rows, spectra)[:, None] * arrays.like(along_x, spectra)

    def _plane(self, spectrum: Array) -> Array:
        """Return one plane's pixels.

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


def _add(spectra: Array, transfer: Array, terms: Array, row: int) -> None:
    """Add transfer functions (rank, rows, columns) times their terms, from a row on.

    Negative rows count from the end, in spectra (images, rows, columns) and in terms (..., rank, rows, columns) alike.
    """
    if transfer.shape[1]:
        part = slice(row, row + transfer.shape[1] or None), slice(transfer.shape[2])
        xp = arrays.namespace(spectra)
        spectra[:, *part] += xp.sum(transfer * terms[..., *part], axis=-3)
