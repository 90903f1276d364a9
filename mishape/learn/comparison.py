"""How near a set of shapes comes to another: distances of shapes whatever their pose, and what sets of them say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.geometry import sample_surface
from mishape.engine.types import Mesh, Points
from mishape.learn.frames import MARGIN, Frame

FLIPS = np.array([*product((1.0, -1.0), repeat=3)])
"""Signs of the axes: a principal frame has no front, and mirror images count as equal."""


def cloud(mesh: Mesh, points: int, rng: Generator) -> Points:
    """Return (points, 3) places on a surface, by area, in its principal frame; its longest edge is 1."""
    frame = Frame.principal(mesh)
    places = frame.places(sample_surface(mesh, points, rng)) * frame.half_nm
    return np.asarray(places / (2 * frame.half_nm.max() / MARGIN))


def chamfer(one: Points, other: Points) -> float:
    """Return half of the mean distances to the nearest point, both ways, for the best of all flips.

    Chamfer-L1 as in Occupancy Networks (Mescheder et al., CVPR 2019), in units of the longest edge.
    """
    from scipy.spatial import cKDTree

    trees = cKDTree(one), cKDTree(other)

    def both_ways(flip: Points) -> float:
        # A flip is its own inverse: turning the first set is the same as turning the second.
        ways = trees[0].query(other * flip)[0], trees[1].query(one * flip)[0]
        return float(np.mean(ways[0]) + np.mean(ways[1])) / 2

    return min(map(both_ways, FLIPS))


def earth_mover(one: Points, other: Points) -> float:
    """Return the mean distance of the best one-to-one matching of two sets of as many points, for the best flip."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    def matched(flip: Points) -> float:
        apart = cdist(one, other * flip)
        return float(apart[linear_sum_assignment(apart)].mean())

    return min(map(matched, FLIPS))


Apart = Callable[[Points, Points], float]
"""The distance of two sets of points."""


@dataclass(frozen=True)
class Distances:
    """Distances between all of two sets of shapes, those of the first set first: (n + m, n + m).

    Parameters
    ----------
    matrix
        Symmetrical, 0 on its diagonal.
    real
        How many are of the first set.
    """

    matrix: NDArray[np.float64]
    real: int

    @classmethod
    def between(cls, real: Sequence[Points], made: Sequence[Points], distance: Apart) -> Self:
        """Measure all pairs."""
        every = [*real, *made]
        matrix = np.zeros((len(every), len(every)))
        for i, one in enumerate(every):
            for j in range(i):
                matrix[i, j] = matrix[j, i] = distance(one, every[j])
        return cls(matrix, len(real))

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Which are of the second set."""
        return np.arange(len(self.matrix)) >= self.real

    def nearest_accuracy(self, labels: NDArray[np.bool_] | None = None) -> float:
        """Return how often a shape's nearest neighbour is of its own set (1-NNA, Lopez-Paz & Oquab, ICLR 2017).

        Two sets of one distribution give 0.5; sets that lie apart give 1. It wants sets of equal size.
        """
        told = self.labels if labels is None else labels
        nearest = (self.matrix + np.diag(np.full(len(self.matrix), np.inf))).argmin(axis=1)
        return float((told[nearest] == told).mean())

    def permuted(self, rng: Generator, times: int = 2000) -> float:
        """Return how often sets dealt at random are told apart as well: the p-value of `nearest_accuracy`."""
        found = self.nearest_accuracy()
        as_well = sum(self.nearest_accuracy(rng.permutation(self.labels)) >= found for _ in range(times))
        return (as_well + 1) / (times + 1)

    @property
    def coverage(self) -> float:
        """Share of the first set that is the nearest to some shape of the second (Achlioptas et al., ICML 2018)."""
        across = self.matrix[: self.real, self.real :]
        return len({*across.argmin(axis=0).tolist()}) / self.real

    @property
    def minimum_matching(self) -> float:
        """Mean distance of the first set's shapes to the nearest of the second (MMD, Achlioptas et al., ICML 2018)."""
        return float(self.matrix[: self.real, self.real :].min(axis=1).mean())


def interval(values: Sequence[float], rng: Generator, times: int = 2000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean."""
    drawn = rng.choice(np.asarray(values), (times, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)
