"""A mesh's triangles, laid out for drawing points on them: what no pose changes, worked out once per mesh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.fast import code_path
from mishape.engine.types import Points


@dataclass(frozen=True)
class Triangles:
    """The triangles of a surface.

    Parameters
    ----------
    corners_nm
        (3, 3, m), by part, axis and face: the first corner, and the sides from there to the second and to the third.
    """

    corners_nm: NDArray[np.float64]

    @classmethod
    def of(cls, vertices_nm: Points, faces: NDArray[np.int64]) -> Triangles:
        """Return the triangles between (n, 3) vertices that (m, 3) faces name."""
        by_axis = np.ascontiguousarray(vertices_nm.T)
        first, second, third = (np.take(by_axis, corner, axis=1) for corner in np.ascontiguousarray(faces.T))
        return cls(np.stack([first, second - first, third - first]))

    @cached_property
    def normals_nm2(self) -> Points:
        """Of each face, outwards, as long as twice its area: (3, m)."""
        _, (ax, ay, az), (bx, by, bz) = self.corners_nm
        return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])

    @cached_property
    def areas_nm2(self) -> Points:
        """The area of each face, (m,)."""
        x, y, z = self.normals_nm2
        return np.asarray(np.sqrt(x * x + y * y + z * z) / 2)

    def cone_volumes_nm3(self, tip_nm: Points) -> Points:
        """The signed volumes of the cones from a tip to each face, (m,)."""
        return np.asarray(np.einsum("ij,ij->j", self.corners_nm[0] - tip_nm[:, None], self.normals_nm2) / 6)

    def cone_centroids_nm(self, tip_nm: Points) -> Points:
        """The centroids of the cones from a tip to each face, seen from the tip, (3, m)."""
        first, to_second, to_third = self.corners_nm
        return np.asarray((3 * (first - tip_nm[:, None]) + to_second + to_third) / 4)

    @cached_property
    def area_before_nm2(self) -> Points:
        """The area of all faces before each, and last that of the whole surface, (m + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.areas_nm2)])

    def sample(self, n: int, rng: Generator) -> Points:
        """Return (n, 3) points, uniform by area, nm, in the order of the faces.

        Sorted places along the running sum of the areas fall into the faces; how far a place is into its face is
        uniform too, and gives the root of the square-root rule (Turk 1990, Graphics Gems).
        """
        places = np.sort(rng.random(n)) * self.area_before_nm2[-1]
        along = rng.random(n)
        if code_path() == "fast":
            from mishape.engine.fast_triangles import points_on

            return points_on(self.corners_nm, self.area_before_nm2, places, along)
        into = np.interp(places, self.area_before_nm2, np.arange(len(self.area_before_nm2), dtype=np.float64))
        faces = into.astype(np.int64)
        root = np.sqrt(into - faces)
        along *= root
        # A place may round to the very end of the last face.
        first, to_second, to_third = np.take(self.corners_nm, faces, axis=2, mode="clip")
        return np.asarray((first + (root - along) * to_second + along * to_third).T)
