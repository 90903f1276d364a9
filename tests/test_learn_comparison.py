"""Distances of shapes whatever their pose, and measures of sets of shapes."""

from __future__ import annotations

import numpy as np
import pytest

from mishape.engine.geometry import random_rotation
from mishape.engine.library import open_library
from mishape.engine.types import Points
from mishape.learn.comparison import Distances, chamfer, cloud, earth_mover, interval


def line(rng: np.random.Generator, centre: float) -> Points:
    return centre + rng.normal(0, 1, (1, 1))


def apart(one: Points, other: Points) -> float:
    return float(np.abs(one - other).sum())


def test_a_turned_or_mirrored_shape_is_the_same_shape() -> None:
    rng = np.random.default_rng(0)
    first, second = (entry.shape() for entry in list(open_library("neuropil"))[:2])
    turned = first.moved(random_rotation(rng), rng.normal(0, 500, 3), 1.7)
    own = cloud(first.surface, 2000, rng)
    assert np.ptp(own, axis=0).max() == pytest.approx(1, abs=0.02)
    floor = chamfer(own, cloud(first.surface, 2000, rng))
    assert chamfer(own, cloud(turned.surface, 2000, rng)) == pytest.approx(floor, rel=0.1)
    assert chamfer(own, own * [1, -1, 1]) == 0
    assert chamfer(own, cloud(second.surface, 2000, rng)) > 2 * floor


def test_the_earth_mover_knows_how_many_are_where() -> None:
    """Two clumps with 3 and 1 of 4 points, against 2 and 2: one point moves by 1; nearest points do not tell."""
    one = np.array([[1.0, 0, 0]] * 3 + [[0.0, 0, 0]])
    two = np.array([[1.0, 0, 0]] * 2 + [[0.0, 0, 0]] * 2)
    assert earth_mover(one, two) == pytest.approx(0.25)
    assert chamfer(one, two) == 0


def test_sets_of_one_distribution_are_not_told_apart() -> None:
    rng = np.random.default_rng(1)
    found = [
        Distances.between([line(rng, 0) for _ in range(20)], [line(rng, 0) for _ in range(20)], apart)
        for _ in range(40)
    ]
    assert np.mean([sets.nearest_accuracy() for sets in found]) == pytest.approx(0.5, abs=0.05)
    values = [sets.permuted(rng, 100) for sets in found]
    assert 0.3 < np.mean(values) < 0.75


def test_sets_that_lie_apart_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    sets = Distances.between([line(rng, 0) for _ in range(12)], [line(rng, 30) for _ in range(12)], apart)
    assert sets.nearest_accuracy() == 1
    assert sets.permuted(rng, 200) == pytest.approx(1 / 201)
    assert sets.minimum_matching > 20
    assert sets.coverage <= 2 / 12


def test_copies_are_nearest_to_what_they_copy() -> None:
    rng = np.random.default_rng(3)
    real = [line(rng, 0) for _ in range(10)]
    sets = Distances.between(real, [one + 1e-6 for one in real], apart)
    assert sets.nearest_accuracy() == 0
    assert sets.coverage == 1


def test_an_interval_holds_the_mean() -> None:
    rng = np.random.default_rng(4)
    low, high = interval(rng.normal(3, 1, 100).tolist(), rng)
    assert low < 3 < high
    assert high - low == pytest.approx(4 * 0.1, rel=0.3)
