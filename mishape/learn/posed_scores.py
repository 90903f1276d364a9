"""How well what is found in an image fits what it shows, in the world's frame and in nm: nothing is aligned."""

from __future__ import annotations

import numpy as np

from mishape.engine.types import Points
from mishape.learn.finding import Odds
from mishape.learn.lit import Posed
from mishape.learn.overlap import intersection_over_union

STEP_NM = 40.0
"""Of the lattice on which solids are compared while a network learns."""
ROOM_NM = 400.0


def overlap(odds: Odds, posed: Posed) -> float:
    """Return the intersection over union of what is told and what is shown, in the box of this and around it."""
    places_nm = around(posed, STEP_NM)
    found, true = odds(places_nm) > 0, posed.distance_nm(places_nm) < 0
    return intersection_over_union(found, true)


def around(posed: Posed, step_nm: float) -> Points:
    """Return a lattice over a solid's box in the world and around it, (n, 3) nm."""
    vertices_nm = posed.vertices_nm
    low, high = vertices_nm.min(axis=0) - ROOM_NM, vertices_nm.max(axis=0) + ROOM_NM
    axes = [np.arange(start, end, step_nm) for start, end in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
