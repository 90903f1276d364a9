"""Frames, variations and data sets of shapes to learn from."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mishape.engine.dataset import open_dataset
from mishape.engine.errors import DatasetError, LibraryError
from mishape.engine.geometry import random_rotation
from mishape.engine.library import open_library
from mishape.engine.types import Points
from mishape.plugins.shapes.implicit import Implicit
from tests.small_datasets import made as made_dataset

torch = pytest.importorskip("torch")

from mishape.learn.augment import Augmentation, Variation  # noqa: E402 -- what is below needs torch
from mishape.learn.extract import field_of  # noqa: E402
from mishape.learn.frames import MARGIN, Frame, lattice  # noqa: E402
from mishape.learn.origins import Procedural, made, of_library, origin  # noqa: E402
from mishape.learn.samples import LiveDataset, StoredDataset  # noqa: E402
from mishape.learn.shape_data import Sampling, ShapeDataset, Target  # noqa: E402
from mishape.learn.solids import Solid, of_folds, solid_of  # noqa: E402


@pytest.fixture(scope="module")
def solids() -> list[Solid]:
    return [*of_library(open_library("neuropil")).solids]


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
    swollen = Variation.draw(Augmentation(bend=0.2, warp=0.3, scale=(0.7, 2.5)), rng)
    np.testing.assert_allclose(swollen.source(swollen.forward(places)), places, atol=1e-12)
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


def test_what_a_border_cuts_is_not_seen(tmp_path: Path) -> None:
    """A ball cut by a volume's border: where it is seen, distances are the whole ball's; it is never drawn."""
    from mishape.em.prepare import prepare
    from mishape.em.settings import Making, Origin

    radius, voxel_nm, middle = 14, 16.0, np.array([9, 20, 20])
    voxels = np.stack(np.meshgrid(*map(np.arange, (60, 40, 40)), indexing="ij"), axis=-1)
    ball = np.linalg.norm(voxels - middle, axis=-1) < radius
    other = np.linalg.norm(voxels - np.array([44, 20, 20]), axis=-1) < 10
    np.save(tmp_path / "labels.npy", (ball + 2 * other).astype(np.uint8).T)
    library = prepare([str(tmp_path / "labels.npy")], tmp_path / "d", Making(voxel_nm=(voxel_nm,) * 3), Origin())
    cut, whole = of_library(library).solids
    assert (cut.weight, whole.weight) == (0.0, library["labels-2"].fields["inclusion_weight"])
    places: Points = lattice((40, 40, 40))
    for solid, centre, size, known in ((cut, middle, radius, 0.5), (whole, np.array([44, 20, 20]), 10, 1.0)):
        target = Target.fitted(solid, Frame.principal(solid.mesh), Variation.none())
        seen, found_nm = target.is_seen(places), target.distance_nm(places)
        at_nm = target._own_nm(places) + np.array(library[solid.id].place_nm)
        true_nm = np.linalg.norm(at_nm - centre * voxel_nm, axis=1) - size * voxel_nm
        assert np.abs(found_nm - true_nm)[seen].max() < voxel_nm
        assert known <= seen[np.abs(found_nm) < 3 * voxel_nm].mean() <= known + 0.3


def test_folds(solids: list[Solid]) -> None:
    from dataclasses import replace

    named = [replace(solid, fold="ab"[number % 2]) for number, solid in enumerate(solids)]
    assert len(of_folds(named, folds=["a"])) == 3
    assert len(of_folds(named, without=["a"])) == 2


def test_sizes_and_thickness_vary(solids: list[Solid]) -> None:
    """Sizes between the two that are given; thickness along the longest edge, by exactly what is told."""
    rng = np.random.default_rng(5)
    plan = Augmentation(stretch=0, bend=0, jitter_nm=0, scale=(0.7, 2.5))
    sizes = [Variation.draw(plan, rng).stretch for _ in range(200)]
    assert all(np.ptp(size) == 0 for size in sizes)
    assert 0.7 <= min(size[0] for size in sizes) < 0.75
    assert 2.3 < max(size[0] for size in sizes) <= 2.5
    warped = Variation.draw(Augmentation(stretch=0, bend=0, jitter_nm=0, warp=0.3), rng)
    target = Target.fitted(solids[0], Frame.principal(solids[0].mesh), warped)
    on_surface = target.box.places(warped.forward(target.own.places(solids[0].mesh.vertices_nm)) * target.own.half_nm)
    assert np.abs(target.distance_nm(on_surface)).max() < 40
    straight = np.stack([np.linspace(-1, 1, 50), np.full(50, 0.5), np.full(50, 0.5)], axis=1)
    np.testing.assert_allclose(warped.source(straight)[:, 1] * warped.width(straight), 0.5 * warped.flips[1])
    assert np.ptp(warped.width(straight)) > 0.05


@pytest.mark.parametrize("scale", [[2.0, 1.0], [0.0, 1.0], [1.0, 1000.0]])
def test_sizes_in_the_wrong_order_are_refused(scale: list[float]) -> None:
    with pytest.raises(ValueError, match=r"least and largest size are from 0\.01 to 100, in this order"):
        Augmentation.model_validate({"scale": scale})


def test_procedural_shapes_are_learned_from_and_never_drawn() -> None:
    parts = [
        Procedural.model_validate({"shape": {"kind": "tube", "preset": "sekh2021"}, "count": 2}),
        Procedural.model_validate(
            {"shape": {"kind": "tube", "length_nm": 6000, "radius_nm": 150, "branches": 4}, "count": 1}
        ),
    ]
    solids = made(parts, seed=1)
    assert len(solids) == 3
    assert not any(solid.is_whole for solid in solids)
    for one, again in zip(solids, made(parts, seed=1), strict=True):
        np.testing.assert_array_equal(one.mesh.vertices_nm, again.mesh.vertices_nm)
        inner = one.mesh.vertices_nm.mean(axis=0)
        assert np.abs(one.distance_nm(one.mesh.vertices_nm)).max() < 60
        assert one.distance_nm(inner[None] + 1e5) > 0


def test_a_dataset_gives_the_shapes_that_it_shows(tmp_path: Path) -> None:
    """Once each, by split: of a library, and made ones that a truth asked for; else it says what to do."""
    split = {"splits": {"train": 0.5, "test": 0.5}, "shard_size": 2}
    found = origin(made_dataset(tmp_path / "real", samples=6, dataset=split))
    assert found.name == "real"
    assert {solid.licence for solid in found.solids} == {"CC-BY-4.0"}
    assert {solid.fold for solid in found.solids} == {"train", "test"}
    assert len({solid.id for solid in found.solids}) == len(found.solids) <= 5
    tubes = [{"shape": {"kind": "tube", "preset": "sekh2021"}}]
    kept = origin(made_dataset(tmp_path / "kept", objects=tubes, truths={"occupancy": {"points": 100}}))
    assert len(kept.solids) == 4
    with pytest.raises(LibraryError, match="made shapes are kept if the truth occupancy is asked for"):
        origin(made_dataset(tmp_path / "gone", objects=tubes))


def test_samples_live_and_on_disk_are_the_same(tmp_path: Path) -> None:
    folder = made_dataset(tmp_path / "d", dataset={"splits": {"train": 0.5, "test": 0.5}, "shard_size": 2})
    dataset = open_dataset(folder)
    stored, live = StoredDataset(dataset), LiveDataset(dataset.spec)
    assert len(stored) == len(live) == 4
    for number in range(4):
        assert {*stored[number]} == {*live[number]} == {"epi.image", "epi.masks_2d"}
        for name, array in stored[number].items():
            np.testing.assert_array_equal(array, live[number][name])
            assert array.dtype == live[number][name].dtype
    loader = torch.utils.data.DataLoader(live, batch_size=2, num_workers=2)
    batches = [*loader]
    for data in (stored, live):
        again = pickle.loads(pickle.dumps(data))  # workers that are spawned get it so
        np.testing.assert_array_equal(again[2]["epi.image"], stored[2]["epi.image"])
    assert [batch["epi.image"].shape for batch in batches] == [(2, 1, 16, 16)] * 2
    np.testing.assert_array_equal(batches[1]["epi.image"][1].numpy(), stored[3]["epi.image"])
    train = StoredDataset(dataset, ["epi.image", "emitters"], split="train")
    assert 0 < len(train) < 4
    assert {*train[0]} == {"epi.image", "emitters"}
    assert LiveDataset(dataset.spec, ["emitters"])[0]["emitters"].shape[1] == 5


def test_samples_that_are_not_there(tmp_path: Path) -> None:
    dataset = open_dataset(made_dataset(tmp_path / "d"))
    with pytest.raises(DatasetError, match="has no sample of split 'trian'"):
        StoredDataset(dataset, split="trian")
    with pytest.raises(DatasetError, match=r"have no array 'epi\.imag': did you mean 'epi\.image'\?"):
        LiveDataset(dataset.spec, ["epi.imag"])[0]
    with pytest.raises(IndexError, match="sample 4 given"):
        LiveDataset(dataset.spec)[4]


@pytest.mark.parametrize("steepness", [0.02, 1.0, 40.0])
def test_whatever_a_network_tells_becomes_a_distance(steepness: float) -> None:
    """A ball of 350 nm, by odds of any steepness: to 2 nm near its surface, and to a step elsewhere."""
    field = field_of(lambda places: steepness * (np.linalg.norm(places, axis=1) - 0.7), np.ones(3), 1000.0, 65)
    points = np.random.default_rng(0).uniform(-450, 450, (5000, 3))
    true = np.linalg.norm(points, axis=1) - 350
    wrong = np.abs(field(points) - true)
    assert wrong[np.abs(true) < 16].max() < 2
    assert wrong.max() < 2 * 15.7
