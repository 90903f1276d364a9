"""2D masks of the labelled shapes, one per view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import model_validator

from mishape.engine.arrays import to_numpy
from mishape.engine.columns import silhouette
from mishape.engine.component import Component, Flag
from mishape.engine.grid import Grid
from mishape.engine.types import Emitters, Raster, Sample

FINER = 4
"""Places along each edge of a pixel at which it is asked whether it is covered."""


class Masks2D(Component):
    """Foreground of each view, (1, Y, X) uint16: 0 outside, 1 inside (or the object's number from 1).

    Four definitions, by name, because published ones differ:

    projection
        A pixel is foreground where the silhouette of a shape covers its centre.
    touched
        A pixel is foreground where the silhouette covers any of it, to a quarter of a pixel: what `emitters` tends to
        with ever denser labels, half a pixel wider all around than `projection`.
    emitters
        A pixel is foreground where it holds at least one emitter (Sekh et al. 2021, their code).
    blur
        A pixel is foreground where the noise-free image (the maximum over planes) is at least half of its maximum,
        in each field of a montage (the MiShape paper's text, with half of the maximum as this project's threshold).

    A view's mask shows the objects of the channel that the view sees best, not what bleeds into it.
    """

    kind: Literal["masks_2d"] = "masks_2d"
    definition: Literal["projection", "touched", "emitters", "blur"] = "projection"
    """What counts as foreground; default projection."""
    instances: Flag = False
    """Write the object's number (from 1; where objects overlap, the last one's) instead of 1; default false."""

    @model_validator(mode="after")
    def _instances_are_known(self) -> Self:
        if self.instances and self.definition == "blur":
            raise ValueError("instances need another definition than blur: a blurred image has no instances")
        return self

    def measure(self, sample: Sample, rng: Generator) -> Mapping[str, Raster | NDArray[Any]]:
        """Return ``view.masks_2d`` for every view."""
        rasters = {}
        for name, view in sample.scene.views.items():
            grid = Grid((1, *view.grid.shape[1:]), view.grid.pixel_nm)
            mask = np.zeros(grid.shape, dtype=np.uint16)
            if self.definition == "blur":
                brightest = shown_light(sample, name).max(axis=0)
                mask[0] = (brightest > 0) & (brightest >= brightest.max() / 2)
            else:
                for number in shown_objects(sample, name):
                    mask[0][self._covered(sample, number, grid)] = number + 1 if self.instances else 1
            rasters[f"{name}.masks_2d"] = Raster(mask, grid)
        return rasters

    def _covered(self, sample: Sample, number: int, grid: Grid) -> NDArray[np.bool_]:
        if self.definition in ("projection", "touched"):
            return silhouette(sample.shapes[number].surface, grid, FINER if self.definition == "touched" else 1)
        return emitter_pixels(sample.emitters.xyz_nm[sample.emitters.owner == number], grid)


def shown_objects(sample: Sample, view_name: str) -> Iterator[int]:
    """Yield the numbers of the objects whose channel the view sees best."""
    things = sample.scene.objects
    channels = sample.scene.views[view_name].main_channels({things[number].channel for number in sample.shapes})
    yield from (number for number in sample.shapes if things[number].channel in channels)


def shown_light(sample: Sample, view_name: str) -> NDArray[np.floating]:
    """Return the expected photons of the objects that the view shows, (Z, Y, X): without what bleeds into it."""
    shown = list(shown_objects(sample, view_name))
    if len(shown) == len(sample.shapes):
        return sample.photons[view_name]
    view, emitters = sample.scene.views[view_name], sample.emitters
    mine = np.isin(emitters.owner, shown)
    light = view.microscope.image(Emitters(emitters.xyz_nm[mine], emitters.photons[mine]), view.grid)
    return np.asarray(to_numpy(light))


def emitter_pixels(xyz_nm: NDArray[np.float64], grid: Grid) -> NDArray[np.bool_]:
    """Return which pixels hold at least one emitter, (Y, X)."""
    _, y, x = grid.centers_nm()
    column = np.rint((xyz_nm[:, 0] - x[0]) / grid.pixel_nm).astype(np.int64)
    row = np.rint((xyz_nm[:, 1] - y[0]) / grid.pixel_nm).astype(np.int64)
    within = (row >= 0) & (row < len(y)) & (column >= 0) & (column < len(x))
    mask = np.zeros((len(y), len(x)), dtype=bool)
    mask[row[within], column[within]] = True
    return mask
