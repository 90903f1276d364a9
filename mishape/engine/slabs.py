"""Emitters by slabs of z, each with the microscope's modes over that slab."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from mishape.engine import arrays
from mishape.engine.component import Keyed
from mishape.engine.extent import Extent, extent_of
from mishape.engine.grid import Grid
from mishape.engine.modes import FREQUENCIES, Modes, band_end, build_modes
from mishape.engine.quality import QUALITIES
from mishape.engine.reach import reach_of
from mishape.engine.recent import Recent
from mishape.engine.sampling import RadialSampling, Sampling, SquareSampling
from mishape.engine.tables import asked, asked_xy, tabulated
from mishape.engine.types import Array, Emitters, Points

if TYPE_CHECKING:
    from mishape.engine.imaging import PSFMicroscope

DEPTH = 5.4
"""Depth of a slab, in axial half widths of the PSF (1.6 um at NA 1.4). An emitter's own z decides which modes image it,
so the image of many emitters is exactly the sum of the images of each."""
SHARP_WIDTHS = 24.0
"""Lateral half widths within which the PSF in focus tells how fine it is, ..."""
ENDED = 2e-3
"""... and the fraction of the strongest below which its transfer function has ended."""
MODES_BYTES = 1 << 30
"""Memory that a process keeps modes in."""

_modes: Recent[Modes] = Recent(MODES_BYTES, lambda modes: modes.nbytes)


@dataclass(frozen=True)
class Lot:
    """Emitters of one slab.

    Parameters
    ----------
    name
        What tells the modes apart from others: microscope, pixel, planes and slab.
    modes
        The microscope's over the slab.
    xyz_nm
        (n, 3).
    photons
        (n,) in the working precision.
    image
        (n,) number of the image that each belongs to.
    """

    name: Hashable
    modes: Modes
    xyz_nm: Array
    photons: Array
    image: Array

    def __len__(self) -> int:
        return int(self.photons.shape[0])

    @cached_property
    def extent_nm(self) -> tuple[tuple[float, float], ...]:
        """The lowest and the highest place of its emitters along x and along y."""
        xp = arrays.namespace(self.xyz_nm)
        ends = ((edge(self.xyz_nm[:, axis]) for edge in (xp.min, xp.max)) for axis in (0, 1))
        return tuple((float(arrays.to_numpy(low)), float(arrays.to_numpy(high))) for low, high in ends)

    def taken(self, numbers: Array) -> Lot:
        """Return some of them."""
        xp = arrays.namespace(self.xyz_nm)
        parts = (xp.take(part, numbers, axis=0) for part in (self.xyz_nm, self.photons, self.image))
        return Lot(self.name, self.modes, *parts)


def lots_of(key: Keyed, batch: Sequence[Emitters], grid: Grid) -> Iterator[Lot]:
    """Sort the emitters of a batch of images into slabs."""
    xp = arrays.namespace(batch[0].xyz_nm)
    xyz = xp.concat([emitters.xyz_nm for emitters in batch]) if len(batch) > 1 else batch[0].xyz_nm
    photons = xp.concat([emitters.photons for emitters in batch]) if len(batch) > 1 else batch[0].photons
    xyz, photons = arrays.positions(xyz), arrays.working(photons)
    counts = [len(emitters) for emitters in batch]
    image = arrays.like(np.repeat(np.arange(len(batch)), counts), photons)
    numbers = outline_of(key, grid).slab(xyz[:, 2])
    one = bool(xp.min(numbers) == xp.max(numbers))
    found = arrays.to_numpy(numbers[:1] if one else xp.unique_values(numbers)).tolist()
    for slab in found:
        name = (key, grid.pixel_nm, tuple(grid.centers_nm()[0].tolist()), int(slab))
        modes = _modes.get(name, partial(_built, key, grid, int(slab)))
        whole = Lot(name, modes, xyz, photons, image)
        yield whole if len(found) == 1 else whole.taken(xp.nonzero(numbers == slab)[0])


@dataclass(frozen=True)
class Outline:
    """What all slabs of a microscope on a grid share, whatever emitters there are: so images can be added.

    Parameters
    ----------
    extent
        Of the PSF at `plane_nm`, the plane nearest to z = 0: all lengths of the imaging follow from it.
    focal_peak
        The PSF's peak there, per nm^2.
    grain_nm
        How fine the PSF is: its lateral half width, or a part of it where it holds finer detail.
    finer
        Grid points per pixel, along each axis, that the window needs to spread emitters.
    """

    extent: Extent
    plane_nm: float
    focal_peak: float
    grain_nm: float
    finer: int

    def z_range_nm(self, slab: int) -> tuple[float, float]:
        """Return the lowest and the highest z of a slab."""
        middle_nm, depth_nm = self.plane_nm + self.extent.shift_nm, DEPTH * self.extent.axial_nm
        return middle_nm + (slab - 0.5) * depth_nm, middle_nm + (slab + 0.5) * depth_nm

    def slab(self, z_nm: Array) -> Array:
        """Return the number of the slab that each z lies in."""
        middle_nm, depth_nm = self.plane_nm + self.extent.shift_nm, DEPTH * self.extent.axial_nm
        return arrays.namespace(z_nm).round((z_nm - middle_nm) / depth_nm)


@lru_cache(maxsize=256)
def outline_of(key: Keyed, grid: Grid) -> Outline:
    """Return a microscope's outline on a grid.

    Raises
    ------
    MishapeError
        If its PSF has no width, or detail far finer than that.
    """
    scope, focuses = key.component, grid.centers_nm()[0]
    plane_nm = float(focuses[np.argmin(np.abs(focuses))])
    extent = extent_of(asked(scope), plane_nm, grid.pixel_nm)
    quality, lateral_nm = QUALITIES[scope.quality], extent.lateral_nm
    for detail in (1, 2, 4):
        sampling, stack = _sampled(scope, SHARP_WIDTHS * lateral_nm, lateral_nm / detail)
        sharp = stack(np.array([plane_nm + extent.shift_nm]), np.array([plane_nm]))[0, 0]
        frequencies = np.linspace(0, sampling.highest_per_nm, FREQUENCIES)
        strength = sampling.strength(sharp, frequencies)
        if detail == 4 or strength[-1] <= ENDED * strength.max():
            break
    end = frequencies[band_end(strength, quality.detail_level * strength.max())]
    finer = max(1, math.ceil(end * grid.pixel_nm / quality.detail_limit - 1e-9))
    return Outline(extent, plane_nm, float(sharp.max()), lateral_nm / detail, finer)


def _built(key: Keyed, grid: Grid, slab: int) -> Modes:
    scope, focuses, outline = key.component, grid.centers_nm()[0], outline_of(key, grid)
    low, high = outline.z_range_nm(slab)
    outermost = focuses[[focuses.argmin(), focuses.argmax()]]
    z_nm, quality = np.array([low, (low + high) / 2, high]), QUALITIES[scope.quality]
    reach_nm = reach_of(tabulated(scope), outline.extent, z_nm, outermost, quality.reach_widths)
    sampling, stack = _sampled(scope, reach_nm, outline.grain_nm)
    return build_modes(lambda z: stack(z, focuses), sampling, (low, high), outline.focal_peak, quality)


def _sampled(
    scope: PSFMicroscope, reach_nm: float, grain_nm: float
) -> tuple[Sampling, Callable[[Points, Points], Points]]:
    """Return where a microscope's PSF is sampled, and the PSFs there, (planes, z, places), of any z and planes."""
    if scope.is_radial:
        radial, psf = RadialSampling(reach_nm, grain_nm), tabulated(scope)
        return radial, lambda z, planes: psf(radial.r_nm, z, planes)
    square = SquareSampling(reach_nm, grain_nm)
    return square, lambda z, planes: np.stack([asked_xy(scope)(*square.xy_nm, z, float(p)) for p in planes])
