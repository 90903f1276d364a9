"""Otsu's threshold: the floor that every other method should be above.

N. Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979), doi 10.1109/TSMC.1979.4310076. Grey levels are
256 bins of the image's own range, whatever its bit depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.method import Image, Mask, Segmenter


@dataclass(frozen=True)
class Otsu(Segmenter):
    """What is brighter than the threshold that best parts the histogram in two."""

    def _mask(self, unit: Image, pixel_nm: float) -> Mask:
        return np.asarray(unit > otsu(unit)[0])


def otsu(values: NDArray[Any], bins: int = 256) -> tuple[float, float]:
    """Return the threshold of values that are not all equal, and how well it parts them.

    Returns
    -------
    threshold
        That of the largest variance between the classes, eq. 18; the middle of several as good.
    effectiveness
        That variance's share of the whole, from 0 to 1, eq. 12 (eta).
    """
    counts, edges = np.histogram(values, bins)
    middles, share = (edges[:-1] + edges[1:]) / 2, counts / counts.sum()
    below, moment = np.cumsum(share)[:-1], np.cumsum(share * middles)[:-1]
    mean = share @ middles
    between = (mean * below - moment) ** 2 / (below * (1 - below))
    best = np.isclose(between, between.max(), rtol=1e-9)
    return float(edges[1:-1][best].mean()), float(between.max() / (share @ (middles - mean) ** 2))
