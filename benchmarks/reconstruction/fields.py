"""Solids of the world on lattices, from functions of it."""

from __future__ import annotations

import numpy as np

from mishape.engine.errors import ShapeError
from mishape.engine.sampled import SampledField
from mishape.engine.types import Points
from mishape.learn.extract import Told, field_of
from mishape.learn.lit import Posed
from mishape.learn.place_scores import places_over

STEP_NM, CORNERS = 20.0, 97
"""Step of the lattices; along the longest edge they have so many corners at most."""
ROOM_NM = 60.0
MOMENT_PLACES = 100_000
"""By which moments are told."""


def solid(told: Told, low_nm: Points, high_nm: Points) -> SampledField | None:
    """Return the largest part of a solid, without cavities; None if there is nothing inside.

    As solids are taken from networks (`mishape.learn.finding`).

    Parameters
    ----------
    told
        (n, 3) places of the world, nm -> values that are negative inside.
    low_nm, high_nm
        (3,) corners of a box that holds it; the lattice reaches a little beyond.
    """
    centre_nm, half_nm = (low_nm + high_nm) / 2, (high_nm - low_nm) / 2 + ROOM_NM
    longest_nm = 2 * float(half_nm.max())
    corners = min(int(np.ceil(longest_nm / STEP_NM)) + 1, CORNERS)
    try:
        found = field_of(
            lambda places: told(places * half_nm + centre_nm), half_nm / half_nm.max(), longest_nm, corners
        )
    except ShapeError:
        return None
    return found.shifted(centre_nm)


def solid_of(posed: Posed) -> SampledField | None:
    """Return a known solid as it lies in the world."""
    vertices_nm = posed.vertices_nm
    return solid(posed.distance_nm, vertices_nm.min(axis=0), vertices_nm.max(axis=0))


def ellipsoid(centre_nm: Points, covariance_nm2: Points, radii: float) -> SampledField | None:
    """Return the ellipsoid whose semi-axes are so many standard deviations long.

    A solid ellipsoid has semi-axes of sqrt(5) of its own standard deviations.
    """
    inverse = np.linalg.inv(covariance_nm2)
    half_nm = radii * np.sqrt(np.diag(covariance_nm2))
    size_nm = radii * float(np.linalg.det(covariance_nm2)) ** (1 / 6)

    def told(places_nm: Points) -> Points:
        away = places_nm - centre_nm
        return np.asarray((np.sqrt(np.einsum("ij,jk,ik->i", away, inverse, away)) / radii - 1) * size_nm)

    return solid(told, centre_nm - half_nm, centre_nm + half_nm)


def moments(posed: Posed) -> tuple[Points, Points]:
    """Return the centre of a solid of the world, (3,) nm, and its second moments about it, (3, 3) nm^2."""
    vertices_nm = posed.vertices_nm
    places_nm = places_over(vertices_nm.min(axis=0), vertices_nm.max(axis=0), MOMENT_PLACES)
    inside_nm = places_nm[posed.distance_nm(places_nm) < 0]
    return inside_nm.mean(axis=0), np.cov(inside_nm, rowvar=False)
