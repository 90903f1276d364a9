"""The boxes in which shapes are learned: along a shape's own axes, or along the camera's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from mishape.engine.geometry import principal_axes
from mishape.engine.occupancy import HALF_WIDTH
from mishape.engine.types import Mesh, Points

MARGIN = 1.12
"""Edges of a box over those of the shape in it."""


@dataclass(frozen=True)
class Frame:
    """A box in a shape's own frame; its places are given as -1 to 1 along each of its edges.

    Parameters
    ----------
    rotation
        (3, 3), own frame -> the box's axes: its rows are the axes.
    centre_nm
        (3,) the box's centre, own frame.
    half_nm
        (3,) half of its edges.
    """

    rotation: Points
    centre_nm: Points
    half_nm: Points

    @classmethod
    def principal(cls, mesh: Mesh) -> Self:
        """Return the box along a mesh's principal axes, the longest first, with room around it.

        Mitochondria have no pose of their own; in this frame they fill their box, whatever their pose.
        """
        return cls.box(mesh.vertices_nm, principal_axes(mesh))

    @classmethod
    def box(cls, points_nm: Points, rotation: Points) -> Self:
        """Return the box along the axes that a rotation gives, fitted to (n, 3) points, with room around them."""
        turned = points_nm @ rotation.T
        low, high = turned.min(axis=0), turned.max(axis=0)
        return cls(rotation, (low + high) / 2 @ rotation, (high - low) / 2 * MARGIN)

    @classmethod
    def cube(cls, points_nm: Points, rotation: Points) -> Self:
        """Return the cube along the axes that a rotation gives, fitted to the longest edge of (n, 3) rotated points.

        Its half edge is 0.55 of that edge, as in Occupancy Networks (Mescheder et al., CVPR 2019).
        """
        fitted = cls.box(points_nm, rotation)
        edge_nm = 2 * float(fitted.half_nm.max()) / MARGIN
        return cls(rotation, fitted.centre_nm, np.full(3, HALF_WIDTH * edge_nm))

    def own_nm(self, places: Points) -> Points:
        """Return (n, 3) places of the box in the shape's own frame, nm."""
        return np.asarray((places * self.half_nm) @ self.rotation + self.centre_nm)

    def places(self, own_nm: Points) -> Points:
        """Return where (n, 3) points of the shape's own frame, nm, lie in the box."""
        return np.asarray(((own_nm - self.centre_nm) @ self.rotation.T) / self.half_nm)


def lattice(shape: tuple[int, int, int]) -> Points:
    """Return the corners of a lattice over a box, (product of shape, 3) places from -1 to 1."""
    axes = [np.linspace(-1, 1, count) for count in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
