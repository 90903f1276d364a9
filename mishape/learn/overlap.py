"""How much two masks have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dice(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Return twice the common foreground over the sum of both; 1 where both are empty, 0 where one is."""
    total = int(found.sum()) + int(true.sum())
    return 2 * int((found & true).sum()) / total if total else 1.0


def intersection_over_union(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Return the common foreground over that of either; 1 where both are empty, 0 where one is."""
    either = int((found | true).sum())
    return int((found & true).sum()) / either if either else 1.0


def betti_error(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> int:
    """Return how much the numbers of parts and of holes differ, summed: foreground by 8, background by 4 neighbours."""
    (parts, holes), (true_parts, true_holes) = _betti(found), _betti(true)
    return abs(parts - true_parts) + abs(holes - true_holes)


def _betti(mask: NDArray[np.bool_]) -> tuple[int, int]:
    from scipy.ndimage import label

    parts = label(mask, np.ones((3, 3)))[1]
    around = label(np.pad(~mask, 1, constant_values=True))[1]
    return int(parts), int(around) - 1
