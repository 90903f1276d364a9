"""Closed surfaces of distances that a network tells: coarse first, fine where the surface is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import ShapeError
from mishape.engine.sampled import SampledField
from mishape.engine.types import Points
from mishape.learn.frames import lattice
from mishape.learn.solids import euclidean

Told = Callable[[Points], NDArray[np.floating]]
"""(n, 3) places of a box -> values that are negative inside."""
COARSE = 33
"""Corners along the longest edge that are asked first."""


def field_of(told: Told, edges: Points, scale_nm: float, corners: int) -> SampledField:
    """Return a solid of one part without cavities.

    Parameters
    ----------
    told
        What tells the distances.
    edges
        (3,) edges of the box over the longest.
    scale_nm
        The longest edge.
    corners
        Of the lattice along the longest edge; along others as many as give the same step, at least 17.

    Raises
    ------
    ShapeError
        If there is nothing inside.
    """
    counts = np.maximum(np.ceil(edges / edges.max() * (corners - 1)).astype(int) + 1, 17)
    x, y, z = counts.tolist()
    values = _near(told, (x, y, z))
    half_nm = edges * scale_nm / 2
    step_nm = 2 * half_nm / (np.array(values.shape) - 1)
    return SampledField(_as_distances(values, _one_part(values), step_nm), -half_nm, step_nm)


def _near(told: Told, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Return what is told on a lattice: where neighbours of a coarse one agree, it is interpolated between them.

    As the multi-resolution extraction of Occupancy Networks (Mescheder et al., CVPR 2019), with one cell more around.
    """
    from scipy.ndimage import map_coordinates, maximum_filter, minimum_filter

    few = tuple(min(count, max(9, -(-count * COARSE // max(shape)))) for count in shape)
    x, y, z = few
    coarse = np.asarray(told(lattice((x, y, z))), np.float32).reshape(few)
    if few == shape:
        return coarse
    axes = [np.linspace(0, old - 1, new) for old, new in zip(few, shape, strict=True)]
    between = np.stack(np.meshgrid(*axes, indexing="ij"))
    values = np.asarray(map_coordinates(coarse, between, order=1), np.float32)
    inside = coarse < 0
    mixed = maximum_filter(inside, 3) != minimum_filter(inside, 3)
    asked = mixed[tuple(np.rint(between).astype(int))]
    values[asked] = told(lattice(shape)[asked.ravel()])
    return values


def _one_part(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the largest part of what is inside, its cavities filled, away from the lattice's border."""
    from scipy.ndimage import binary_fill_holes, label

    inside = values < 0
    for axis in range(3):
        inside[(slice(None),) * axis + ([0, -1],)] = False
    parts, count = label(inside)
    if not count:
        raise ShapeError("the network drew a shape with nothing inside")
    return np.asarray(binary_fill_holes(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))))


def _as_distances(values: NDArray[np.float32], inside: NDArray[np.bool_], step_nm: Points) -> NDArray[np.float32]:
    """Return values as signed distances, nm, that are zero where they are; what is inside is negative.

    Networks of occupancy tell odds, and others are not exact. The mean step of a distance over the lattice's edges that
    cross a surface is 2/3 of the edge, for surfaces of all directions; and no distance is further than a step from that
    of the lattice's own corners.
    """
    crossing = [np.abs(np.diff(values, axis=axis))[np.diff(inside, axis=axis)] for axis in range(3)]
    step = float(step_nm.mean())
    scale = 2 / 3 * step / max(float(np.concatenate(crossing).mean()), 1e-30)
    apart = np.abs(euclidean(inside, step_nm))
    size = np.clip(np.abs(values) * scale, np.maximum(apart - step, 1e-3), apart + step)
    return np.where(inside, -size, size).astype(np.float32)
