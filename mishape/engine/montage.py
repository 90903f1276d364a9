"""Independent fields -> one sample: photons and rasters are tiled, everything else is put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.arrays import namespace
from mishape.engine.grid import Grid
from mishape.engine.scene import Scene
from mishape.engine.types import Array, Emitters, Raster, Sample


def join(scene: Scene, fields: Sequence[Sample]) -> Sample:
    """Return the sample of a scene from its fields, in the order of their tiles; emitters keep their field's origin."""
    photons = {
        name: tiled([field.photons[name] for field in fields[: view.tiles]], view.montage)
        for name, view in scene.views.items()
    }
    return Sample(
        scene=scene,
        sources=_merged([field.sources for field in fields]),
        poses=_merged([field.poses for field in fields]),
        shapes=_merged([field.shapes for field in fields]),
        emitters=together([field.emitters for field in fields]),
        photons=photons,
        images={},
        truths=_merged_truths(scene, fields),
    )


def tiled(parts: Sequence[Array], montage: tuple[int, int]) -> Array:
    """Put (Z, Y, X) arrays of one library into rows and columns: (Z, rows * Y, columns * X)."""
    rows, columns = montage
    if len(parts) == 1:
        return parts[0]
    xp = namespace(parts[0])
    lines = [xp.concat(parts[row * columns : (row + 1) * columns], axis=-1) for row in range(rows)]
    return xp.concat(lines, axis=-2)


def _merged(parts: Sequence[Any]) -> Any:
    return {key: value for part in parts for key, value in part.items()}


def together(parts: Sequence[Emitters]) -> Emitters:
    """Return the emitters of all parts."""
    if not parts:
        return Emitters(np.empty((0, 3)), np.empty(0), np.empty(0, np.int64))
    if len(parts) == 1:
        return parts[0]
    columns = zip(*((part.xyz_nm, part.photons, part.owner) for part in parts), strict=True)
    return Emitters(*(np.concatenate(column) for column in columns))


def _merged_truths(scene: Scene, fields: Sequence[Sample]) -> dict[str, Raster | NDArray[Any]]:
    """Tile the rasters of each view and concatenate what is not a raster."""
    merged: dict[str, Raster | NDArray[Any]] = {}
    for name, first in fields[0].truths.items():
        parts = [field.truths[name] for field in fields if name in field.truths]
        if isinstance(first, Raster):
            montage = scene.views[name.split(".")[0]].montage
            data = tiled([part.data for part in parts if isinstance(part, Raster)], montage)
            merged[name] = Raster(data, tiled_grid(first.grid, montage))
        else:
            merged[name] = np.concatenate([part for part in parts if not isinstance(part, Raster)])
    return merged


def tiled_grid(grid: Grid, montage: tuple[int, int]) -> Grid:
    """Return the grid of a whole montage."""
    if montage == (1, 1):
        return grid
    planes, rows, columns = grid.shape
    shape = (planes, rows * montage[0], columns * montage[1])
    return Grid(shape, grid.pixel_nm, grid.z_step_nm, grid.planes_nm)
