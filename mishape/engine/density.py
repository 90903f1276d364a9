"""Light given voxel by voxel rather than emitter by emitter."""

from __future__ import annotations

import numpy as np

from mishape.engine import arrays
from mishape.engine.errors import EmitterError
from mishape.engine.grid import Grid
from mishape.engine.types import Array, Emitters


def emitters_of(photons: Array, voxels: Grid) -> Emitters:
    """Return the emitters that stand for a volume of light: one in the middle of each voxel.

    With torch an image of them is differentiable with respect to the volume. Voxels should be finer than the
    microscope's resolution: at a third of its FWHM along each axis an image is within 1 % of that of an even density.

    Parameters
    ----------
    photons
        (Z, Y, X) photons of each voxel, as `Emitters.photons`; of any array library.
    voxels
        The voxels' grid: where each one's middle lies.

    Raises
    ------
    EmitterError
        If the volume is not of the grid's shape.
    """
    if tuple(photons.shape) != voxels.shape:
        raise EmitterError(f"a volume of shape {tuple(photons.shape)} does not fit the grid's {voxels.shape} voxels")
    z, y, x = np.meshgrid(*voxels.centers_nm(), indexing="ij")
    xyz = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    return Emitters(arrays.like(xyz, photons), arrays.namespace(photons).reshape(photons, (-1,)))
