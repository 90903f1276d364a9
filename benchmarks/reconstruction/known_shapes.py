"""Answers that are shapes of the training library: their mean, and the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from benchmarks.reconstruction.baseline import Baseline, Counts
from benchmarks.reconstruction.fields import ellipsoid, solid_of
from benchmarks.reconstruction.heights import seen_in
from mishape.engine.geometry import centroid, principal_axes
from mishape.engine.library import Library
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.engine.types import Points, Pose
from mishape.learn.comparison import TURNS
from mishape.learn.lit import Posed
from mishape.learn.overlap import intersection_over_union
from mishape.learn.place_scores import places_over
from mishape.learn.solids import Solid, solid_of_entry

RADII, DIRECTIONS = 96, 500
"""Where the mean occupancy is told: at so many distances from the centre, by so many places each."""
PLACES = 8_000
"""At which training shapes are compared with the truth."""


def solids_of(library: Library) -> list[Solid]:
    """Return the whole shapes of a library."""
    return [solid for solid in map(solid_of_entry, library) if solid.is_whole]


@dataclass(frozen=True)
class MeanShape(Baseline):
    """The mean of the training shapes in all poses, thresholded, about the centre of the image's light.

    Turned in all ways, the mean depends on the distance from the centre alone: what is above a threshold is a ball.

    Parameters
    ----------
    radius_nm
        Of the ball: that of the highest mean overlap with the training shapes.
    """

    radius_nm: float
    name = "mean shape"

    @classmethod
    def of(cls, solids: Sequence[Solid], scale: float) -> Self:
        """Return the mean of shapes that are so many times as large.

        A ball's overlap with a shape follows from how much of each sphere about the centre lies inside of the shape.
        """
        edges_nm = np.linspace(0, max(_reach_nm(one) for one in solids), RADII + 1)
        shells_nm3 = 4 / 3 * np.pi * np.diff(edges_nm**3)
        inside_nm3 = shells_nm3 * [_occupied(one, (edges_nm[1:] + edges_nm[:-1]) / 2) for one in solids]
        common_nm3 = inside_nm3.cumsum(axis=1)
        either_nm3 = inside_nm3.sum(axis=1, keepdims=True) + shells_nm3.cumsum() - common_nm3
        best = int((common_nm3 / either_nm3).mean(axis=0).argmax())
        return cls(scale * float(edges_nm[1 + best]))

    def __call__(self, counts: Counts, view: View, posed: Posed | None = None) -> SampledField | None:
        seen = seen_in(counts, view)
        return None if seen is None else ellipsoid(seen[1].centre_nm, np.eye(3), self.radius_nm)


def _reach_nm(one: Solid) -> float:
    """Return how far a solid reaches from its centre."""
    return float(np.linalg.norm(one.mesh.vertices_nm - centroid(one.mesh), axis=1).max())


def _occupied(one: Solid, radii_nm: Points) -> Points:
    """Return how much of each sphere about a solid's centre lies inside of it."""
    # Fibonacci's spiral: directions spread as evenly as it goes.
    turn = np.arange(DIRECTIONS) * np.pi * (3 - 5**0.5)
    z = 1 - (2 * np.arange(DIRECTIONS) + 1) / DIRECTIONS
    directions = np.column_stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z])
    places_nm = centroid(one.mesh) + radii_nm[:, None, None] * directions
    return np.asarray((one.distance_nm(places_nm.reshape(-1, 3)) < 0).reshape(len(radii_nm), -1).mean(axis=1))


@dataclass(frozen=True)
class NearestShape(Baseline):
    """The training shape that has the highest overlap with the truth, about the true centre, along its principal axes.

    Parameters
    ----------
    known
        The training shapes, each with its principal axes and its centre.
    scale
        They are so many times as large.
    """

    known: Sequence[tuple[Solid, Points, Points]]
    scale: float
    name, sees_truth = "nearest training shape", True

    @classmethod
    def of(cls, solids: Sequence[Solid], scale: float) -> Self:
        """Return this way of shapes that are so many times as large."""
        return cls([(one, principal_axes(one.mesh), centroid(one.mesh)) for one in solids], scale)

    def __call__(self, counts: Counts, view: View, posed: Posed | None = None) -> SampledField | None:
        true = self.truth(posed)
        vertices_nm = true.vertices_nm
        room_nm = np.ptp(vertices_nm, axis=0) / 4
        places_nm = places_over(vertices_nm.min(axis=0) - room_nm, vertices_nm.max(axis=0) + room_nm, PLACES)
        inside = true.distance_nm(places_nm) < 0
        tried = self._turned(true)
        overlaps = [intersection_over_union(one.distance_nm(places_nm) < 0, inside) for one in tried]
        return solid_of(tried[int(np.argmax(overlaps))])

    def _turned(self, true: Posed) -> list[Posed]:
        """Return each shape in the four poses that lay its principal axes along the true ones."""
        wanted = true.pose.rotation @ principal_axes(true.solid.mesh).T
        centre_nm = true.pose.of(centroid(true.solid.mesh)[None])[0]
        return [
            Posed(one, Pose(rotation, centre_nm - self.scale * rotation @ own_nm, self.scale))
            for one, axes, own_nm in self.known
            for rotation in (wanted * turn @ axes for turn in TURNS)
        ]
