"""The exact image, emitter by emitter: slow, and the reference for every other way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mishape.engine import arrays
from mishape.engine.extent import extent_of
from mishape.engine.grid import Grid
from mishape.engine.radial import cubic_weights
from mishape.engine.tables import asked
from mishape.engine.types import Emitters, Points

if TYPE_CHECKING:
    from mishape.engine.imaging import PSFMicroscope

NODES_PER_WIDTH = 2.5
"""Gauss-Legendre nodes of the direct sum along each side of a pixel, per half width of the PSF, beyond the first 3."""
STEPS_PER_WIDTH = 32
"""Of the radial table; cubic interpolation between them costs 1e-6 of the peak."""


def direct_sum(microscope: PSFMicroscope, emitters: Emitters, grid: Grid) -> NDArray[np.float64]:
    """Return the image by adding each emitter's PSF, integrated over each pixel.

    Every emitter counts, however far away. Cost grows with emitters x pixels, 25 readings of the PSF for each at usual
    pixels, more where a pixel is wider than the PSF.
    """
    xyz, photons = arrays.to_numpy(emitters.xyz_nm), arrays.to_numpy(emitters.photons)
    z, y, x = grid.centers_nm()
    lateral_nm = extent_of(asked(microscope), float(z[np.argmin(np.abs(z))]), grid.pixel_nm).lateral_nm
    along_y, along_x = (_pixel_rule(grid.pixel_nm, lateral_nm, axis) for axis in microscope.integrated_axes())
    image = np.zeros(grid.shape)
    for position, light in zip(xyz, photons, strict=True):
        dx = (x[:, None] + along_x[0] - position[0]).ravel()
        dy = (y[:, None] + along_y[0] - position[1]).ravel()
        density = _density(microscope, dy, dx, float(position[2]), grid, lateral_nm)
        cells = density.reshape(-1, len(y), len(along_y[0]), len(x), len(along_x[0]))
        image += light * np.einsum("pyaxb,a,b->pyx", cells, along_y[1], along_x[1])
    return image


def _density(microscope: PSFMicroscope, dy: Points, dx: Points, z_nm: float, grid: Grid, lateral_nm: float) -> Points:
    """Return the light per nm^2 at all pairs of offsets from an emitter: (planes, len(dy), len(dx))."""
    focuses, z = grid.centers_nm()[0], np.array([z_nm])
    if not microscope.is_radial:
        y, x = (a.ravel() for a in np.meshgrid(dy, dx, indexing="ij"))
        planes = [microscope.psf_xy(x, y, z, float(focus))[0] for focus in focuses]
        return np.stack(planes).reshape(len(focuses), len(dy), len(dx))
    where = np.hypot(dy[:, None], dx[None, :]) * (STEPS_PER_WIDTH / lateral_nm)
    radii = lateral_nm / STEPS_PER_WIDTH * np.arange(int(where.max()) + 4, dtype=np.float64)
    index, share = cubic_weights(where)
    tables = (microscope.psf(radii, z, float(focus))[0] for focus in focuses)
    return np.stack([(table[index] * share).sum(axis=-1) for table in tables])


def _pixel_rule(pixel_nm: float, lateral_nm: float, integrated: bool) -> tuple[Points, Points]:
    """Return nodes and weights, nm, of a rule along a pixel's side: Gauss-Legendre, or the centre alone."""
    if not integrated:
        return np.zeros(1), np.array([pixel_nm])
    nodes, weights = np.polynomial.legendre.leggauss(3 + math.ceil(NODES_PER_WIDTH * pixel_nm / lateral_nm))
    return nodes * pixel_nm / 2, weights * pixel_nm / 2
