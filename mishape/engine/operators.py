"""A microscope's modes on the grids of a field: from emitters to the planes' spectra."""

from __future__ import annotations

import math

import numpy as np

from mishape.engine import arrays
from mishape.engine.fast import code_path
from mishape.engine.grids import Grids, Patch, Transfers
from mishape.engine.modes import CELLS, Modes
from mishape.engine.slabs import Lot
from mishape.engine.types import Array

EMITTERS_AT_ONCE = 1 << 15
"""Spread in one sum: in single precision a hundred thousand equal ones on one place add up to 3e-4 too much."""
HELD_BYTES = 1 << 26
"""An operator's transfer functions are kept if they fill no more; else they are read anew at each use, ..."""
POINTS_AT_ONCE = 1 << 12
"""... so many frequencies at a time, which the processor's own memory holds."""


class Operator:
    """A microscope's modes on the grids of a field.

    Parameters
    ----------
    modes
        Of one range of z.
    grids
        Of the field.
    reference
        An array of the library, device and precision to work in.
    """

    def __init__(self, modes: Modes, grids: Grids, reference: Array) -> None:
        # An empty one: another array would keep its emitters, and the graph of their derivatives, alive.
        self.modes, self.grids, self.reference = modes, grids, arrays.zeros((0,), reference)
        self.axial = arrays.like(modes.axial, reference)
        self.bands = [self._band(float(end)) for end in modes.ends_per_nm]
        places = sum((rows + 1) * (columns + 1) for rows, columns in self.bands)
        number_bytes = arrays.namespace(reference).finfo(reference.dtype).bits // 8
        held_bytes = modes.axial.shape[1] * places * number_bytes * (1 if modes.transfer.is_real else 4)
        held = held_bytes <= HELD_BYTES
        self.held = [self._read(n, 0, rows + 1) for n, (rows, _) in enumerate(self.bands)] if held else None
        self.nbytes = modes.nbytes + (held_bytes if held else 0)

    def _band(self, end_per_nm: float) -> tuple[int, int]:
        axes = self.grids.rows, self.grids.columns
        rows, columns = (max(1, min(axis.band, math.ceil(end_per_nm * axis.length_nm))) for axis in axes)
        return rows, columns

    def _read(self, plane: int, first: int, last: int) -> Transfers:
        """Return a plane's transfer functions for some frequencies along y, first .. last - 1.

        Columns end with the plane's band, which is round.
        """
        grids, transfer = self.grids, self.modes.transfer
        waves = np.arange(first, last) / grids.rows.length_nm
        end_per_nm = math.sqrt(max(float(self.modes.ends_per_nm[plane]) ** 2 - float(waves[0]) ** 2, 0.0))
        columns = min(math.ceil(end_per_nm * grids.columns.length_nm), self.bands[plane][1])
        along_x = np.arange(columns + 1) / grids.columns.length_nm
        upper = arrays.like(transfer.at(plane, waves, along_x), self.reference)
        if transfer.is_real:
            return upper, None
        return upper, arrays.like(transfer.at(plane, -waves[waves > 0][::-1], along_x), self.reference)

    def add_to(self, spectra: Array, lot: Lot) -> None:
        """Add the light of emitters to the spectra of all images and planes."""
        terms = self._terms(lot, spectra.shape[0])
        last = self.grids.rows.band + 1
        step = last if self.held else max(1, POINTS_AT_ONCE // (self.grids.columns.band + 1))
        for start in range(0, last, step):
            for plane, (rows, _) in enumerate(self.bands):
                stop = min(start + step, rows + 1)
                if start < stop:
                    transfer = self.held[plane] if self.held else self._read(plane, start, stop)
                    self.grids.add(spectra[:, plane, ...], transfer, terms, start)

    def _terms(self, lot: Lot, images: int) -> Array:
        """Return the transformed maps of emitters, spread some at a time."""
        row, column = self.grids.rows.place(lot.xyz_nm[:, 1]), self.grids.columns.place(lot.xyz_nm[:, 0])
        cells = (lot.xyz_nm[:, 2] - self.modes.z_start_nm) / self.modes.z_step_nm
        patch, maps = self.grids.patch(row, column), None
        for start in range(0, len(lot), EMITTERS_AT_ONCE):
            part = slice(start, min(start + EMITTERS_AT_ONCE, len(lot)))
            image = lot.image[part] if images > 1 else None
            more = self._maps(row[part], column[part], cells[part], lot.photons[part], image, images, patch)
            maps = more if maps is None else maps + more
        return self.grids.transformed(maps, patch)

    def _maps(
        self, row: Array, column: Array, cells: Array, photons: Array, image: Array | None, images: int, patch: Patch
    ) -> Array:
        """Spread emitters, weighted by their photons and the v_k at their z: (images, rank, rows, columns)."""
        if image is None and arrays.is_host(photons) and code_path() == "fast":
            from mishape.engine.fast_spread import spread_emitters

            coefficients = self.grids.window.coefficients
            return spread_emitters(row, column, cells, photons, coefficients, self.axial, patch)[None]
        values = self._axial_values(cells) * photons[:, None]
        return self.grids.maps(row, column, values, image, images, patch)

    def _axial_values(self, cells: Array) -> Array:
        """Return v_k, linear between the table's places: (n, rank)."""
        xp = arrays.namespace(cells)
        cell = xp.clip(xp.floor(cells), 0, CELLS - 1)
        share = xp.astype(cells - cell, self.axial.dtype)[:, None]
        below = xp.astype(cell, xp.int64)
        return xp.take(self.axial, below, axis=0) * (1 - share) + xp.take(self.axial, below + 1, axis=0) * share
