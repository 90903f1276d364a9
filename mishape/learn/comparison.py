"""How near a set of shapes comes to another: distances of shapes whatever their pose, and what sets of them say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.geometry import sample_surface
from mishape.engine.types import Mesh, Points
from mishape.learn.frames import MARGIN, Frame

FLIPS = np.array([*product((1.0, -1.0), repeat=3)])
"""Signs of the axes: a principal frame has no front, and mirror images count as equal."""
FEW = 256
"""Points of a set by which the flip is chosen, and that are matched one to one: that takes time by their cube."""
TURNS = FLIPS[FLIPS.prod(axis=1) > 0]
"""Those of them that are rotations."""


def cloud(mesh: Mesh, points: int, rng: Generator) -> Points:
    """Return (points, 3) places on a surface, by area, in its principal frame; its longest edge is 1.

    They come in random order: the first of them are a smaller sample.
    """
    frame = Frame.principal(mesh)
    places = frame.places(rng.permutation(sample_surface(mesh, points, rng))) * frame.half_nm
    return np.asarray(places / (2 * frame.half_nm.max() / MARGIN))


def chamfer(one: Points, other: Points, flips: Points = FLIPS) -> float:
    """Return half of the mean distances to the nearest point, both ways, in the best of all flips.

    Chamfer-L1 as in Occupancy Networks (Mescheder et al., CVPR 2019), in units of the longest edge.
    """
    return _fitted(one, other, flips)[0]


def earth_mover(one: Points, other: Points, flip: Points) -> float:
    """Return the mean distance of the best one-to-one matching of two sets of as many points, the second flipped."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    apart = cdist(one, other * flip)
    return float(apart[linear_sum_assignment(apart)].mean())


def both(one: Points, other: Points) -> dict[str, float]:
    """Return the Chamfer distance, and the earth mover's of the first 256 points in the flip that gave it."""
    near, flip = _fitted(one, other, FLIPS)
    return {"chamfer": near, "earth_mover": earth_mover(one[:FEW], other[:FEW], flip)}


def _fitted(one: Points, other: Points, flips: Points) -> tuple[float, Points]:
    """Return the Chamfer distance in the best flip, and that flip: it is the best of the first points alone."""
    few = one[:FEW], other[:FEW]
    flip = flips[int(np.argmin([_both_ways(*few, flip) for flip in flips]))]
    return _both_ways(one, other, flip), flip


def _both_ways(one: Points, other: Points, flip: Points) -> float:
    from scipy.spatial import cKDTree

    turned = other * flip
    ways = cKDTree(one).query(turned)[0], cKDTree(turned).query(one)[0]
    return float(np.mean(ways[0]) + np.mean(ways[1])) / 2


def handedness(clouds: Sequence[Points], rng: Generator, times: int = 2000) -> tuple[float, float]:
    """Tell whether shapes are more like others of a set than like the mirror images of these.

    Returns
    -------
    share, p
        Share of the shapes whose nearest other is nearer as it is than any other is when mirrored: 0.5 if chirality
        carries no information; and how often shapes that are mirrored at random have as large a share.
    """
    count = len(clouds)
    ways = np.full((2, count, count), np.inf)
    for way, flips in enumerate((TURNS, -TURNS)):
        for i, j in combinations(range(count), 2):
            ways[way, i, j] = ways[way, j, i] = chamfer(clouds[i], clouds[j], flips)

    def share(hands: NDArray[np.int64]) -> float:
        same = hands[:, None] == hands
        as_it_is, mirrored = np.where(same, *ways), np.where(same, *ways[::-1])
        return float((as_it_is.min(axis=1) < mirrored.min(axis=1)).mean())

    found = share(np.ones(count, np.int64))
    dealt = [share(rng.integers(2, size=count)) for _ in range(times)]
    return found, (sum(one >= found for one in dealt) + 1) / (times + 1)


Apart = Callable[[Points, Points], dict[str, float]]
"""Distances of two sets of points, by their kinds."""


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
    def between(cls, real: Sequence[Points], made: Sequence[Points], distance: Apart = both) -> dict[str, Self]:
        """Measure all pairs, by each kind of distance."""
        every = [*real, *made]
        pairs = {(i, j): distance(every[i], every[j]) for i in range(len(every)) for j in range(i)}
        kinds = next(iter(pairs.values()))
        matrices = {kind: np.zeros((len(every), len(every))) for kind in kinds}
        for (i, j), apart in pairs.items():
            for kind, value in apart.items():
                matrices[kind][i, j] = matrices[kind][j, i] = value
        return {kind: cls(matrix, len(real)) for kind, matrix in matrices.items()}

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Which are of the second set."""
        return np.arange(len(self.matrix)) >= self.real

    def nearest_accuracy(self) -> float:
        """Return how often a shape's nearest neighbour is of its own set (1-NNA, Lopez-Paz & Oquab, ICLR 2017).

        Two sets of one distribution give 0.5; sets that lie apart give 1. It wants sets of equal size.
        """
        return float((self.labels[self._nearest] == self.labels).mean())

    def permuted(self, rng: Generator, times: int = 2000) -> float:
        """Return how often sets dealt at random are told apart as well: the p-value of `nearest_accuracy`."""
        dealt = rng.permuted(np.tile(self.labels, (times, 1)), axis=1)
        found = (dealt[:, self._nearest] == dealt).mean(axis=1)
        return float(((found >= self.nearest_accuracy()).sum() + 1) / (times + 1))

    @property
    def _nearest(self) -> NDArray[np.int64]:
        """Each shape's nearest neighbour."""
        return np.asarray((self.matrix + np.diag(np.full(len(self.matrix), np.inf))).argmin(axis=1))

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
