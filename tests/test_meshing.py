"""Meshes of fields: closed, outward, of the right size; every part found; clear errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mishape.engine import geometry as g
from mishape.engine.cells import gradient
from mishape.engine.errors import ShapeError
from mishape.engine.measures import measures
from mishape.engine.meshing import mesh_of_implicit
from mishape.engine.types import Implicit, Points, Shape
from mishape.plugins.shapes.tube import Tube


def balls(centers: Points, radius: float, step: float) -> Implicit:
    def field(p: Points) -> Points:
        return np.asarray(np.linalg.norm(p[:, None] - centers, axis=2).min(axis=1) - radius)

    return Implicit(field, np.stack([centers.min(axis=0) - radius, centers.max(axis=0) + radius]), step)


def test_volume_and_area_of_a_ball_converge_with_the_square_of_the_step() -> None:
    errors = []
    for step in (40.0, 20.0, 10.0):
        mesh = mesh_of_implicit(balls(np.zeros((1, 3)), 200, step))
        g.check_watertight(mesh, "ball")
        np.testing.assert_allclose(np.linalg.norm(mesh.vertices_nm, axis=1), 200, atol=0.05)
        errors.append(
            (1 - g.mesh_volume_nm3(mesh) / (4 / 3 * np.pi * 200**3), 1 - g.mesh_area_nm2(mesh) / (4 * np.pi * 200**2))
        )
    volume, area = np.array(errors).T
    assert np.all(volume[:-1] / volume[1:] > 3.5)
    assert 0 < volume[-1] < 2e-3
    assert 0 < area[-1] < 1e-3


def test_volume_area_and_genus_of_a_torus() -> None:
    def field(p: Points) -> Points:
        return np.asarray(np.hypot(np.hypot(p[:, 0], p[:, 1]) - 300, p[:, 2]) - 80)

    mesh = mesh_of_implicit(Implicit(field, np.array([[-380.0, -380, -80], [380, 380, 80]]), 8))
    line = measures(Shape("torus", mesh=mesh))
    assert line["watertight"]
    assert line["genus"] == 1
    assert line["volume_nm3"] == pytest.approx(2 * np.pi**2 * 300 * 80**2, rel=5e-3)
    assert line["area_nm2"] == pytest.approx(4 * np.pi**2 * 300 * 80, rel=2e-3)


def test_faces_look_along_the_gradient() -> None:
    solid = balls(np.zeros((1, 3)), 200, 23)
    mesh = mesh_of_implicit(solid)
    a, b, c = np.moveaxis(mesh.vertices_nm[mesh.faces], 1, 0)
    assert np.all(np.einsum("ij,ij->i", np.cross(b - a, c - a), gradient(solid.field, (a + b + c) / 3, 0.1)) > 0)


def test_every_separate_part_is_meshed() -> None:
    centers = np.random.default_rng(0).permutation(np.arange(12))[:, None] * np.array([1000.0, 300, 700])
    mesh = mesh_of_implicit(balls(centers, 100, 25))
    assert g.mesh_volume_nm3(mesh) == pytest.approx(12 * 4 / 3 * np.pi * 100**3, rel=0.02)
    assert measures(Shape("balls", mesh=mesh))["genus"] == 0


def test_a_steep_field_is_followed_across_cells_that_its_values_rule_out() -> None:
    solid = balls(np.zeros((1, 3)), 200, 20)
    steep = Implicit(lambda p: solid.field(p) * (1 + 4 * (p[:, 0] > 0)), solid.bounds_nm, 20)
    g.check_watertight(mesh_of_implicit(steep), "steep")


def test_a_solid_out_of_its_bounds_is_refused() -> None:
    solid = balls(np.zeros((1, 3)), 200, 20)
    with pytest.raises(ShapeError, match="the solid reaches out of its bounds_nm"):
        mesh_of_implicit(Implicit(lambda p: p[:, 0] * 1.0, solid.bounds_nm, 20))


def test_a_field_without_a_surface_is_refused() -> None:
    with pytest.raises(ShapeError, match="the field has no surface in its bounds at a step of 20 nm"):
        mesh_of_implicit(Implicit(lambda p: np.full(len(p), 1e3), np.array([[-50.0] * 3, [50.0] * 3]), 20))


def test_a_step_far_too_small_is_refused_before_memory_is_gone() -> None:
    with pytest.raises(ShapeError, match=r"too many cells: use a larger step_nm"):
        mesh_of_implicit(balls(np.zeros((1, 3)), 1e5, 5))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    radius=st.floats(40, 400),
    slenderness=st.floats(2, 30),
    branches=st.integers(0, 3),
    aspect=st.sampled_from([1.0, 1.0, 2.5]),
    persistence=st.floats(300, 1e5),
)
def test_random_tubes_are_watertight(
    seed: int, radius: float, slenderness: float, branches: int, aspect: float, persistence: float
) -> None:
    length = radius * slenderness * (branches + 1)
    tube = Tube(length_nm=length, radius_nm=radius, branches=branches, aspect=aspect, persistence_nm=persistence)
    shape = tube.sample(np.random.default_rng(seed), None)
    g.check_watertight(shape.surface, shape.id)
    tight = np.stack([shape.surface.vertices_nm.min(axis=0), shape.surface.vertices_nm.max(axis=0)])
    assert np.all(tight[0] >= shape.bounds_nm[0] - 1)
    assert np.all(tight[1] <= shape.bounds_nm[1] + 1)


def test_a_20_um_branched_network_is_watertight() -> None:
    tube = Tube(length_nm=20_000, radius_nm=150, branches=5, height_nm=900)
    shape = tube.sample(np.random.default_rng(7), None)
    g.check_watertight(shape.surface, shape.id)
    assert np.ptp(shape.surface.vertices_nm[:, 2]) <= 900.5
    assert np.ptp(shape.surface.vertices_nm[:, :2], axis=0).max() > 3000
