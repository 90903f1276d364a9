"""Emitters x PSF x grid -> expected photons.

Two ways of computing the same image stand here. `direct_sum` adds every emitter's pixel-integrated PSF exactly and is
the reference. `fast_image` applies the joint low-rank operator of `mishape.engine.lowrank`: K maps spread on a grid
and K forward FFTs serve every plane.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import OrderedDict
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mishape.engine import arrays
from mishape.engine.component import Component, Keyed
from mishape.engine.extent import Extent
from mishape.engine.lowrank import Operator, build_operator, extent_on, slab_depth_nm
from mishape.engine.radial import cubic_weights
from mishape.engine.spreading import axis_weights
from mishape.engine.tables import asked, tabulated
from mishape.engine.types import Array, Emitters, Grid, Points

NODES_PER_WIDTH = 2.5
"""Gauss-Legendre nodes of the direct sum along each side of a pixel, per half width of the PSF, beyond the first 3."""
CACHED_BYTES = 1 << 30
"""Memory that a process keeps operators in."""


class PSFMicroscope(Component):
    """Base of microscopes that are described by a PSF: give `psf`, get `image`.

    A third party's microscope subclasses this, names its ``kind`` and parameters, and implements `psf`; pixel
    integration, positions off the grid and planes are done here.
    """

    @abstractmethod
    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        """Return the photon fraction per nm^2 at lateral distance r of emitters at z.

        Parameters
        ----------
        r_nm
            (n_r,) distances from the axis, nm.
        z_nm
            (n_z,) world z of the emitters, nm.
        focus_nm
            The plane's z on the `Grid`, nm: the objective's travel.

        Returns
        -------
        (n_z, n_r) float64. A widefield PSF integrates to 1 over each unbounded plane.
        """

    def through_focus(self, r_nm: Points, z_nm: float, planes_nm: Points) -> Points:
        """Return the PSF of an emitter at one z as the objective travels: (len(planes_nm), len(r_nm)).

        One call of `psf` for each plane; a microscope that can do them together says so by its own method.
        """
        return np.concatenate([self.psf(r_nm, np.array([z_nm]), float(plane)) for plane in planes_nm])

    def integrated_axes(self) -> tuple[bool, bool]:
        """Return whether a pixel integrates over its height (y) and its width (x); what it does not, it samples.

        A sampled axis counts as the pixel's size times the light at its centre.
        """
        return True, True

    def focus_in_sample_nm(self, planes_nm: Points) -> Points:
        """Return the world z that is in focus at each plane; the same where refractive indices match."""
        return planes_nm

    def image(self, emitters: Emitters, grid: Grid) -> Array:
        """Return (Z, Y, X) expected photons, in the array library and on the device of the emitters."""
        return fast_image(self, emitters, grid)


def direct_sum(microscope: PSFMicroscope, emitters: Emitters, grid: Grid) -> NDArray[np.float64]:
    """Return the image by adding each emitter's PSF, integrated over each pixel: slow, and the reference.

    Every emitter counts, however far away. Cost grows with emitters x pixels, 25 readings of the PSF for each at usual
    pixels, more where a pixel is wider than the PSF.
    """
    xyz, photons = arrays.to_numpy(emitters.xyz_nm), arrays.to_numpy(emitters.photons)
    z, y, x = grid.centers_nm()
    lateral_nm = extent_on(microscope.psf, grid).lateral_nm
    along_y, along_x = (_pixel_rule(grid.pixel_nm, lateral_nm, axis) for axis in microscope.integrated_axes())
    step_nm = lateral_nm / 32
    image = np.zeros(grid.shape)
    for position, light in zip(xyz, photons, strict=True):
        dx = (x[:, None] + along_x[0] - position[0]).ravel()
        dy = (y[:, None] + along_y[0] - position[1]).ravel()
        where = np.hypot(dy[:, None], dx[None, :]) / step_nm
        radii = step_nm * np.arange(int(where.max()) + 4, dtype=np.float64)
        index, share = cubic_weights(where)
        for plane, focus in enumerate(z):
            density = (microscope.psf(radii, position[2:], focus)[0][index] * share).sum(axis=-1)
            cells = density.reshape(len(y), len(along_y[0]), len(x), len(along_x[0]))
            image[plane] += light * np.einsum("yaxb,a,b->yx", cells, along_y[1], along_x[1])
    return image


def _pixel_rule(pixel_nm: float, lateral_nm: float, integrated: bool) -> tuple[Points, Points]:
    """Return nodes and weights, nm, of a rule along a pixel's side: Gauss-Legendre, or the centre alone."""
    if not integrated:
        return np.zeros(1), np.array([pixel_nm])
    nodes, weights = np.polynomial.legendre.leggauss(3 + math.ceil(NODES_PER_WIDTH * pixel_nm / lateral_nm))
    return nodes * pixel_nm / 2, weights * pixel_nm / 2


@lru_cache(maxsize=256)
def _extent(key: Keyed, grid: Grid) -> Extent:
    return extent_on(asked(key.component), grid)


_operators: OrderedDict[tuple[Keyed, Grid, int], Operator] = OrderedDict()


def _operator(key: Keyed, grid: Grid, slab: int) -> Operator:
    """Return a slab's operator, the most recently used ones from memory."""
    name = (key, grid, slab)
    operator = _operators.pop(name, None) or _built(*name)
    _operators[name] = operator
    while len(_operators) > 1 and sum(held.spectra.nbytes for held in _operators.values()) > CACHED_BYTES:
        _operators.popitem(last=False)
    return operator


def _built(key: Keyed, grid: Grid, slab: int) -> Operator:
    scope = key.component
    return build_operator(tabulated(scope), grid, _extent(key, grid), slab, scope.integrated_axes())


def fast_image(microscope: PSFMicroscope, emitters: Emitters, grid: Grid) -> Array:
    """Return the image by joint low-rank operators, one per slab of z, within 1 % of the peak of `direct_sum`."""
    image = arrays.like(np.zeros(grid.shape), emitters.photons)
    if len(emitters) == 0:
        return image
    xp = arrays.namespace(emitters.xyz_nm, emitters.photons)
    key = Keyed.of(microscope)
    slabs = xp.round(emitters.xyz_nm[:, 2] / slab_depth_nm(_extent(key, grid)))
    for slab in np.unique(arrays.to_numpy(slabs)):
        mine = xp.nonzero(slabs == float(slab))[0]
        image = image + _slab_image(_taken(emitters, mine), grid, _operator(key, grid, int(slab)))
    return image


def _slab_image(emitters: Emitters, grid: Grid, operator: Operator) -> Array:
    xp = arrays.namespace(emitters.xyz_nm, emitters.photons)
    seen = _taken(emitters, _within(emitters, grid, operator.margin_nm))
    maps = _maps(seen, grid, operator)
    mixed = xp.sum(arrays.like(operator.spectra, seen.photons) * arrays.rfft2(maps)[None, ...], axis=1)
    fine = arrays.irfft2(mixed, operator.size[1])
    step = operator.finer
    return fine[:, : grid.shape[1] * step : step, : grid.shape[2] * step : step]


def _taken(emitters: Emitters, numbers: Array) -> Emitters:
    xp = arrays.namespace(emitters.xyz_nm)
    return Emitters(xp.take(emitters.xyz_nm, numbers, axis=0), xp.take(emitters.photons, numbers, axis=0))


def _within(emitters: Emitters, grid: Grid, margin_nm: float) -> Array:
    """Return the numbers of the emitters whose light can reach the field."""
    xp = arrays.namespace(emitters.xyz_nm)
    half_x, half_y = grid.half_field_nm()
    x, y = xp.abs(emitters.xyz_nm[:, 0]), xp.abs(emitters.xyz_nm[:, 1])
    return xp.nonzero((x < half_x + margin_nm) & (y < half_y + margin_nm))[0]


def _maps(emitters: Emitters, grid: Grid, operator: Operator) -> Array:
    """Spread the emitters, weighted by v_k(z), onto the periodic grid: (rank, rows, columns)."""
    xyz, photons = emitters.xyz_nm, emitters.photons
    xp = arrays.namespace(xyz)
    _, y, x = grid.centers_nm()
    per_nm = operator.finer / grid.pixel_nm
    rows, row_weights = axis_weights((xyz[:, 1] - float(y[0])) * per_nm, operator.size[0], operator.beta)
    columns, column_weights = axis_weights((xyz[:, 0] - float(x[0])) * per_nm, operator.size[1], operator.beta)
    touched = rows.shape[1] ** 2
    index = xp.reshape(rows[:, :, None] * operator.size[1] + columns[:, None, :], (-1, touched))
    weights = xp.reshape(row_weights[:, :, None] * column_weights[:, None, :], (-1, touched))
    cells = arrays.spread(index, weights, _axial_values(xyz[:, 2], operator) * photons[:, None], operator.cells)
    return xp.reshape(xp.permute_dims(cells, (1, 0)), (-1, *operator.size))


def _axial_values(z_nm: Array, operator: Operator) -> Array:
    """Return v_k at each emitter's z, linear between the nodes: (n, rank)."""
    xp = arrays.namespace(z_nm)
    axial = arrays.like(operator.axial, z_nm)
    position = (z_nm - operator.z_start_nm) / operator.z_step_nm
    base = xp.clip(xp.floor(position), 0, axial.shape[0] - 2)
    fraction = (position - base)[:, None]
    below = xp.astype(base, xp.int64)
    return xp.take(axial, below, axis=0) * (1 - fraction) + xp.take(axial, below + 1, axis=0) * fraction
