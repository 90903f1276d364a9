"""How like a population of solids is to the real ones: tests of sets, distributions of descriptors, novelty."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.em.descriptors import SCALE_FREE, SIZES
from mishape.engine.errors import ShapeError
from mishape.engine.geometry import check_watertight
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Shape
from mishape.learn.comparison import Distances, chamfer, cloud
from mishape.plugins.reports.populations import POINTS, Population

DEALT = 400
"""Random choices of as many shapes as are real, over which tests of sets are averaged."""
P_VALUES = 8
"""Choices of which the p-value is the median."""
ALL = (*SCALE_FREE, *SIZES)


@dataclass(frozen=True)
class Sets:
    """What a distance of shapes says of two sets.

    Parameters
    ----------
    accuracy, low, high
        1-NNA, the mean over choices of as many shapes as are real, and what 95 % of those lie between.
    p
        How often sets dealt at random are told apart as well: twice the median over choices, at most 1, which holds
        whatever the choices have in common (Rueger 1978).
    coverage, matching
        Coverage and minimum matching distance.
    """

    accuracy: float
    low: float
    high: float
    p: float
    coverage: float
    matching: float


def chance(count: int) -> float:
    """Return the 1-NNA to be expected of two sets of so many shapes each of one origin: a little below one half."""
    return (count - 1) / (2 * count - 1)


def sets(real: Population, other: Population, rng: Generator) -> dict[str, Sets]:
    """Compare two populations by each kind of distance of shapes."""
    count = min(len(real.shapes), len(other.shapes))
    every = Distances.between(real.clouds, other.clouds)
    return {kind: _sets(one, count, rng) for kind, one in every.items()}


def _sets(every: Distances, count: int, rng: Generator) -> Sets:
    dealt = [_dealt(every, count, rng) for _ in range(DEALT)]
    accuracies = [one.nearest_accuracy() for one in dealt]
    low, high = np.quantile(accuracies, (0.025, 0.975)).tolist()
    p = min(1.0, 2 * float(np.median([one.permuted(rng) for one in dealt[:P_VALUES]])))
    coverage = float(np.mean([one.coverage for one in dealt]))
    matching = float(np.mean([one.minimum_matching for one in dealt]))
    return Sets(float(np.mean(accuracies)), low, high, p, coverage, matching)


def _dealt(every: Distances, count: int, rng: Generator) -> Distances:
    """Return as many shapes of each set."""
    total = len(every.matrix) - every.real
    real = rng.choice(every.real, count, replace=False)
    chosen = np.concatenate([real, every.real + rng.choice(total, count, replace=False)])
    return Distances(every.matrix[np.ix_(chosen, chosen)], count)


def spans(real: Population, other: Population, rng: Generator) -> dict[str, float]:
    """Return the Wasserstein-1 distance of each descriptor's two distributions, in its own unit.

    The mean of that to many choices of as many shapes as are real, as it depends on how many there are.
    """
    count = min(len(real.given), len(other.given))
    dealt = [rng.choice(len(other.given), count, replace=False) for _ in range(DEALT)]
    every = {name: (values(real, name), values(other, name)) for name in ALL}
    return {name: float(np.mean([_span(one, two[chosen]) for chosen in dealt])) for name, (one, two) in every.items()}


def chance_spans(learned: Population, count: int, rng: Generator) -> dict[str, tuple[float, float]]:
    """Return 95 % of the Wasserstein distances between so many shapes that were learned and as many others of them."""
    few = min(count, len(learned.given) // 2)
    dealt = [rng.permutation(len(learned.given))[: 2 * few] for _ in range(DEALT)]
    found = {name: [_span(*np.split(values(learned, name)[chosen], 2)) for chosen in dealt] for name in ALL}
    return {name: tuple(np.quantile(one, (0.025, 0.975)).tolist()) for name, one in found.items()}


def _span(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(one, other))


def values(population: Population, name: str) -> NDArray[np.float64]:
    """Return a descriptor of each shape."""
    return np.array([look[name] for look in population.looks])


def novelty(learned: Population, other: Population | None = None) -> list[float]:
    """Return each shape's Chamfer distance to the nearest that was learned; of those learned, to the nearest other."""
    clouds = learned.clouds
    if other is None:
        return [min(map(partial(chamfer, one), clouds[:i] + clouds[i + 1 :])) for i, one in enumerate(clouds)]
    return [min(map(partial(chamfer, one), clouds)) for one in other.clouds]


def floor(learned: Population) -> float:
    """Return the median distance of a shape to itself: that of two samples of its surface."""
    again = [cloud(shape.surface, POINTS, stream(0, 1, Stage.LABEL, shape.id)) for shape in learned.shapes]
    return float(np.median([*map(chamfer, learned.clouds, again)]))


def sound(population: Population) -> float:
    """Return the share of a population that are closed surfaces of a single part."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    def is_sound(shape: Shape) -> bool:
        mesh = shape.surface
        try:
            check_watertight(mesh, shape.id)
        except ShapeError:
            return False
        start, end = mesh.faces[:, :2].ravel(), mesh.faces[:, 1:].ravel()
        size = (len(mesh.vertices_nm),) * 2
        return bool(connected_components(coo_array((np.ones(len(start)), (start, end)), shape=size))[0] == 1)

    return float(np.mean([*map(is_sound, population.given)]))
