"""What one writes without a package, with this project's own PSF, so that no error is the PSF's.

A PSF for each emitter, or the emitters' voxels convolved in 3D. What depends on the optics alone is made beforehand:
the table of PSFs, the PSF's spectrum. Single precision.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.task import TUBE_HALF_DEPTH_NM, Image, Make, Task, Way, binned, voxelised
from benchmarks.peers.work import SCOPES

NEEDS = ("scipy.fft", "scipy.ndimage")
PLACES = 8
"""Places within a pixel, along each axis, that the table of PSFs has."""
TABLE_Z_NM = 25.0
NODES = 3
"""Gauss-Legendre nodes along each side of a pixel."""
Stack = NDArray[np.float32]


def pixel_psf(task: Task, points_nm: NDArray[Any], z_nm: NDArray[Any], pixel_nm: float) -> Stack:
    """Return the fraction of the light in pixels centred on points_nm x points_nm: (len(z_nm), n, n)."""
    distances, mirrored = np.unique(np.abs(points_nm), return_inverse=True)
    radii = np.arange(0.0, 1.5 * (distances[-1] + pixel_nm), 2.0)
    table = SCOPES[task.modality].psf(radii, z_nm, 0.0)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    quadrant: Stack = np.zeros((len(z_nm), len(distances), len(distances)), np.float32)
    for dy, wy in zip(nodes, weights, strict=True):
        for dx, wx in zip(nodes, weights, strict=True):
            r = np.hypot(distances[:, None] + dy * pixel_nm / 2, distances + dx * pixel_nm / 2)
            for plane, row in zip(quadrant, table, strict=True):
                plane += wy * wx * pixel_nm**2 / 4 * np.interp(r, radii, row)
    return quadrant[:, mirrored][:, :, mirrored]


def splat(task: Task) -> Make:
    """Add a PSF for each emitter: the nearest of 8 x 8 places in its pixel, every 25 nm of z, a quarter field wide."""
    reach = task.pixels // 4
    points = (np.arange((2 * reach + 1) * PLACES) - (reach * PLACES + (PLACES - 1) / 2)) * task.pixel_nm / PLACES
    deepest = round((TUBE_HALF_DEPTH_NM - task.planes_nm[0]) / TABLE_Z_NM)
    table = pixel_psf(task, points, np.arange(-deepest, deepest + 1) * TABLE_Z_NM, task.pixel_nm)
    side = 2 * reach + 1
    # (z, place y, place x, rows, columns): the light of an emitter that far below and left of its pixel's last place.
    table = np.ascontiguousarray(table.reshape(-1, side, PLACES, side, PLACES).transpose(0, 2, 4, 1, 3))

    def make() -> Image:
        image = np.zeros((len(task.planes_nm), *(task.pixels + 2 * side,) * 2))
        place = np.floor((task.xyz_nm[:, :2] / task.pixel_nm + task.pixels / 2) * PLACES).astype(int)
        (columns, rows), (x, y) = (place // PLACES).T, (PLACES - 1 - place % PLACES).T
        depth = np.rint((task.xyz_nm[:, 2] - task.planes_nm[:, None]) / TABLE_Z_NM).astype(int) + deepest
        for n, light in enumerate(task.photons):
            top, left = rows[n] + side - reach, columns[n] + side - reach
            image[:, top : top + side, left : left + side] += light * table[depth[:, n], y[n], x[n]]
        return image[:, side:-side, side:-side]

    return make


def convolved(task: Task, xy_nm: float, z_nm: float, linear: bool = False) -> Make:
    """Convolve the emitters' voxels with the PSF in 3D, then bin voxels to pixels, or read them at pixels' centres."""
    from scipy.fft import irfftn, next_fast_len, rfftn

    bins, field = task.pixel_nm / xy_nm, task.pixels * task.pixel_nm
    binning = bins == round(bins)
    planes, pixels = 2 * round(TUBE_HALF_DEPTH_NM / z_nm) + 1, round(field / xy_nm)
    depth = np.arange(1 - planes, planes) * z_nm
    points = np.arange(1 - pixels, pixels) * xy_nm
    psf = pixel_psf(task, points, -depth, xy_nm if binning else task.pixel_nm)
    # Its middle at the origin of a periodic grid that is large enough for light to wrap nowhere.
    size = [next_fast_len(2 * planes - 1, True), *(next_fast_len(2 * pixels - 1, True),) * 2]
    room = np.pad(psf, [(0, n - m) for n, m in zip(size, psf.shape, strict=True)])
    spectrum = rfftn(np.roll(room, (1 - planes, 1 - pixels, 1 - pixels), (0, 1, 2)))
    in_focus = np.rint(task.planes_nm / z_nm).astype(int) + planes // 2

    def make() -> Image:
        deposit = trilinear if linear else voxelised
        voxels = deposit(task, xy_nm, z_nm, planes, pixels)
        light = irfftn(rfftn(voxels, size) * spectrum, size)[in_focus, :pixels, :pixels]
        return binned(light, round(bins)) if binning else _read(light, task, xy_nm)

    return make


def trilinear(task: Task, xy_nm: float, z_nm: float, planes: int, pixels: int) -> Stack:
    """Return the emitters' light shared among the eight nearest voxels of each."""
    place = task.xyz_nm / [xy_nm, xy_nm, z_nm] + (np.array([pixels, pixels, planes]) - 1) / 2
    base = np.floor(place).astype(int)
    share = place - base
    voxels = np.zeros(planes * pixels**2)
    for corner in np.ndindex(2, 2, 2):
        x, y, z = (base + corner).T
        weight = np.prod(np.where(np.array(corner) == 1, share, 1 - share), axis=1)
        voxels += np.bincount((z * pixels + y) * pixels + x, weight * task.photons, len(voxels))
    return voxels.reshape(planes, pixels, pixels).astype(np.float32)


def _read(light: Image, task: Task, xy_nm: float) -> Image:
    """Return light at the pixels' centres, by cubic splines."""
    from scipy.ndimage import map_coordinates

    centres = (np.arange(task.pixels) - (task.pixels - 1) / 2) * task.pixel_nm / xy_nm + (light.shape[1] - 1) / 2
    where = np.meshgrid(centres, centres, indexing="ij")
    return np.stack([map_coordinates(plane, where, order=3, mode="nearest") for plane in light])


def _ways(pixel_nm: float) -> dict[str, Way]:
    return {
        "by hand: a PSF for each emitter": Way(splat, 3),
        "by hand: voxels of 50 nm": Way(partial(convolved, xy_nm=50.0, z_nm=50.0), 5),
        "by hand: trilinear voxels of 25 nm": Way(partial(convolved, xy_nm=25.0, z_nm=25.0, linear=True), 1),
        "by hand: voxels 2x finer": Way(partial(convolved, xy_nm=pixel_nm / 2, z_nm=50.0), 5),
        "by hand: voxels 4x finer": Way(partial(convolved, xy_nm=pixel_nm / 4, z_nm=25.0), 1),
    }


WAYS = {"widefield": _ways(80.0), "confocal": _ways(70.0)}
