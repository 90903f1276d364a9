"""DeepTrack2's ways: point particles, and the emitters' voxels given as one volume.

Its light is scalar: a clear pupil without the aplanatic factor. It makes one image at a time, so each focal plane is an
image of its own with the emitters' z counted from that plane. It has no confocal.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers.task import TUBE_HALF_DEPTH_NM, Image, Make, Task, Way, voxelised

NEEDS = ("deeptrack",)
PADDING = 32
"""Pixels beyond the field, against light that wraps around."""
AXIAL_NM = {1: 100.0, 2: 50.0, 4: 25.0}
"""Height of a voxel at each sampling."""
NUDGE = 1e-6
"""Voxels; keeps positions that are whole numbers from being rounded to the voxel below."""


def _scatterer() -> Any:
    """Return the class of a scatterer that is made of given voxels; it is placed by its centre of mass."""
    from deeptrack.optical.scatterers import VolumeScatterer

    class Volume(VolumeScatterer):  # type: ignore[misc]
        def __init__(self, voxels: Any, **given: Any) -> None:
            super().__init__(voxels=lambda: voxels, crop_empty=False, **given)

        def get(self, *_: Any, voxels: Any, **__: Any) -> Any:
            return voxels

    return Volume


def _optics(task: Task, sampling: int, z_nm: float) -> Any:
    import deeptrack as dt

    return dt.Fluorescence(
        NA=1.4,
        wavelength=608e-9,
        refractive_index_medium=1.515,
        magnification=1,
        resolution=(task.pixel_nm * 1e-9, task.pixel_nm * 1e-9, z_nm * 1e-9),
        output_region=(0, 0, task.pixels, task.pixels),
        padding=(PADDING,) * 4,
        upscale=(sampling, sampling, 1),
    )


def volume(task: Task, sampling: int) -> Make:
    """Prepare the way of one volume; `sampling` voxels to a pixel's side.

    Release 2.0.2 moves an image by half a pixel when it is sampled finer; the emitters are moved back by as much.
    """
    z_nm, xy_nm = AXIAL_NM[sampling], task.pixel_nm / sampling
    optics, scatterer = _optics(task, sampling, z_nm), _scatterer()
    planes = 2 * round(TUBE_HALF_DEPTH_NM / z_nm) + 1

    def make() -> Image:
        voxels = voxelised(task, xy_nm, z_nm, planes, sampling * task.pixels, (0, -(sampling // 2)))
        voxels = voxels.transpose(2, 1, 0).astype(np.float64)
        middle = [np.average(np.arange(n), weights=voxels.sum(axis=others)) for n, others in _axes(voxels)]
        x, y = ((place - (sampling - 1) / 2 + NUDGE) / sampling for place in middle[:2])
        images = []
        for focus in task.planes_nm:
            z = middle[2] - planes // 2 - focus / z_nm + NUDGE
            images.append(_image(optics(scatterer(voxels, position=(x, y, z), intensity=1))))
        return np.stack(images)

    return make


def _axes(voxels: Image) -> list[tuple[int, tuple[int, int]]]:
    return list(zip(voxels.shape, [(1, 2), (0, 2), (0, 1)], strict=True))


def points(task: Task, sampling: int) -> Make:
    """Prepare the way of point particles: x and y by linear interpolation, z by the voxel below."""
    import deeptrack as dt

    z_nm = AXIAL_NM[sampling]
    optics = _optics(task, sampling, z_nm)
    places = task.xyz_nm / [task.pixel_nm, task.pixel_nm, z_nm] + [(task.pixels - 1) / 2, (task.pixels - 1) / 2, 0.5]

    def make() -> Image:
        images = []
        for focus in task.planes_nm:
            seen = places - [0, 0, focus / z_nm]
            particle = dt.PointParticle(position=lambda _ID, seen=seen: seen[_ID[-1]], intensity=1)
            images.append(_image(optics(particle ^ len(seen))))
        return np.stack(images)

    return make


def _image(scene: Any) -> Image:
    return np.asarray(scene.update().resolve())[:, :, 0].T


FINEST = "DeepTrack2: volume 4x"
WAYS = {
    "widefield": {
        FINEST: Way(partial(volume, sampling=4), runs=0),
        "DeepTrack2: volume 1x": Way(partial(volume, sampling=1), limit=FINEST),
        "DeepTrack2: volume 2x": Way(partial(volume, sampling=2), runs=3, limit=FINEST),
        "DeepTrack2: points": Way(partial(points, sampling=1), runs=0, limit=FINEST),
    }
}
