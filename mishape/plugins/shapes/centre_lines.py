"""Random centre lines of tubes, as polylines dense enough to be taken for smooth curves."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mishape.engine.types import Points

SAMPLES_PER_RADIUS = 8
"""Polyline points per radius: the polyline then lies within radius / 500 of a curve bent as tightly as the tube."""
BRANCH_DEG = (40.0, 80.0)
"""Angles between a branch and the line that it leaves."""


def worm_like_network(
    length: float, radius: float, branches: int, persistence: float, room: float | None, rng: Generator
) -> list[Points]:
    """Return the centre lines of a trunk and its branches, which leave random places of earlier lines.

    Parameters
    ----------
    length
        Total length, nm: the trunk from tip to tip, and each branch from the line that it leaves to its tip. A tip is
        one radius beyond the end of its centre line.
    radius
        Radius of the tube, nm; it sets the spacing of points.
    branches
        Number of branches.
    persistence
        Persistence length, nm.
    room
        Centre lines stay within this distance of z = 0, nm; None: anywhere.
    rng
        Source of all choices.

    Returns
    -------
    One (n, 3) polyline per line, nm.
    """
    least = 2 * radius
    shares = rng.dirichlet(np.full(branches + 1, 4.0)) * (length - least * (branches + 1)) + least
    heading = _flattened(_direction(rng), room)
    lines = [_worm_like_chain(shares[0] - 2 * radius, radius, persistence, np.zeros(3), heading, room, rng)]
    for share in shares[1:]:
        weights = np.array([len(line) for line in lines], np.float64)
        parent = lines[rng.choice(len(lines), p=weights / weights.sum())]
        place = int(rng.integers(len(parent)))
        along = parent[min(place + 1, len(parent) - 1)] - parent[max(place - 1, 0)]
        heading = _flattened(_turned(along, np.deg2rad(rng.uniform(*BRANCH_DEG)), rng), room)
        lines.append(_worm_like_chain(share - radius, radius, persistence, parent[place], heading, room, rng))
    return lines


def _worm_like_chain(
    length: float, radius: float, persistence: float, start: Points, heading: Points, room: float | None, rng: Generator
) -> Points:
    """Return a polyline of exactly this length: nodes one radius apart, turned at random, joined by a cubic spline.

    A step ds turns the direction about two axes by normal angles of variance ds / persistence each, which gives
    <t(0) t(s)> = exp(-s / persistence). Where the chain would leave its room, the direction's z is reflected.
    """
    from scipy.interpolate import CubicSpline

    count = int(np.ceil(length / radius * 1.05)) + 4  # some spare length: the cut below makes it exact
    turns = rng.standard_normal((count, 3)) * np.sqrt(radius / persistence)
    nodes, direction = [start], heading
    for turn in turns:
        direction = direction + turn - (turn @ direction) * direction
        direction = direction / np.linalg.norm(direction)
        if room is not None and abs(nodes[-1][2] + radius * direction[2]) > room:
            direction = _flattened(direction * np.array([1, 1, -1]), room)
        nodes.append(nodes[-1] + radius * direction)
    curve = CubicSpline(np.arange(count + 1), nodes)(np.linspace(0, count, count * 4 * SAMPLES_PER_RADIUS + 1))
    if room is not None:
        curve[:, 2] = np.clip(curve[:, 2], -room, room)
    return _cut(curve, length, radius)


def quadratic_spline(length: float, radius: float, room: float, rng: Generator) -> Points:
    """Return a quadratic spline through three or four random points, scaled to this length, within `room` of z = 0.

    The points are uniform in a cube, flattened to the room where the scaled spline would leave it.
    """
    from scipy.interpolate import make_interp_spline

    count = int(rng.integers(3, 5))
    points = rng.uniform(-1, 1, (count, 3))
    places = np.linspace(0, count - 1, 64 * int(np.ceil(length / radius) + 4))
    curve = np.asarray(make_interp_spline(np.arange(count), points, k=2)(places))
    for _ in range(50):  # flattening shortens the curve and stretching it again lifts it: this soon settles
        curve = curve * length / _arc(curve)[-1]
        height = float(np.ptp(curve[:, 2]))
        if height <= 2 * room * (1 + 1e-9):
            break
        curve[:, 2] *= 2 * room / height
    return _cut(curve, min(length, float(_arc(curve)[-1])), radius)


def _arc(curve: Points) -> Points:
    """Return the arc length at each point of a polyline, from 0."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])


def _cut(curve: Points, length: float, radius: float) -> Points:
    """Return the first part of a polyline, evenly spaced in arc length; a length of 0 leaves one point, twice."""
    arc = _arc(curve)
    places = np.linspace(0, length, max(2, int(np.ceil(length / radius * SAMPLES_PER_RADIUS)) + 1))
    return np.stack([np.interp(places, arc, axis) for axis in curve.T], axis=1)


def _direction(rng: Generator) -> Points:
    vector = rng.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))


def _flattened(direction: Points, room: float | None) -> Points:
    """Lay a direction into the xy plane where the room is limited."""
    if room is None:
        return direction
    flat = direction * np.array([1.0, 1.0, 0.0])
    norm = np.linalg.norm(flat)
    return np.asarray(flat / norm) if norm > 1e-9 else np.array([1.0, 0.0, 0.0])


def _turned(along: Points, angle: float, rng: Generator) -> Points:
    """Return a unit vector at this angle to another, on a random side."""
    norm = np.linalg.norm(along)
    axis = along / norm if norm > 0 else _direction(rng)
    side = np.cross(axis, _direction(rng))
    return np.asarray(np.cos(angle) * axis + np.sin(angle) * side / np.linalg.norm(side))
