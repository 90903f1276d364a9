"""How noisy a detector is at each brightness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

BINS = 12
"""Of pixels of like brightness, in which what is noise is looked for."""
FEWEST = 64
"""Pixels of a bin."""
NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class NoiseLaw:
    """The variance of a pixel's counts: it rises in a straight line with what is expected.

    Parameters
    ----------
    floor
        Variance at no counts; below 0 where a detector adds an offset.
    slope
        Variance for each count more: a detector's counts per electron.
    """

    floor: float = 0.0
    slope: float = 1.0

    def variance(self, expected: Any) -> Any:
        """Return the variance where so much is expected, of any array library; never below a hundredth of a count."""
        return (self.floor + self.slope * expected).clip(0.01)

    @classmethod
    def of(cls, counts: NDArray[Any]) -> Self:
        """Return the law by a (P, H, W) image alone: how much pixels differ from their neighbours, dark and bright.

        Second differences along both axes, whose noise is six times that of a pixel, leave shapes out as far as they
        are smooth; what remains of them makes the law a little too large where it is bright. A line through the
        medians of bins of like brightness.
        """
        image = counts.astype(np.float64)
        rough = _second(_second(image, -1), -2) / 6
        mean = _mean(_mean(image, -1), -2)
        level, apart = mean.ravel(), rough.ravel()
        low, high = np.percentile(level, (1, 99.5))
        edges = np.linspace(low, high, BINS + 1)
        place = np.digitize(level, edges)
        bins = [place == number for number in range(1, BINS + 1) if (place == number).sum() >= FEWEST]
        if len(bins) < 2:
            return cls(float((NORMAL * np.median(np.abs(apart))) ** 2), 0.0)
        levels = np.array([np.median(level[chosen]) for chosen in bins])
        variances = np.array([(NORMAL * np.median(np.abs(apart[chosen]))) ** 2 for chosen in bins])
        weights = np.array([chosen.sum() for chosen in bins]) ** 0.5 / variances.clip(1e-9)
        slope, floor = np.polyfit(levels, variances, 1, w=weights)
        return cls(float(floor), float(slope)) if slope > 0 else cls(float(np.average(variances, weights=weights)), 0.0)


def _second(image: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    first, middle, last = (np.take(image, np.arange(start, image.shape[axis] - 2 + start), axis) for start in range(3))
    return np.asarray(first - 2 * middle + last)


def _mean(image: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    first, middle, last = (np.take(image, np.arange(start, image.shape[axis] - 2 + start), axis) for start in range(3))
    return np.asarray(first + middle + last) / 3
