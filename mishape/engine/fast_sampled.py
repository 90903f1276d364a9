"""Reading a sampled field in one pass, compiled by numba (the extra `fast`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.fast import compiled
from mishape.engine.types import Points


def read_between(values: NDArray[np.floating], origin_nm: Points, step_nm: Points, points_nm: Points) -> Points:
    """Return a lattice's values at (n, 3) points, linear along each axis; beyond the lattice as at its edge."""
    found = np.empty(len(points_nm))
    _kernel()(values, origin_nm, step_nm, points_nm, found)
    return found


@cache
def _kernel() -> Any:
    return compiled(_read)


def _read(values: Any, origin_nm: Any, step_nm: Any, points_nm: Any, found: Any) -> None:
    nx, ny, nz = values.shape
    for n in range(points_nm.shape[0]):
        x = min(max((points_nm[n, 0] - origin_nm[0]) / step_nm[0], 0.0), nx - 1.0)
        y = min(max((points_nm[n, 1] - origin_nm[1]) / step_nm[1], 0.0), ny - 1.0)
        z = min(max((points_nm[n, 2] - origin_nm[2]) / step_nm[2], 0.0), nz - 1.0)
        i, j, k = min(int(x), nx - 2), min(int(y), ny - 2), min(int(z), nz - 2)
        a, b, c = x - i, y - j, z - k
        low = (values[i, j, k] * (1 - c) + values[i, j, k + 1] * c) * (1 - b)
        low += (values[i, j + 1, k] * (1 - c) + values[i, j + 1, k + 1] * c) * b
        high = (values[i + 1, j, k] * (1 - c) + values[i + 1, j, k + 1] * c) * (1 - b)
        high += (values[i + 1, j + 1, k] * (1 - c) + values[i + 1, j + 1, k + 1] * c) * b
        found[n] = low * (1 - a) + high * a
