"""Distances of shapes whatever their pose, and measures of sets of shapes."""

from __future__ import annotations

import numpy as np
import pytest

from mishape.engine.geometry import random_rotation
from mishape.engine.library import open_library
from mishape.engine.types import Points
from mishape.learn.comparison import Distances, both, chamfer, cloud, handedness, interval
from tests.small_shapes import sampled


def line(rng: np.random.Generator, centre: float) -> Points:
    return centre + rng.normal(0, 1, (1, 1))


def apart(one: Points, other: Points) -> dict[str, float]:
    return {"along the line": float(np.abs(one - other).sum())}


def between(real: list[Points], made: list[Points]) -> Distances:
    return Distances.between(real, made, apart)["along the line"]


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


def test_the_first_points_are_a_smaller_sample() -> None:
    """Flips are chosen, and points matched, by the first 256: they must not lie at one end."""
    rod = sampled(form="capsule", length_nm=1500.0, radius_nm=150.0)  # its triangles are in order, from end to end
    points = cloud(rod.surface, 1024, np.random.default_rng(0))
    np.testing.assert_allclose(points[:256].mean(axis=0), points.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(points[:256].std(axis=0), points.std(axis=0), rtol=0.15)


def test_the_earth_mover_knows_how_many_are_where() -> None:
    """Two clumps with 3 and 1 of 4 points, against 2 and 2: one point moves by 1; nearest points do not tell."""
    one = np.array([[1.0, 0, 0]] * 3 + [[0.0, 0, 0]])
    two = np.array([[1.0, 0, 0]] * 2 + [[0.0, 0, 0]] * 2)
    assert both(one, two) == pytest.approx({"chamfer": 0, "earth_mover": 0.25})
    assert both(one, two * [-1, 1, 1]) == pytest.approx({"chamfer": 0, "earth_mover": 0.25})


def test_sets_of_one_distribution_are_not_told_apart() -> None:
    rng = np.random.default_rng(1)
    found = [between([line(rng, 0) for _ in range(20)], [line(rng, 0) for _ in range(20)]) for _ in range(40)]
    assert np.mean([sets.nearest_accuracy() for sets in found]) == pytest.approx(0.5, abs=0.05)
    values = [sets.permuted(rng, 100) for sets in found]
    assert 0.3 < np.mean(values) < 0.75


def test_sets_that_lie_apart_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    sets = between([line(rng, 0) for _ in range(12)], [line(rng, 30) for _ in range(12)])
    assert sets.nearest_accuracy() == 1
    assert sets.permuted(rng, 200) == pytest.approx(1 / 201)
    assert sets.minimum_matching > 20
    assert sets.coverage <= 2 / 12


def test_copies_are_nearest_to_what_they_copy() -> None:
    rng = np.random.default_rng(3)
    real = [line(rng, 0) for _ in range(10)]
    sets = between(real, [one + 1e-6 for one in real])
    assert sets.nearest_accuracy() == 0
    assert sets.coverage == 1


def test_an_interval_holds_the_mean() -> None:
    rng = np.random.default_rng(4)
    low, high = interval(rng.normal(3, 1, 100).tolist(), rng)
    assert low < 3 < high
    assert high - low == pytest.approx(4 * 0.1, rel=0.3)


def test_handedness_is_seen_where_there_is_any() -> None:
    """Left-handed corkscrews are like one another, not like right-handed ones; a mixture of both carries none."""
    rng = np.random.default_rng(5)

    def corkscrew(hand: int) -> Points:
        along = np.linspace(0, 1, 200)
        turn = 3 * np.pi * along + rng.uniform(0, 0.3)
        screw = np.stack([along - 0.5, 0.2 * np.cos(turn), hand * 0.2 * np.sin(turn)], axis=1)
        return np.asarray(screw + rng.normal(0, 0.005, screw.shape))

    share, p = handedness([corkscrew(1) for _ in range(12)], rng)
    assert share == 1
    assert p < 0.01
    share, p = handedness([corkscrew(int(hand)) for hand in rng.choice([-1, 1], 12)], rng)
    assert p > 0.01
