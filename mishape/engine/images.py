"""Whole images from emitters: slab by slab of z, and tile by tile of the field where it is large.

Over each slab the microscope's PSF is a sum of a few modes (`mishape.engine.modes`). Their maps are spread on a tile's
grids and transformed; every plane's transform is a weighted sum of those, and one inverse transform makes the plane.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from mishape.engine import arrays
from mishape.engine.component import Keyed
from mishape.engine.errors import MishapeError
from mishape.engine.grid import Grid
from mishape.engine.operators import Operator
from mishape.engine.quality import QUALITIES
from mishape.engine.recent import Recent
from mishape.engine.slabs import Lot, lots_of, outline_of
from mishape.engine.tiling import Demand, Tile, grids_of, tiles_of
from mishape.engine.types import Array, Emitters

if TYPE_CHECKING:
    from mishape.engine.imaging import PSFMicroscope

BEYOND = (0.0, 0.25, 0.5, 1.0)
"""Levels, in reaches, of how far outside a tile its grids hold emitters: on the host the least that will do."""
BATCH_NUMBERS = 1 << 28
"""Pixels, 64 times over, of the images that a device is first given at once: fewer where its memory does not do."""
OPERATORS_BYTES = 1 << 30
"""Memory that a process keeps operators in."""

_operators: Recent[Operator] = Recent(OPERATORS_BYTES, lambda operator: operator.nbytes)


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
    size = 1 if arrays.is_host(images) else max(1, BATCH_NUMBERS // (64 * math.prod(grid.shape)))
    start = 0
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
    whole, lots = Tile(0, 0, (grid.shape[1], grid.shape[2])), [*lots_of(Keyed.of(microscope), batch, grid)]
    lots = _near(_near(lots, whole, grid, axis=1), whole, grid, axis=0)
    if not lots:
        return
    demand, modes = _demand(lots, microscope, grid), sum(lot.modes.axial.shape[1] for lot in lots)
    for _, row in groupby(tiles_of(grid, demand, modes, _beyond(lots, whole, grid)), lambda tile: tile.top):
        tiles = [*row]
        beside = _near(lots, tiles[0], grid, axis=1)  # the row's: else each tile would look at all emitters
        for tile in tiles:
            if seen := _near(beside, tile, grid, axis=0):
                images[:, :, *tile.part] = _tile_image(seen, tile, demand, microscope, grid, len(batch))


def _demand(lots: Sequence[Lot], microscope: PSFMicroscope, grid: Grid) -> Demand:
    return Demand(
        pixel_nm=grid.pixel_nm,
        finer=outline_of(Keyed.of(microscope), grid).finer,
        reach_nm=max(lot.modes.reach_nm for lot in lots),
        end_per_nm=max(float(lot.modes.ends_per_nm.max()) for lot in lots),
        window=QUALITIES[microscope.quality].window,
        by_series=arrays.is_host(lots[0].photons) and microscope.is_radial,
    )


def _near(lots: Sequence[Lot], tile: Tile, grid: Grid, axis: int) -> list[Lot]:
    """Return the emitters whose light can reach a tile along x (0) or y (1); slabs that have none are left out."""
    low, high = tile.ends_nm(grid)[axis]
    found = []
    for lot in lots:
        reach_nm, (lowest, highest) = lot.modes.reach_nm, lot.extent_nm[axis]
        if not (low - reach_nm < lowest and highest < high + reach_nm):
            place = lot.xyz_nm[:, axis]
            inside = (place > low - reach_nm) & (place < high + reach_nm)
            lot = lot.taken(arrays.namespace(place).nonzero(inside)[0])
        found += [lot] if len(lot) else []
    return found


def _tile_image(
    lots: Sequence[Lot], tile: Tile, demand: Demand, microscope: PSFMicroscope, grid: Grid, images: int
) -> Array:
    """Return a tile's part of the images: (images, planes, rows, columns)."""
    grids = grids_of(demand, tile.shape, _beyond(lots, tile, grid))
    spectra = grids.dark(images, grid.shape[0], lots[0].photons)
    middle_nm = arrays.like(np.array([*tile.middle_nm(grid), 0.0]), lots[0].xyz_nm)
    for lot in lots:
        name = (lot.name, grids, arrays.place(lot.photons))
        operator = _operators.get(name, partial(Operator, lot.modes, grids, lot.photons))
        operator.add_to(spectra, replace(lot, xyz_nm=lot.xyz_nm - middle_nm))
    return grids.pixels(spectra, microscope.integrated_axes())


def _beyond(lots: Sequence[Lot], tile: Tile, grid: Grid) -> float:
    """Return how far outside the tile its emitters lie, in reaches, rounded up; on a device the most there may be.

    So a device's grids depend on the slabs that a batch's emitters lie in, and not on where they are otherwise.
    """
    if not arrays.is_host(lots[0].photons):
        return BEYOND[-1]
    reach_nm = max(lot.modes.reach_nm for lot in lots)
    outside = max(
        max(low - lowest, highest - high)
        for lot in lots
        for (low, high), (lowest, highest) in zip(tile.ends_nm(grid), lot.extent_nm, strict=True)
    )
    return next((level for level in BEYOND if outside <= level * reach_nm), BEYOND[-1])
