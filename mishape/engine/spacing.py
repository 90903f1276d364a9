"""How far apart shapes are: the distance of their surfaces, not of their boxes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mishape.engine.types import Points, Shape

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

FINE_NM = 60.0
"""Longest edge of the triangles that distances are measured by; longer ones are divided."""


@dataclass(frozen=True)
class Placed:
    """A shape in the world, ready to be asked whether others are near; of the other shape a tree is made, once.

    Distances between the points of two surfaces are larger than those of the surfaces, by what the points leave bare of
    each: so much more is asked for, and surfaces are never nearer than `gap_nm`.
    """

    shape: Shape

    def is_clear_of(self, other: Placed, gap_nm: float) -> bool:
        """Tell whether two solids do not touch, and their surfaces are at least so far apart, nm."""
        # Most places that are tried are told by boxes, before any triangle is divided.
        if _box_distance(self.shape.bounds_nm, other.shape.bounds_nm) >= gap_nm + 2 * FINE_NM / 3**0.5:
            return True
        need = gap_nm + self._bare_nm + other._bare_nm
        low, high = other.shape.bounds_nm
        close = self._points[((self._points > low - need) & (self._points < high + need)).all(axis=1)]
        if np.isfinite(other._tree.query(close, distance_upper_bound=need)[0]).any():
            return False
        # Surfaces that are apart: one solid may still lie within the other.
        return not (self.shape.inside(other._points[:1])[0] or other.shape.inside(self._points[:1])[0])

    @cached_property
    def _surface(self) -> tuple[Points, float]:
        """Return points of the surface, and how far the furthest place on it is from the nearest of them.

        In a triangle no place is further from the nearest corner than the longest edge over the root of 3.
        """
        from trimesh.remesh import subdivide_to_size

        points, faces = self.shape.surface.vertices_nm, self.shape.surface.faces
        longest = _longest_edge(points, faces)
        if longest > FINE_NM:
            points, faces = subdivide_to_size(points, faces, FINE_NM, max_iter=30)  # type: ignore[no-untyped-call]
            longest = _longest_edge(points, faces)
        return np.asarray(points), longest / 3**0.5

    @property
    def _points(self) -> Points:
        return self._surface[0]

    @property
    def _bare_nm(self) -> float:
        return self._surface[1]

    @cached_property
    def _tree(self) -> cKDTree:
        from scipy.spatial import cKDTree

        return cKDTree(self._points)


def _longest_edge(points: Points, faces: NDArray[np.int64]) -> float:
    corners = points[faces]
    return float(np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max())


def _box_distance(one: Points, other: Points) -> float:
    """Return how far two boxes, (2, 3) each, are apart; 0 where they meet."""
    apart = np.maximum(np.maximum(one[0] - other[1], other[0] - one[1]), 0.0)
    return float(np.linalg.norm(apart))
