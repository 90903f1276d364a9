"""Shapes varied at random as they are learned from: turned, mirrored, stretched, bent, relabelled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from mishape.engine.component import Flag, Model, Real
from mishape.engine.types import Points
from mishape.engine.wording import problem

WAVES, PERIOD = 3, 4.0
SHARES = 1 / np.arange(1, WAVES + 1)
SHARES *= np.sqrt(2 / (SHARES**2).sum())
"""Standard deviations of the waves' heights: the shorter, the lower; that of their sum is 1."""
ALONG = np.linspace(-2, 2, 1025)
"""Places along the longest edge, in half of its length, at which waves are tabled: sines are slow."""


class Augmentation(Model):
    """How much shapes are varied; without mirror images, and with all at 0, they stay as they are."""

    mirror: Flag = True
    """Mirror half of them: chirality carries no information. Default true."""
    stretch: Real = Field(default=0.1, ge=0, le=0.5)
    """Standard deviation of the logarithm of each edge's change; 0 to 0.5, default 0.1."""
    bend: Real = Field(default=0.05, ge=0, le=0.2)
    """Standard deviation of a smooth shift across the longest edge, as a share of half the box; 0 to 0.2, default 0.05.
    """
    warp: Real = Field(default=0.0, ge=0, le=0.5)
    """Standard deviation of a smooth change of thickness along the longest edge, its logarithm; 0 to 0.5, default 0."""
    scale: tuple[Real, Real] = (1.0, 1.0)
    """Least and largest change of size, drawn evenly by its logarithm; default none, so that sizes are learned with
    shapes; 0.7 to 2.5 for models that are to know shapes of other cells too."""
    jitter_nm: Real = Field(default=4.0, ge=0, le=50)
    """Standard deviation of one error of the boundary for each time a shape is drawn, nm; 0 to 50, default 4: a quarter
    of a voxel of 16 nm."""

    @model_validator(mode="after")
    def _scales_are_in_order(self) -> Self:
        low, high = self.scale
        if not 0.01 <= low <= high <= 100:
            raise problem(
                f"scale [{low:g}, {high:g}] given: least and largest size are from 0.01 to 100, in this order"
            )
        return self


@dataclass(frozen=True)
class Variation:
    """One variation: where places of the varied shape come from in the shape's own box, and what distances become.

    Parameters
    ----------
    flips
        (3,) signs of the axes.
    stretch
        (3,) edges of the varied box over those of the shape's.
    waves, phases
        (2, WAVES) of a smooth shift along either axis across the longest edge, in half edges of the box.
    swells, swell_phases
        (WAVES,) of the logarithm of a smooth change of thickness along the longest edge.
    offset_nm
        Added to distances.
    """

    flips: Points
    stretch: Points
    waves: Points
    phases: Points
    swells: Points
    swell_phases: Points
    offset_nm: float

    @classmethod
    def none(cls) -> Self:
        """Return what changes nothing."""
        none = np.zeros((2, WAVES))
        return cls(np.ones(3), np.ones(3), none, none, none[0], none[0], 0.0)

    @classmethod
    def draw(cls, plan: Augmentation, rng: Generator) -> Self:
        """Draw a variation.

        A box along principal axes has no front and no right: turns by half about each axis are always drawn, and a
        mirror image where it is asked for.
        """
        flips = rng.choice([-1.0, 1.0], 3)
        if not plan.mirror:
            flips[2] *= flips.prod()
        stretch = np.exp(plan.stretch * rng.standard_normal(3))
        waves = plan.bend * rng.standard_normal((2, WAVES)) * SHARES
        offset_nm = plan.jitter_nm * float(rng.standard_normal())
        phases = rng.uniform(0, 2 * np.pi, (2, WAVES))
        swells = plan.warp * rng.standard_normal(WAVES) * SHARES
        swell_phases = rng.uniform(0, 2 * np.pi, WAVES)
        size = np.exp(rng.uniform(*np.log(plan.scale)))
        return cls(flips, stretch * size, waves, phases, swells, swell_phases, offset_nm)

    def source(self, places: Points) -> Points:
        """Return where (n, 3) places of the varied shape lie in the shape's own box."""
        return np.asarray((places + self._shift(places)) / self._widths(places) * self.flips)

    def forward(self, own: Points) -> Points:
        """Return where (n, 3) places of the shape's own box go: the inverse of `source`."""
        places = own * self.flips
        return np.asarray(places * self._widths(places) - self._shift(places))

    def width(self, places: Points) -> Points:
        """Return how much thicker, (n,), the varied shape is at (n, 3) places of it."""
        if not self.swells.any():
            return np.ones(len(places))
        return np.exp(_read(self._tables[2], places))

    def _widths(self, places: Points) -> Points:
        """Return factors along each axis: of what lies across the longest edge alone."""
        widths = np.ones((len(places), 3))
        widths[:, 1:] = self.width(places)[:, None]
        return widths

    def _shift(self, places: Points) -> Points:
        """Return shifts across the longest edge that depend on the place along it alone: sections keep their form."""
        shifts = np.zeros((len(places), 3))
        for axis in (1, 2):
            shifts[:, axis] = _read(self._tables[axis - 1], places)
        return shifts

    @cached_property
    def _tables(self) -> list[Points]:
        """Shifts along y and z and the logarithm of the width, at `ALONG`."""
        waves = (*zip(self.waves, self.phases, strict=True), (self.swells, self.swell_phases))
        angles = ALONG[:, None] * np.arange(1, WAVES + 1) * np.pi / 2
        return [(heights * np.sin(angles + phases)).sum(axis=1) for heights, phases in waves]


def _read(table: Points, places: Points) -> Points:
    """Return a table's values at places along the longest edge: they repeat after twice its length."""
    return np.interp((places[:, 0] + 2) % PERIOD - 2, ALONG, table)
