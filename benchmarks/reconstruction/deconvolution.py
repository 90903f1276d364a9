"""Light taken apart again: Richardson and Lucy's iterations in three dimensions, with the engine's own PSFs.

W. H. Richardson, J. Opt. Soc. Am. 62 (1972), doi 10.1364/JOSA.62.000055; L. B. Lucy, Astron. J. 79 (1974), doi
10.1086/111605.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from benchmarks.reconstruction.baseline import Calibrated, Counts
from benchmarks.reconstruction.fields import solid
from benchmarks.reconstruction.silhouettes import background
from mishape.engine.component import Keyed
from mishape.engine.grid import Grid
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.engine.types import Emitters, Points

FINER = 2
"""Voxels along a pixel."""
STEP_NM, REACH_NM = 80.0, 720.0
"""Between the layers of voxels, and how far they reach beyond the outer planes."""
ITERATIONS = 30
SMOOTHED = 0.7
"""Standard deviation, in voxels, of the Gaussian filter over what was deconvolved."""
Volume = NDArray[np.float32]


@dataclass(frozen=True)
class Imaging:
    """The image of a volume of light: every layer blurred for every plane, summed, and binned to pixels.

    Light that leaves the field on one side comes in on the other.

    Parameters
    ----------
    transfer
        (planes, layers, rows, columns) transforms of the PSFs on voxels.
    z_nm
        (layers,) world z.
    voxels
        (rows, columns) of a layer.
    """

    transfer: NDArray[np.complex64]
    z_nm: Points
    voxels: tuple[int, int]

    def image(self, light: Volume) -> Volume:
        """Return the (planes, rows, columns) of pixels that see (layers, rows, columns) of light."""
        seen = fft.irfft2(np.einsum("pzyx,zyx->pyx", self.transfer, fft.rfft2(light)), s=self.voxels)
        planes, rows, columns = seen.shape
        return np.asarray(seen.reshape(planes, rows // FINER, FINER, columns // FINER, FINER).sum(axis=(2, 4)))

    def back(self, planes: Volume) -> Volume:
        """Return the transpose of `image`."""
        finer = planes.repeat(FINER, axis=1).repeat(FINER, axis=2)
        light = np.einsum("pzyx,pyx->zyx", self.transfer.conj(), fft.rfft2(finer))
        return np.asarray(fft.irfft2(light, s=self.voxels))


def imaging_of(view: View) -> Imaging:
    """Return how a view images voxels that are half a pixel wide."""
    return _imaging_of(Keyed.of(view.microscope), view.grid)


@lru_cache(maxsize=8)
def _imaging_of(key: Keyed, grid: Grid) -> Imaging:
    view = View(grid=grid, microscope=key.component)
    focus_nm = view.focus_in_sample_nm()
    layers = round((np.ptp(focus_nm) + 2 * REACH_NM) / STEP_NM) + 1
    z_nm = np.linspace(focus_nm.min() - REACH_NM, focus_nm.max() + REACH_NM, layers)
    planes, rows, columns = grid.shape
    step_nm = grid.pixel_nm / FINER
    fine = Grid((planes, FINER * rows, FINER * columns), step_nm, planes_nm=tuple(grid.centers_nm()[0].tolist()))
    # In the middle of the voxel that becomes the first.
    lone = [Emitters(np.array([[step_nm / 2, step_nm / 2, z]]), np.ones(1)) for z in z_nm]
    psfs = np.stack([np.asarray(key.component.image(one, fine)) for one in lone], axis=1)
    first = np.roll(psfs, (-(FINER * rows // 2), -(FINER * columns // 2)), axis=(2, 3))
    transfer = np.asarray(fft.rfft2(first.astype(np.float32)), np.complex64)
    return Imaging(transfer, z_nm, (FINER * rows, FINER * columns))


def deconvolved(counts: Counts, view: View, iterations: int = ITERATIONS) -> Volume:
    """Return the light of (layers, rows, columns) of voxels that an image shows, over its background."""
    imaging, dark = imaging_of(view), max(background(counts), 1.0)
    seen = counts.astype(np.float32)
    reach = imaging.back(np.ones(seen.shape, np.float32)).clip(min=1e-6)
    light = np.full(
        (len(imaging.z_nm), *imaging.voxels), max(float(seen.mean()) - dark, 1.0) / len(imaging.z_nm), np.float32
    )
    for _ in range(iterations):
        ratio = np.asarray(seen / (imaging.image(light).clip(min=0) + dark), np.float32)
        light *= (imaging.back(ratio) / reach).clip(min=0)
    return light


@dataclass(frozen=True)
class Deconvolution(Calibrated):
    """Deconvolved light, cut at a share of its brightest: the number."""

    name = "deconvolution + marching cubes"
    amounts = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7)
    amount: float = 0.3

    def seen(self, counts: Counts, view: View) -> Volume:
        light = ndimage.gaussian_filter(deconvolved(counts, view), SMOOTHED)
        return np.asarray(light / max(float(light.max()), 1e-30))

    def solid(self, seen: Volume, view: View) -> SampledField | None:
        parts, count = ndimage.label(seen > self.amount)
        if not count:
            return None
        largest = ndimage.find_objects(parts)[int(np.argmax(np.bincount(parts.ravel())[1:]))]
        origin_nm, step_nm = _voxels(view)
        low_nm, high_nm = (
            origin_nm + step_nm * [getattr(cut, end) for cut in largest[::-1]] for end in ("start", "stop")
        )

        def told(places_nm: Points) -> Points:
            z, y, x = ((places_nm - origin_nm) / step_nm).T[::-1]
            light = ndimage.map_coordinates(seen, [z, y, x], order=1, mode="nearest")
            return np.asarray(self.amount - light, np.float64)

        return solid(told, low_nm - step_nm, high_nm)


def _voxels(view: View) -> tuple[Points, Points]:
    """Return the place of the first voxel's middle, and the voxels' edges: (3,) nm each, x first."""
    z_nm, (_, rows, columns) = imaging_of(view).z_nm, view.grid.shape
    edge_nm = view.grid.pixel_nm / FINER
    across_nm = (np.array([columns, rows]) * FINER - 1) * edge_nm / 2
    return np.array([*-across_nm, z_nm[0]]), np.array([edge_nm, edge_nm, z_nm[1] - z_nm[0]])
