"""3D instance masks, at the view's planes or at a finer voxel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.columns import voxelise
from mishape.engine.component import Component, Real
from mishape.engine.grid import Grid
from mishape.engine.scene import View
from mishape.engine.types import Raster, Sample
from mishape.plugins.truths.masks_2d import shown_objects


class Masks3D(Component):
    """Which object each voxel's centre lies in, (Z, Y, X) uint16: 0 outside, else the object's number from 1.

    Without `voxel_nm` the voxels are the view's pixels, at the z where the specimen is in focus in each plane, so
    masks and light overlap. Where objects overlap, the last one's number stands.
    """

    kind: Literal["masks_3d"] = "masks_3d"
    voxel_nm: Real | None = Field(default=None, gt=0, le=10_000)
    """Edge of cubic voxels over the view's field, nm; default the view's own pixels and planes."""
    z_margin_nm: Real = Field(default=1000.0, ge=0, le=1e6)
    """With `voxel_nm`: how far the voxels reach below the lowest and above the highest plane, nm; default 1000."""

    def measure(self, sample: Sample, rng: Generator) -> Mapping[str, Raster | NDArray[Any]]:
        """Return ``view.masks_3d`` for every view."""
        rasters = {}
        for name, view in sample.scene.views.items():
            grid = view.sharp_grid if self.voxel_nm is None else self._fine_grid(view, self.voxel_nm)
            labels = np.zeros(grid.shape, dtype=np.uint16)
            for number in shown_objects(sample, name):
                labels[voxelise(sample.shapes[number], grid)] = number + 1
            rasters[f"{name}.masks_3d"] = Raster(labels, grid)
        return rasters

    def _fine_grid(self, view: View, voxel_nm: float) -> Grid:
        """Return cubic voxels centred on the field, and on the middle of the planes."""
        planes = np.asarray(view.sharp_grid.planes_nm)
        middle = (planes.min() + planes.max()) / 2
        depth = max(1, math.ceil((np.ptp(planes) + 2 * self.z_margin_nm) / voxel_nm))
        rows, columns = (max(1, round(count * view.grid.pixel_nm / voxel_nm)) for count in view.grid.shape[1:])
        heights = middle + (np.arange(depth) - (depth - 1) / 2) * voxel_nm
        return Grid((depth, rows, columns), voxel_nm, planes_nm=tuple(float(z) for z in heights))
