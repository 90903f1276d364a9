"""Points with inside/outside labels, as occupancy networks train on (Mescheder et al., CVPR 2019).

Points are in units of a shape's longest edge, about the centre of its box: ``own = points * scale + loc``. Labels are
made at the points as they are stored, so that rounded points and their labels never contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike, NDArray

from mishape.engine.errors import ShapeError
from mishape.engine.geometry import sample_surface
from mishape.engine.types import Mesh, Points, Shape

POINTS = 100_000
"""Points per shape in the reference's data; the MiShape paper's text says 10 000."""
HALF_WIDTH = 0.55
"""Half the edge of the cube that the reference draws from, in units of the longest edge."""


@dataclass(frozen=True)
class UnitBox:
    """Where a shape's box lies: its longest edge is scaled to 1 and its centre moved to 0, without stretch.

    Parameters
    ----------
    loc
        (3,) the box's centre, in the unit of the shape's own frame.
    scale
        The box's longest edge, in the same unit.
    """

    loc: Points
    scale: float

    @classmethod
    def about(cls, vertices: Points) -> Self:
        """Return the box of (n, 3) vertices."""
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        return cls((low + high) / 2, float((high - low).max()))

    def own(self, points: NDArray[np.floating]) -> Points:
        """Return (n, 3) points of the box in the shape's own frame, float64."""
        return np.asarray(points.astype(np.float64) * self.scale + self.loc)

    def unit(self, own: Points) -> Points:
        """Return (n, 3) points of the shape's own frame in units of the longest edge, about the box's centre."""
        return np.asarray((own - self.loc) / self.scale)


def uniform_points(
    count: int, rng: Generator, half_width: float = HALF_WIDTH, dtype: DTypeLike = np.float16
) -> NDArray[Any]:
    """Return (count, 3) points, uniform in the cube of edge ``2 * half_width`` about 0, rounded to a float type."""
    return rng.uniform(-half_width, half_width, (count, 3)).astype(dtype)


def near_surface_points(
    mesh: Mesh,
    box: UnitBox,
    count: int,
    rng: Generator,
    *,
    spread_nm: float | None = None,
    spread: float | None = None,
    dtype: DTypeLike = np.float16,
) -> NDArray[Any]:
    """Return (count, 3) points about a surface, for shapes so thin that few uniform points lie in them.

    Parameters
    ----------
    mesh
        The surface; points are drawn on it uniformly by area, and are returned in the order of its faces.
    box
        Its box.
    count
        Number of points.
    rng
        Source of the points and of their displacement.
    spread_nm, spread
        Standard deviation of the normal displacement along each of x, y and z, in nm or in units of the longest edge.
        Exactly one is given; `spread_nm` means the unit of the mesh, where that is not nm.
    dtype
        Float type of the points.

    Returns
    -------
    Points in units of the longest edge.

    Raises
    ------
    ShapeError
        If both or none of `spread_nm` and `spread` are given, or it is not a positive number.
    """
    if (spread_nm is None) == (spread is None):
        raise ShapeError("points near a surface need spread_nm or spread (in units of the longest edge): give one")
    own = spread_nm if spread_nm is not None else (spread or 0.0) * box.scale
    if not 0 < own < np.inf:
        raise ShapeError(f"points near a surface are spread by {own:g}: a positive number is expected")
    return box.unit(sample_surface(mesh, count, rng) + rng.normal(0.0, own, (count, 3))).astype(dtype)


def occupancy_arrays(
    shape: Shape, rng: Generator, uniform: int, near: int, near_nm: float, dtype: DTypeLike = np.float16
) -> dict[str, NDArray[Any]]:
    """Return labelled points of a shape in units of its box, each set only where its number is above 0.

    ``occupancy_points`` (uniform, 3) and ``occupancy_near_points`` (near, 3), spread by `near_nm` about the surface,
    each with its ``..._inside``, packed bits. The box is that of the index: its `centre_nm` and `scale_nm`.
    """
    box = UnitBox.about(shape.surface.vertices_nm)
    found: dict[str, NDArray[Any]] = {}
    if uniform:
        points = uniform_points(uniform, rng, dtype=dtype)
        found |= {"occupancy_points": points, "occupancy_inside": packed_labels(shape, box, points)}
    if near:
        points = near_surface_points(shape.surface, box, near, rng, spread_nm=near_nm, dtype=dtype)
        found |= {"occupancy_near_points": points, "occupancy_near_inside": packed_labels(shape, box, points)}
    return found


def packed_labels(shape: Shape, box: UnitBox, points: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return which of (n, 3) points of the box lie inside a shape, (ceil(n / 8),) uint8, first point in the top bit."""
    return np.packbits(shape.inside(box.own(points)))


def unpacked_labels(packed: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    """Return the labels of `count` points, (count,) bool."""
    return np.unpackbits(packed, count=count).astype(np.bool_)
