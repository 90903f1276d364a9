"""Where a PSF is sampled over the plane, and its optical transfer functions from there.

A PSF that is symmetric about its axis is sampled along the radius and transformed by Hankel's integral; any other on a
square, and transformed by Fourier's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.radial import legendre, table_reader
from mishape.engine.types import Points

PANEL_NODES, PANEL_GRAINS = 16, 3.0
"""Gauss-Legendre nodes of each panel of the radius, and its length in grains: a PSF times a Bessel function of the
highest frequency runs through less than four waves there, where such a rule is exact to 1e-6."""
SAMPLES_PER_GRAIN = 4
"""Of the square, along each axis."""
HIGHEST_PER_GRAIN = 1.25
"""Cycles per grain: with the lateral half width as grain, a widefield's band ends at 0.56, a confocal's at 1.1."""
FREQUENCIES_PER_REACH = 8
"""Steps of a transfer function per 1 / reach: a function that is 0 beyond the reach varies no faster than two."""
READINGS_PER_STEP = 8
"""Readings of a radial transfer function per step, linear between: 1e-3 off, at most, for light at the reach itself,
and less nearer by."""
FADE = 0.1
"""Transfer functions fade to 0 over this part of the band beyond its end: were they cut, an image would depend on which
frequencies its grid happens to have."""


class Transfer(ABC):
    """The optical transfer functions of a microscope's modes."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Memory that they fill."""

    @property
    @abstractmethod
    def is_real(self) -> bool:
        """Whether they are real numbers, as those of functions that are symmetric about the axis."""

    @abstractmethod
    def at(self, plane: int, rows: Points, columns: Points) -> NDArray[Any]:
        """Return one plane's at all pairs of frequencies, cycles per nm: (rank, len(rows), len(columns))."""


class Sampling(ABC):
    """Places at which a PSF is sampled.

    Parameters
    ----------
    reach_nm
        Further from the axis the PSF counts as 0.
    grain_nm
        How fine it is: the lateral half width, or a part of it.
    """

    def __init__(self, reach_nm: float, grain_nm: float) -> None:
        self.reach_nm, self.grain_nm = reach_nm, grain_nm

    @property
    def highest_per_nm(self) -> float:
        """The highest frequency that the places tell, cycles per nm."""
        return HIGHEST_PER_GRAIN / self.grain_nm

    @property
    @abstractmethod
    def area_nm2(self) -> Points:
        """The part of the plane that each place stands for, (n,)."""

    @abstractmethod
    def strength(self, functions: Points, frequencies: Points) -> Points:
        """Return the largest modulus, over directions, of (..., n) functions' transforms: (..., len(frequencies)).

        Frequencies are in cycles per nm.
        """

    @abstractmethod
    def transfer(self, functions: Points, bands_per_nm: Points) -> Transfer:
        """Transform (planes, rank, n) functions, up to each plane's band and FADE beyond it."""


class RadialSampling(Sampling):
    """Radii of a PSF that is symmetric about its axis."""

    @cached_property
    def r_nm(self) -> Points:
        """The radii, (n,) nm."""
        return self._rule[0]

    @property
    def area_nm2(self) -> Points:
        return 2 * math.pi * self._rule[0] * self._rule[1]

    @cached_property
    def _rule(self) -> tuple[Points, Points]:
        """Nodes and weights of Gauss-Legendre panels."""
        panels = math.ceil(self.reach_nm / (PANEL_GRAINS * self.grain_nm))
        edges = np.linspace(0, self.reach_nm, panels + 1)
        nodes, weights = legendre(PANEL_NODES)
        half = edges[1] / 2
        return (edges[:-1, None] + half * (nodes + 1)).ravel(), np.tile(half * weights, panels)

    def strength(self, functions: Points, frequencies: Points) -> Points:
        return np.asarray(np.abs(self._hankel(functions, frequencies)))

    def _hankel(self, functions: Points, frequencies: Points) -> Points:
        """Return the integral of 2 pi r h(r) J_0(2 pi f r)."""
        from scipy.special import j0

        waves = j0(2 * math.pi * np.multiply.outer(self.r_nm, frequencies))
        return np.asarray((functions * self.area_nm2) @ waves)

    def transfer(self, functions: Points, bands_per_nm: Points) -> Transfer:
        step = 1 / (FREQUENCIES_PER_REACH * self.reach_nm)
        end = (1 + FADE) * float(bands_per_nm.max())
        coarse = self._hankel(functions, step * np.arange(math.ceil(end / step) + 4, dtype=np.float64))
        place = np.arange(READINGS_PER_STEP * (coarse.shape[-1] - 3)) / READINGS_PER_STEP
        reader = table_reader(place[:, None], coarse.shape[-1])
        fine = (reader @ coarse.reshape(-1, coarse.shape[-1]).T).T.reshape(*coarse.shape[:-1], -1)
        ended = fine * faded(place * step, bands_per_nm[:, None])[:, None, :]
        table = np.ascontiguousarray(ended, dtype=np.float32)
        return RadialTransfer(table, np.diff(table, append=0), step / READINGS_PER_STEP)


def faded(frequency: Any, band_per_nm: Any) -> Any:
    """Return 1 up to a band's end, falling to 0 as a squared cosine over FADE of it."""
    return np.cos(math.pi / 2 * np.clip((frequency / band_per_nm - 1) / FADE, 0, 1)) ** 2


@dataclass(frozen=True)
class RadialTransfer(Transfer):
    """Transfer functions along the radius: (planes, rank, n) and their change to the next, at steps per nm."""

    table: NDArray[np.float32]
    change: NDArray[np.float32]
    step_per_nm: float
    is_real = True

    @property
    def nbytes(self) -> int:
        return 2 * self.table.nbytes

    def at(self, plane: int, rows: Points, columns: Points) -> NDArray[np.float32]:
        place = np.minimum(np.hypot(rows[:, None], columns) / self.step_per_nm, self.table.shape[-1] - 1.001)
        below = place.astype(np.intp)
        found: NDArray[np.float32] = np.take(self.change[plane], below, axis=-1)
        found *= (place - below).astype(np.float32)
        found += np.take(self.table[plane], below, axis=-1)
        return found


class SquareSampling(Sampling):
    """A square of places around the axis."""

    @cached_property
    def along_nm(self) -> Points:
        """The places along each axis, nm."""
        step = self.grain_nm / SAMPLES_PER_GRAIN
        half = math.ceil(self.reach_nm / step)
        return step * np.arange(-half, half + 1, dtype=np.float64)

    @cached_property
    def xy_nm(self) -> tuple[Points, Points]:
        """All places' x and y, (n,) nm each; rows run along y."""
        y, x = np.meshgrid(self.along_nm, self.along_nm, indexing="ij")
        return x.ravel(), y.ravel()

    @cached_property
    def area_nm2(self) -> Points:
        """The same for each place within the reach, 0 beyond."""
        step = self.along_nm[1] - self.along_nm[0]
        return np.where(np.hypot(*self.xy_nm) <= self.reach_nm, step**2, 0.0)

    def strength(self, functions: Points, frequencies: Points) -> Points:
        """Along the two axes and the two diagonals."""
        side = len(self.along_nm)
        images = (functions * self.area_nm2).reshape(-1, side, side)
        found: Points = np.zeros((len(images), len(frequencies)))
        for angle in (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4):
            along = np.multiply.outer(frequencies, self.along_nm)
            along_x, along_y = (np.exp(-2j * math.pi * share * along) for share in (math.cos(angle), math.sin(angle)))
            lines = np.einsum("fy,iyx,fx->if", along_y, images, along_x, optimize=True)
            found = np.maximum(found, np.abs(lines))
        return found.reshape(*functions.shape[:-1], -1)

    def transfer(self, functions: Points, bands_per_nm: Points) -> Transfer:
        side = len(self.along_nm)
        images = (functions * self.area_nm2).reshape(*functions.shape[:-1], side, side)
        return SquareTransfer(images.astype(np.complex64), self.along_nm, bands_per_nm)


@dataclass(frozen=True)
class SquareTransfer(Transfer):
    """Transfer functions of (planes, rank, y, x) functions, times their area, at places along both axes."""

    functions: NDArray[np.complex64]
    along_nm: Points
    bands_per_nm: Points
    is_real = False

    @property
    def nbytes(self) -> int:
        return self.functions.nbytes

    def at(self, plane: int, rows: Points, columns: Points) -> NDArray[np.complex64]:
        along_y, along_x = (
            np.exp(-2j * math.pi * np.multiply.outer(f, self.along_nm)).astype(np.complex64) for f in (rows, columns)
        )
        fade = faded(np.hypot(rows[:, None], columns), float(self.bands_per_nm[plane]))
        found: NDArray[np.complex64] = along_y @ self.functions[plane] @ along_x.T * fade.astype(np.float32)
        return found
