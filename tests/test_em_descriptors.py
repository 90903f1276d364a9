"""What shapes look like, in numbers, against formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mishape.em.descriptors import SCALE_FREE, descriptors, mean_curvature_nm
from mishape.engine.geometry import random_rotation
from tests.small_shapes import sampled

pytest.importorskip("skimage")


def test_a_ball() -> None:
    found = descriptors(sampled(form="sphere", radius_nm=400.0))
    assert found["sphericity"] == pytest.approx(1, rel=0.01)
    assert found["curvature"] == pytest.approx(1, rel=0.01)
    assert found["elongation"] == pytest.approx(1, rel=0.02)
    assert found["flatness"] == pytest.approx(1, rel=0.02)
    assert (found["branches"], found["genus"]) == (1, 0)


def test_a_capsule() -> None:
    """Its mean curvature's integral is 4 pi r + pi times the length of its straight part."""
    length, radius = 2000.0, 200.0
    shape = sampled(form="capsule", length_nm=length, radius_nm=radius)
    found = descriptors(shape)
    assert mean_curvature_nm(shape.surface) == pytest.approx(
        4 * math.pi * radius + math.pi * (length - 2 * radius), rel=0.01
    )
    assert found["elongation"] == pytest.approx(5, rel=0.02)
    assert found["length_nm"] == pytest.approx(length, rel=0.05)
    assert found["thickness_nm"] == pytest.approx(2 * radius, rel=0.06)
    assert found["thickness_variation"] < 0.1
    assert found["volume_um3"] == pytest.approx(math.pi * radius**2 * (length - 2 * radius / 3) / 1e9, rel=0.01)


def test_a_ring() -> None:
    """A torus' is 2 pi^2 times its ring's radius."""
    shape = sampled(form="torus", ring_radius_nm=500.0, radius_nm=150.0)
    assert mean_curvature_nm(shape.surface) == pytest.approx(2 * math.pi**2 * 500, rel=0.01)
    assert descriptors(shape)["genus"] == 1


def test_pose_and_size_do_not_matter() -> None:
    shape = sampled(form="ellipsoid", semi_axes_nm=[700.0, 300.0, 200.0])
    rng = np.random.default_rng(2)
    moved = shape.surface.moved
    from mishape.engine.types import Pose

    turned = moved(Pose(random_rotation(rng), rng.normal(0, 100, 3), 1.0))
    assert mean_curvature_nm(turned) == pytest.approx(mean_curvature_nm(shape.surface))
    assert {*SCALE_FREE} < {*descriptors(shape)}
