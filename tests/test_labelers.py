"""Labels: uniform by area and by volume whatever the tessellation, Poisson counts, brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import Accuracy
from pydantic import ValidationError
from scipy import stats

from mishape.engine import geometry as g
from mishape.engine.errors import ShapeError
from mishape.engine.types import Mesh, Points, Shape
from mishape.plugins.labelers.surface import Surface
from mishape.plugins.labelers.volume import Volume
from mishape.plugins.shapes.em_mesh import EmMesh
from mishape.plugins.shapes.implicit import Implicit
from mishape.plugins.shapes.tube import Tube

RNG = np.random.default_rng


def solid(**parameters: Any) -> Shape:
    return Implicit.model_validate(parameters).sample(RNG(0), None)


def uneven_sphere(radius: float) -> Mesh:
    """Longitude and latitude, with most of the rings crowded into the northern half."""
    z = np.cos(np.pi * np.concatenate([np.linspace(0, 0.5, 120)[1:-1], np.linspace(0.5, 1, 40)[:-1]]))
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    ring = np.sqrt(1 - z**2)[:, None]
    grid = np.stack([ring * np.cos(angle), ring * np.sin(angle), np.broadcast_to(z[:, None], (len(z), 96))], axis=2)
    vertices = np.concatenate([grid.reshape(-1, 3), [[0, 0, 1], [0, 0, -1]]]) * radius
    here = np.arange(96)
    there, faces = (here + 1) % 96, []
    for row in range(len(z) - 1):
        a, b, c, d = row * 96 + here, row * 96 + there, (row + 1) * 96 + here, (row + 1) * 96 + there
        faces += [np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)]
    last, top = (len(z) - 1) * 96, len(z) * 96
    faces += [
        np.stack([np.full(96, top), here, there], 1),
        np.stack([np.full(96, top + 1), last + there, last + here], 1),
    ]
    return Mesh(vertices, np.concatenate(faces).astype(np.int64))


def uniform(values: Points, low: float, high: float, bins: int = 40) -> float:
    return float(stats.chisquare(np.histogram(values, bins, (low, high))[0]).pvalue)


def test_labels_do_not_see_an_uneven_tessellation(accuracy: Accuracy) -> None:
    mesh = uneven_sphere(500)
    g.check_watertight(mesh, "uneven")
    xyz = Surface(density_per_um2=20_000).label(Shape("s", mesh), RNG(1)).xyz_nm
    # Archimedes: z is uniform on a sphere.
    accuracy(22, "chi-square p, uniform by area", uniform(xyz[:, 2], -500, 500), above=1e-3, case="along z")
    around = uniform(np.arctan2(xyz[:, 1], xyz[:, 0]), -np.pi, np.pi)
    accuracy(22, "chi-square p, uniform by area", around, above=1e-3, case="around z")
    expected = g.mesh_area_nm2(mesh) * 20_000e-6
    accuracy(22, "count - density * area, in its own SD", (len(xyz) - expected) / np.sqrt(expected), abs=4)


def test_labels_on_an_implicit_torus_are_uniform_by_area() -> None:
    shape = solid(form="torus", ring_radius_nm=400.0, radius_nm=150.0)
    xyz = Surface(density_per_um2=50_000).label(shape, RNG(2)).xyz_nm
    assert shape.implicit is not None
    assert np.abs(shape.implicit.field(xyz)).max() < 1e-3
    expected = 4 * np.pi**2 * 400 * 150 * 0.05
    assert abs(len(xyz) - expected) < 4 * np.sqrt(expected)
    poloidal = np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]) - 400)
    assert uniform(np.arctan2(xyz[:, 1], xyz[:, 0]), -np.pi, np.pi) > 1e-3
    assert uniform(poloidal + 150 / 400 * np.sin(poloidal), -np.pi, np.pi) > 1e-3  # area grows as R + r cos


def test_labels_on_an_implicit_ellipsoid_are_uniform_by_area() -> None:
    shape = solid(form="ellipsoid", semi_axes_nm=(250.0, 250.0, 500.0))
    z = Surface(density_per_um2=50_000).label(shape, RNG(3)).xyz_nm[:, 2]
    edges = np.linspace(-500, 500, 4001)
    # Area of a zone of a prolate spheroid: 2 pi a sqrt(1 - e^2 z^2 / c^2) dz with e^2 = 1 - a^2 / c^2.
    middles = (edges[1:] + edges[:-1]) / 2
    share = np.cumsum(np.sqrt(1 - 0.75 * (middles / 500) ** 2))
    assert uniform(np.interp(z, edges[1:], share / share[-1]), 0, 1) > 1e-3


def test_labels_on_a_posed_field_move_with_it() -> None:
    shape = solid(form="capsule", length_nm=900.0, radius_nm=100.0)
    posed = shape.moved(g.rotation_matrix(20, 50, 70), np.array([1e4, -2e4, 500.0]))
    xyz = Surface().label(posed, RNG(4)).xyz_nm
    assert posed.implicit is not None
    assert np.abs(posed.implicit.field(xyz)).max() < 1e-3
    expected = 2 * np.pi * 100 * 900 * 2000e-6
    assert abs(len(xyz) - expected) < 4 * np.sqrt(expected)


def test_counts_follow_poissons_law() -> None:
    shape = Shape("s", uneven_sphere(100))
    counts = np.array([len(Surface(density_per_um2=1000).label(shape, RNG(seed))) for seed in range(400)])
    expected = g.mesh_area_nm2(shape.surface) * 1e-3
    assert counts.mean() == pytest.approx(expected, rel=0.03)
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("implicit", [True, False])
def test_labels_in_a_ball_are_uniform_by_volume(implicit: bool) -> None:
    shape = solid(form="sphere", radius_nm=500.0)
    if not implicit:
        shape = Shape("s", uneven_sphere(500))
    xyz = Volume(density_per_um3=100_000).label(shape, RNG(5)).xyz_nm
    radius = np.linalg.norm(xyz, axis=1)
    assert radius.max() <= 500
    assert uniform((radius / 500) ** 3, 0, 0.99) > 1e-3
    expected = 4 / 3 * np.pi * 0.5**3 * 100_000
    assert len(xyz) == pytest.approx(expected, rel=0.015)


def test_labels_lie_inside_packaged_shapes_and_networks() -> None:
    network = Tube(length_nm=8000, radius_nm=120, branches=2, height_nm=600).sample(RNG(6), None)
    for shape in (EmMesh(library="neuropil").sample(RNG(0), "mito01"), network):
        xyz = Volume().label(shape, RNG(7)).xyz_nm
        assert shape.inside(xyz).all()
        expected = g.mesh_volume_nm3(shape.surface) * 20_000e-9
        assert abs(len(xyz) - expected) < 4 * np.sqrt(expected) + 0.01 * expected


@pytest.mark.parametrize(
    ("parameters", "cv"),
    [
        ({}, 0.0),
        ({"brightness": "exponential"}, 1.0),
        ({"brightness": "gamma"}, 0.5),
        ({"brightness": "gamma", "brightness_cv": 0.8}, 0.8),
        ({"brightness": "lognormal", "brightness_cv": 0.3}, 0.3),
    ],
)
def test_brightness_has_the_mean_and_spread_that_were_asked_for(parameters: dict[str, Any], cv: float) -> None:
    labeler = Surface.model_validate({"density_per_um2": 50_000, "photons": 250.0, **parameters})
    photons = labeler.label(Shape("s", uneven_sphere(500)), RNG(8)).photons
    assert photons.dtype == np.float64
    assert photons.mean() == pytest.approx(250, rel=0.02)
    assert photons.std() / photons.mean() == pytest.approx(cv, abs=0.02)


def test_a_spread_that_does_not_apply_is_refused() -> None:
    with pytest.raises(ValidationError, match="brightness_cv does not apply to brightness exponential"):
        Volume(brightness="exponential", brightness_cv=0.5)


@pytest.mark.parametrize("labeler", [Surface(density_per_um2=1e7), Volume(density_per_um3=1e10)])
@pytest.mark.parametrize("meshed", [True, False])
def test_absurd_counts_are_refused(labeler: Surface | Volume, meshed: bool) -> None:
    shape = Shape("s", uneven_sphere(20_000)) if meshed else solid(form="sphere", radius_nm=20_000.0)
    with pytest.raises(ShapeError, match=r"density_per_um\d .* emitters, more than 50 million: lower the density"):
        labeler.label(shape, RNG(0))


def test_the_same_seed_gives_the_same_labels() -> None:
    shape = solid(form="torus", ring_radius_nm=300.0, radius_nm=100.0)
    first, again = (Surface().label(shape, RNG(9)).xyz_nm for _ in range(2))
    np.testing.assert_array_equal(first, again)
