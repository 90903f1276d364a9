"""Frames, variations and data sets of shapes to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mishape.engine.geometry import random_rotation
from mishape.engine.library import open_library
from mishape.engine.types import Points
from mishape.plugins.shapes.implicit import Implicit

torch = pytest.importorskip("torch")

from mishape.learn.augment import Augmentation, Variation  # noqa: E402 -- what is below needs torch
from mishape.learn.frames import MARGIN, Frame, lattice  # noqa: E402
from mishape.learn.shape_data import Sampling, ShapeDataset, Target  # noqa: E402
from mishape.learn.solids import Solid, of_folds, solid_of, solids_of  # noqa: E402


@pytest.fixture(scope="module")
def solids() -> list[Solid]:
    return solids_of(open_library("neuropil"))


def test_a_frame_fits_its_shape_whatever_its_pose(solids: list[Solid]) -> None:
    """Edges of the principal box are the same for a turned shape; the cube fits the turned longest edge."""
    rng = np.random.default_rng(0)
    for entry in open_library("neuropil"):
        shape = entry.shape()
        turned = shape.moved(random_rotation(rng), rng.normal(0, 500, 3))
        own, other = Frame.principal(shape.surface), Frame.principal(turned.surface)
        np.testing.assert_allclose(own.half_nm, other.half_nm, rtol=1e-6)
        places = own.places(shape.surface.vertices_nm)
        np.testing.assert_allclose(np.abs(places).max(axis=0), 1 / MARGIN)
        np.testing.assert_allclose(own.own_nm(places), shape.surface.vertices_nm, atol=1e-6)
        cube = Frame.cube(shape.surface.vertices_nm, random_rotation(rng))
        assert np.abs(cube.places(shape.surface.vertices_nm)).max() == pytest.approx(0.5 / 0.55)
        assert np.linalg.det(own.rotation) == pytest.approx(1)


def test_distances_of_a_ball_are_distances() -> None:
    shape = Implicit(form="sphere", radius_nm=300.0).sample(np.random.default_rng(0), None)
    ball = solid_of(shape)
    points = np.random.default_rng(1).uniform(-300, 300, (4000, 3))
    true = np.linalg.norm(points, axis=1) - 300
    assert np.abs(ball.distance_nm(points) - true).max() < 10


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_a_variation_goes_forth_and_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    variation = Variation.draw(Augmentation(bend=0.2), rng)
    places = rng.uniform(-1, 1, (50, 3))
    np.testing.assert_allclose(variation.source(variation.forward(places)), places, atol=1e-12)
    proper = Variation.draw(Augmentation(mirror=False), rng)
    assert proper.flips.prod() == 1


def test_a_varied_shape_stays_in_its_box(solids: list[Solid]) -> None:
    """Nothing is cut by the box, and what is inside follows the surface's own variation."""
    rng = np.random.default_rng(2)
    for solid in solids:
        frame = Frame.principal(solid.mesh)
        target = Target.fitted(solid, frame, Variation.draw(Augmentation(bend=0.1, jitter_nm=0), rng))
        corners = target.distance_nm(lattice((24, 12, 12))).reshape(24, 12, 12)
        faces = (corners[[0, -1]], corners[:, [0, -1]], corners[:, :, [0, -1]])
        assert all((face > 0).all() for face in faces)
        moved = target.variation.forward(frame.places(solid.mesh.vertices_nm))
        on_surface = target.box.places(moved * frame.half_nm * target.variation.stretch)
        assert np.abs(target.distance_nm(on_surface)).max() < 40


def test_items_are_a_pure_function_of_their_numbers(solids: list[Solid]) -> None:
    data = ShapeDataset(solids, Sampling("principal", (12, 8, 8), 64), Augmentation(), seed=3)
    again = ShapeDataset(solids, Sampling("principal", (12, 8, 8), 64), Augmentation(), seed=3)
    for name, value in data.item(2, 7).items():
        np.testing.assert_array_equal(value, again.item(2, 7)[name])
        assert value.dtype == np.float32
    assert (data.item(2, 7)["distance"] != data.item(2, 8)["distance"]).any()
    item = data[1]
    assert {name: value.shape for name, value in item.items()} == {
        "lattice": (1, 12, 8, 8),
        "places": (64, 3),
        "distance": (64,),
        "seen": (64,),
        "edges": (3,),
        "scale_nm": (),
        "weight": (),
    }
    assert item["edges"].max() == 1
    loader = torch.utils.data.DataLoader(data, batch_size=5, num_workers=2)
    (batch,) = loader
    for name, value in batch.items():
        np.testing.assert_array_equal(value[1].numpy(), item[name])


def test_what_a_border_cuts_is_not_seen(mishape_data: Path, tmp_path: Path) -> None:
    """Points beyond the volume have no label; whole shapes have a weight, cut ones none."""
    from mishape.em.prepare import prepare
    from mishape.em.settings import Making, Origin

    volume = mishape_data / "urocell/mito_instance/fib1-1-0-3.nii.gz"
    library = prepare([str(volume)], tmp_path / "d", Making(voxel_nm=(16, 16, 15)), Origin())
    cut = [solid for solid in solids_of(library) if not solid.is_whole]
    assert (len(library), len(cut)) == (16, 12)
    for solid in cut:
        target = Target.fitted(solid, Frame.principal(solid.mesh), Variation.none())
        places: Points = lattice((24, 16, 16))
        seen = target.is_seen(places)
        assert seen.any()
        assert not seen.all()
        assert seen[target.distance_nm(places) < -20].all()
    whole = next(solid for solid in solids_of(library) if solid.is_whole)
    assert whole.weight == library[whole.id].inclusion_weight


def test_folds(solids: list[Solid]) -> None:
    from dataclasses import replace

    named = [replace(solid, fold="ab"[number % 2]) for number, solid in enumerate(solids)]
    assert len(of_folds(named, folds=["a"])) == 3
    assert len(of_folds(named, without=["a"])) == 2
