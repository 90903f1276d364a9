"""Points on triangles in one pass, compiled by numba (the extra `fast`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.fast import compiled
from mishape.engine.types import Points


def points_on(corners_nm: NDArray[np.float64], area_before_nm2: Points, places_nm2: Points, along: Points) -> Points:
    """Return (n, 3) points on triangles, nm.

    Parameters
    ----------
    corners_nm
        (3, 3, m), as those of `mishape.engine.triangles.Triangles`.
    area_before_nm2
        (m + 1,): the area of all faces before each, and of all.
    places_nm2
        (n,) ascending places along that running sum.
    along
        (n,) from 0 to 1: how far each point lies from the second corner towards the third.
    """
    points = np.empty((len(places_nm2), 3))
    _kernel()(corners_nm, area_before_nm2, places_nm2, along, points)
    return points


@cache
def _kernel() -> Any:
    return compiled(_fill)


def _fill(corners_nm: Any, area_before_nm2: Any, places_nm2: Any, along: Any, points: Any) -> None:
    face, last = 0, area_before_nm2.shape[0] - 2
    for n in range(places_nm2.shape[0]):
        while face < last and places_nm2[n] >= area_before_nm2[face + 1]:
            face += 1
        below, above = area_before_nm2[face], area_before_nm2[face + 1]
        # At the very end of the surface the last face may have no area.
        root = np.sqrt((places_nm2[n] - below) / (above - below)) if above > below else 0.0
        towards = root * along[n]
        for axis in range(3):
            first, to_second, to_third = corners_nm[0, axis, face], corners_nm[1, axis, face], corners_nm[2, axis, face]
            points[n, axis] = first + (root - towards) * to_second + towards * to_third
