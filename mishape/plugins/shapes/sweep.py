"""The solid swept by a round or elliptical section along polylines, as an implicit function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mishape.engine.types import Implicit, Points
from mishape.plugins.shapes.implicit import ellipsoid_distance

CELLS_PER_RADIUS = 5
Distance = Callable[[Points], Points]


def swept(lines: Sequence[Points], radius_nm: float, aspect: float, angle: float) -> Implicit:
    """Return the union of tubes along polylines, with rounded ends.

    Parameters
    ----------
    lines
        (n, 3) polylines, nm, evenly and densely spaced.
    radius_nm
        Radius of the circle with the section's area.
    aspect
        Ratio of the section's axes, >= 1.
    angle
        Angle of the section's long axis at the start of each line, radians; from there its frame is carried without
        twist along the line.

    Returns
    -------
    Implicit
        An exact signed distance outside a round tube, and near it to the polyline's resolution; for an elliptical one
        exact where the line is straight.
    """
    if aspect == 1:
        field = _round_distance(lines, radius_nm)
    else:
        field = _elliptical_distance(lines, radius_nm * np.array([aspect**0.5, aspect**-0.5, 1.0]), angle)
    points, reach = np.concatenate(lines), radius_nm * aspect**0.5
    bounds = np.stack([points.min(axis=0) - reach, points.max(axis=0) + reach])
    return Implicit(field, bounds, radius_nm * aspect**-0.5 / CELLS_PER_RADIUS)


def _round_distance(lines: Sequence[Points], radius: float) -> Distance:
    """Return the field of round tubes: one tree for all lines, as the nearest line decides."""
    from scipy.spatial import KDTree

    points = np.concatenate(lines)
    tree = KDTree(points)
    ends = np.cumsum([len(line) for line in lines]) - 1
    forward = np.roll(points, -1, axis=0) - points
    forward[ends] = 0  # a segment of no length: a line's last point has no next one
    backward = -np.roll(forward, 1, axis=0)

    def distance(query: Points) -> Points:
        nearest = np.asarray(tree.query(query)[1])
        offset = query - points[nearest]
        squares = [_square_to_segment(offset, along[nearest]) for along in (forward, backward)]
        return np.asarray(np.sqrt(np.minimum(*squares)) - radius)

    return distance


def _square_to_segment(offset: Points, along: Points) -> Points:
    rest = offset - _share(offset, along)[:, None] * along
    return np.asarray(np.einsum("ij,ij->i", rest, rest))


def _share(offset: Points, along: Points) -> Points:
    """Return where on a segment (0 to 1) the point nearest to an offset from its start lies."""
    square = np.einsum("ij,ij->i", along, along)
    return np.asarray(np.clip(np.einsum("ij,ij->i", offset, along) / np.where(square > 0, square, 1.0), 0, 1))


def _elliptical_distance(lines: Sequence[Points], axes: Points, angle: float) -> Distance:
    """Return the field of elliptical tubes: the least over the lines, asked only of lines that may be the least."""
    from scipy.spatial import KDTree

    all_lines = KDTree(np.concatenate(lines))
    tubes = [(KDTree(line), line, _carried_frames(line, angle)) for line in lines]
    slack = float(axes.max() - axes.min())

    def distance(query: Points) -> Points:
        limit = np.asarray(all_lines.query(query)[0]) + slack
        result = np.full(len(query), np.inf)
        for tree, line, frames in tubes:
            to_line, nearest = tree.query(query, distance_upper_bound=float(limit.max()) * (1 + 1e-9))
            near = np.flatnonzero(np.asarray(to_line) <= limit)
            section = _to_section(query[near], np.asarray(nearest)[near], line, frames, axes)
            result[near] = np.minimum(result[near], section)
        return result

    return distance


def _to_section(query: Points, nearest: NDArray[np.int64], line: Points, frames: Points, axes: Points) -> Points:
    """Return the signed distance to the elliptical section at the nearest point of a line, rounded at the ends."""
    local = np.einsum("nij,nj->ni", frames[nearest], query - line[nearest])
    beyond = ((nearest == 0) & (local[:, 2] < 0)) | ((nearest == len(line) - 1) & (local[:, 2] > 0))
    local[~beyond, 2] = 0  # between two points of the line the section is the same
    return ellipsoid_distance(local, axes)


def _carried_frames(line: Points, angle: float) -> Points:
    """Return, per point of a line, the section's long axis, short axis and the tangent as rows: (n, 3, 3).

    The axes are carried without twist: projected from each point to the next one's section.
    """
    tangents = np.gradient(line, axis=0)
    norms = np.linalg.norm(tangents, axis=1, keepdims=True)
    tangents = np.where(norms > 0, tangents / np.where(norms > 0, norms, 1), [1.0, 0.0, 0.0])
    aside = np.cross(tangents[0], np.eye(3)[np.abs(tangents[0]).argmin()])
    aside /= np.linalg.norm(aside)
    axis = np.cos(angle) * aside + np.sin(angle) * np.cross(tangents[0], aside)
    frames = np.empty((len(line), 3, 3))
    for number, tangent in enumerate(tangents):
        axis = axis - (axis @ tangent) * tangent
        axis /= np.linalg.norm(axis)
        frames[number] = axis, np.cross(tangent, axis), tangent
    return frames
