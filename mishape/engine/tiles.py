"""Whole images from emitters: slab by slab of z, and tile by tile of the field where it is large.

Over each slab the microscope's PSF is a sum of a few modes (`mishape.engine.modes`). Their maps are spread on a tile's
grid and transformed; every plane's transform is a weighted sum of those, and one inverse transform makes the plane.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mishape.engine import arrays
from mishape.engine.component import Keyed
from mishape.engine.errors import MishapeError
from mishape.engine.fft_grids import FFTGrids
from mishape.engine.grids import Grids
from mishape.engine.lattice import axis_of, for_fft
from mishape.engine.operators import Operator
from mishape.engine.quality import QUALITIES
from mishape.engine.recent import Recent
from mishape.engine.series_grids import SeriesGrids
from mishape.engine.slabs import Lot, lots_of, outline_of
from mishape.engine.types import Array, Emitters, Grid

if TYPE_CHECKING:
    from mishape.engine.imaging import PSFMicroscope

TILE_POINTS, SERIES_POINTS = 1 << 21, 1 << 18
"""Points of a tile's grids: larger fields are cut. A matrix product's work grows faster than an FFT's."""
MAX_POINTS = 10**8
"""Points that no tile may exceed: a few maps of them fill a computer's memory."""
BEYOND = (0.0, 0.25, 0.5, 1.0)
"""How far outside a tile emitters may lie that its grid holds, in reaches: on the host the least that will do."""
BATCH_NUMBERS = 1 << 28
"""Numbers that a device holds while it makes the images of one batch."""
OPERATORS_BYTES = 1 << 30
"""Memory that a process keeps operators in."""

_operators: Recent[Operator] = Recent(OPERATORS_BYTES, lambda operator: operator.nbytes)


@dataclass(frozen=True)
class Tile:
    """A part of a grid: its first row and column, and its rows and columns."""

    top: int
    left: int
    shape: tuple[int, int]

    def middle_nm(self, grid: Grid) -> tuple[float, float]:
        """Return the world x and y of its middle."""
        rows, columns = grid.shape[1:]
        x = (self.left + (self.shape[1] - columns) / 2) * grid.pixel_nm
        return x, (self.top + (self.shape[0] - rows) / 2) * grid.pixel_nm


def fast_images(microscope: PSFMicroscope, batch: Sequence[Emitters], grid: Grid) -> Array:
    """Return the images of several sets of emitters, (N, Z, Y, X), within the microscope's quality of `direct_sum`.

    Raises
    ------
    MishapeError
        If there are none, if a device has too little memory for one image, or if the PSF cannot be imaged.
    """
    if not batch:
        raise MishapeError("no emitters to image: give at least one set of emitters")
    images = arrays.zeros((len(batch), *grid.shape), arrays.working(batch[0].photons))
    start, size = 0, 1 if arrays.is_host(images) else max(1, BATCH_NUMBERS // (64 * math.prod(grid.shape)))
    while start < len(batch):
        part = batch[start : start + size]
        try:
            _fill(images[start : start + len(part), ...], microscope, part, grid)
        except Exception as error:
            if not arrays.is_out_of_memory(error):
                raise
            if size == 1:
                raise MishapeError(
                    f"the device ran out of memory over one image of {grid.shape} pixels: make the field smaller, "
                    "free the device, or work on the host (device cpu)"
                ) from error
            size = max(1, min(size, len(part)) // 2)
            continue
        start += len(part)
    return images


def _fill(images: Array, microscope: PSFMicroscope, batch: Sequence[Emitters], grid: Grid) -> None:
    if not any(len(emitters) for emitters in batch):
        return
    lots = [*lots_of(Keyed.of(microscope), batch, grid)]
    for tile in _tiles(grid, lots, microscope):
        seen = [near for lot in lots if len(near := _near(lot, tile, grid))]
        if seen:
            rows, columns = (
                slice(first, first + n) for first, n in zip((tile.top, tile.left), tile.shape, strict=True)
            )
            images[:, :, rows, columns] = _tile_image(seen, tile, microscope, grid, len(batch))


def _near(lot: Lot, tile: Tile, grid: Grid) -> Lot:
    """Return the emitters whose light can reach a tile, their positions from its middle."""
    xp = arrays.namespace(lot.xyz_nm)
    middle = arrays.like(np.array([*tile.middle_nm(grid), 0.0]), lot.xyz_nm)
    half_y, half_x = (n * grid.pixel_nm / 2 + lot.modes.reach_nm for n in tile.shape)
    xyz = lot.xyz_nm - middle
    inside = (xp.abs(xyz[:, 0]) < half_x) & (xp.abs(xyz[:, 1]) < half_y)
    moved = Lot(lot.name, lot.modes, xyz, lot.photons, lot.image)
    return moved if bool(xp.all(inside)) else moved.taken(xp.nonzero(inside)[0])


def _tiles(grid: Grid, lots: Sequence[Lot], microscope: PSFMicroscope) -> Iterator[Tile]:
    """Cut a grid into tiles of one shape, the last ones overlapping, halved until their grids are small."""
    reach_nm = max(lot.modes.reach_nm for lot in lots)
    shape, most = grid.shape[1:], SERIES_POINTS if _by_series(lots) else TILE_POINTS
    while (points := _grids(shape, grid, lots, microscope, 1.0).points) > most:
        if max(shape) == 1 or max(shape) * grid.pixel_nm <= reach_nm:  # what is left is the light's own reach
            break
        rows, columns = shape
        shape = (-(-rows // 2), columns) if rows >= columns else (rows, -(-columns // 2))
    if points > MAX_POINTS:
        raise MishapeError(
            f"imaging {grid.shape} pixels of {grid.pixel_nm:g} nm with light that reaches {reach_nm:.0f} nm needs "
            f"grids of {points:.1e} points, more than {MAX_POINTS:.0e}: use pixels nearer to the light's own width"
        )
    for top in range(0, grid.shape[1], shape[0]):
        for left in range(0, grid.shape[2], shape[1]):
            yield Tile(min(top, grid.shape[1] - shape[0]), min(left, grid.shape[2] - shape[1]), shape)


def _grids(shape: tuple[int, int], grid: Grid, lots: Sequence[Lot], microscope: PSFMicroscope, beyond: float) -> Grids:
    """Return the grids of a tile that serve emitters up to some of the reach outside it."""
    window, finer = QUALITIES[microscope.quality].window, outline_of(Keyed.of(microscope), grid).finer
    reach_nm = max(lot.modes.reach_nm for lot in lots)
    end = max(float(lot.modes.ends_per_nm.max()) for lot in lots)
    rows, columns = (axis_of(n, grid.pixel_nm, finer, reach_nm, beyond * reach_nm, end, window) for n in shape)
    if _by_series(lots):
        return SeriesGrids(rows, columns, window)
    return FFTGrids(for_fft(rows, end), for_fft(columns, end), window)


def _by_series(lots: Sequence[Lot]) -> bool:
    return arrays.is_host(lots[0].photons) and lots[0].modes.transfer.is_real


def _tile_image(lots: Sequence[Lot], tile: Tile, microscope: PSFMicroscope, grid: Grid, images: int) -> Array:
    """Return a tile's part of the images: (images, planes, rows, columns)."""
    grids = _grids(tile.shape, grid, lots, microscope, _beyond(lots, tile, grid))
    spectra = grids.dark(images, grid.shape[0], lots[0].photons)
    for lot in lots:
        name = (lot.name, grids, arrays.place(lot.photons))
        operator = _operators.get(name, partial(Operator, lot.modes, grids, lot.photons))
        operator.add_to(spectra, lot)
    return grids.pixels(spectra, microscope.integrated_axes())


def _beyond(lots: Sequence[Lot], tile: Tile, grid: Grid) -> float:
    """Return how far outside the tile its emitters lie, in reaches, rounded up; on a device the most there may be.

    A device's numbers must not depend on which other images are in the batch.
    """
    if not arrays.is_host(lots[0].photons):
        return BEYOND[-1]
    reach_nm = max(lot.modes.reach_nm for lot in lots)
    half_nm = np.array(tile.shape[::-1]) * grid.pixel_nm / 2
    outside = max(float(np.abs(lot.xyz_nm[:, axis]).max()) - half_nm[axis] for lot in lots for axis in (0, 1))
    return next((level for level in BEYOND if outside <= level * reach_nm), BEYOND[-1])
