"""Shape sources: analytic solids, tubes, mesh files; what they refuse and how they say it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial import KDTree

import mishape
from mishape.engine import geometry as g
from mishape.engine.errors import ShapeError
from mishape.engine.protocols import ShapeSource
from mishape.engine.types import Mesh
from mishape.plugins.shapes.centre_lines import worm_like_network
from mishape.plugins.shapes.em_mesh import EmMesh
from mishape.plugins.shapes.implicit import Implicit, ellipsoid_distance
from mishape.plugins.shapes.matched import dimensions_like
from mishape.plugins.shapes.tube import Tube

RNG = np.random.default_rng


def problems(error: pytest.ExceptionInfo[ValidationError]) -> str:
    return " | ".join(line["msg"] for line in error.value.errors())


def unit_meshes(folder: Path, *names: str, scale: float = 1.0) -> Path:
    import trimesh

    for name in names:
        trimesh.creation.icosphere(subdivisions=2, radius=0.25 * scale).apply_translation([5, 6, 7]).export(
            folder / name
        )
    return folder


@pytest.mark.parametrize(
    ("parameters", "volume", "area"),
    [
        ({"form": "sphere", "radius_nm": 300.0}, 4 / 3 * np.pi * 300**3, 4 * np.pi * 300**2),
        ({"form": "torus", "ring_radius_nm": 400.0, "radius_nm": 100.0}, 2 * np.pi**2 * 4e6, 4 * np.pi**2 * 4e4),
        (
            {"form": "capsule", "length_nm": 900.0, "radius_nm": 150.0},
            np.pi * 150**2 * (600 + 200),
            2 * np.pi * 150 * 900,
        ),
        ({"form": "ellipsoid", "semi_axes_nm": (300.0, 200.0, 200.0)}, 4 / 3 * np.pi * 12e6, 685_917.0),
    ],
)
def test_textbook_solids_have_textbook_measures(parameters: dict[str, Any], volume: float, area: float) -> None:
    source: ShapeSource = Implicit.model_validate(parameters)
    shape = source.sample(RNG(0), None)
    g.check_watertight(shape.surface, shape.id)
    if parameters["form"] == "ellipsoid":  # prolate: 2 pi b^2 (1 + a / (b e) asin e)
        e = np.sqrt(1 - (200 / 300) ** 2)
        area = 2 * np.pi * 200**2 * (1 + 300 / (200 * e) * np.arcsin(e))
    assert g.mesh_volume_nm3(shape.surface) == pytest.approx(volume, rel=6e-3)
    assert g.mesh_area_nm2(shape.surface) == pytest.approx(area, rel=3e-3)
    assert source.keys() is None
    assert shape.id == source.sample(RNG(1), None).id
    np.testing.assert_allclose(g.centroid(shape.surface), 0, atol=0.5)


def test_the_distance_to_an_ellipsoid_is_exact() -> None:
    axes = np.array([300.0, 120.0, 50.0])
    points = RNG(0).uniform(-400, 400, (500, 3))
    points[:50, 2] = 0
    points[50:80, 1:] = 0
    points[80] = 0
    direction = RNG(1).standard_normal((400_000, 3))
    surface = direction / np.linalg.norm(direction, axis=1, keepdims=True) * axes
    distance = ellipsoid_distance(points, axes)
    np.testing.assert_allclose(np.abs(distance), KDTree(surface).query(points)[0], atol=0.6)
    np.testing.assert_array_equal(distance < 0, ((points / axes) ** 2).sum(axis=1) < 1)
    assert distance[80] == pytest.approx(-50)
    assert ellipsoid_distance(np.array([[0, 0, 500.0]]), axes)[0] == pytest.approx(450)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"form": "sphere"}, "a sphere needs radius_nm: give radius_nm"),
        ({"form": "sphere", "radius_nm": 1.0, "length_nm": 2.0}, "a sphere does not use length_nm"),
        (
            {"form": "torus", "radius_nm": 5.0, "ring_radius_nm": 4.0},
            "needs a ring_radius_nm above its radius_nm, got 4",
        ),
        ({"form": "capsule", "radius_nm": 5.0, "length_nm": 4.0}, "at least twice its radius_nm, got 4"),
        ({"form": "cube"}, r"'cube' is not known"),
        ({"form": "sphere", "radius_nm": -1.0}, "-1.0 is too small"),
    ],
)
def test_wrong_solids_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Implicit.model_validate(parameters)
    assert message in problems(error)


def test_components_survive_their_own_dump() -> None:
    for source in (
        Implicit(form="sphere", radius_nm=100.0),
        Tube(preset="sekh2021"),
        Tube(length_nm=900, radius_nm=100),
    ):
        assert type(source).model_validate(source.model_dump(mode="json")) == source


def test_a_straight_tube_is_a_capsule_of_the_length_that_was_asked_for() -> None:
    shape = Tube(length_nm=2000, radius_nm=200, persistence_nm=1e9).sample(RNG(0), None)
    mesh = shape.surface
    ends = mesh.vertices_nm - mesh.vertices_nm.mean(axis=0)
    axis = np.linalg.svd(ends[::20])[2][0]
    assert np.ptp(mesh.vertices_nm @ axis) == pytest.approx(2000, rel=2e-3)
    assert g.mesh_volume_nm3(mesh) == pytest.approx(np.pi * 200**2 * (1600 + 800 / 3), rel=6e-3)
    np.testing.assert_allclose(g.centroid(mesh), 0, atol=1)


def test_an_elliptical_section_keeps_its_area() -> None:
    mesh = Tube(length_nm=6000, radius_nm=150, aspect=3, persistence_nm=1e9).sample(RNG(0), None).surface
    round_mesh = Tube(length_nm=6000, radius_nm=150, persistence_nm=1e9).sample(RNG(0), None).surface
    assert g.mesh_volume_nm3(mesh) == pytest.approx(g.mesh_volume_nm3(round_mesh), rel=0.01)
    assert g.mesh_area_nm2(mesh) > 1.1 * g.mesh_area_nm2(round_mesh)


def test_centre_lines_have_the_exact_total_length_and_stay_in_their_room() -> None:
    lines = worm_like_network(20_000, 100, 4, 3000, 150, RNG(1))
    lengths = [np.linalg.norm(np.diff(line, axis=0), axis=1).sum() for line in lines]
    assert sum(lengths) + 6 * 100 == pytest.approx(20_000, rel=1e-3)
    assert max(np.abs(line[:, 2]).max() for line in lines) <= 150
    for number, line in enumerate(lines[1:], 1):
        assert min(np.linalg.norm(other - line[0], axis=1).min() for other in lines[:number]) < 1e-9


def test_directions_decorrelate_over_the_persistence_length() -> None:
    cosines = []
    for seed in range(300):
        (line,) = worm_like_network(2200, 100, 0, 2000, None, RNG(seed))
        tangent = np.gradient(line, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        cosines.append(tangent[0] @ tangent[len(line) // 2])
    assert np.mean(cosines) == pytest.approx(np.exp(-1000 / 2000), abs=0.08)


def test_tubes_are_unique_and_repeatable() -> None:
    tube: ShapeSource = Tube(length_nm=2000, radius_nm=200, branches=1)
    rng = RNG(3)
    ids = [tube.sample(rng, None).id for _ in range(5)]
    assert len(set(ids)) == 5
    assert tube.sample(RNG(3), None).id == ids[0]
    assert tube.keys() is None


def test_the_sekh2021_preset_draws_its_lengths_and_diameters() -> None:
    for seed in range(20):
        shape = Tube(preset="sekh2021").sample(RNG(seed), None)
        mesh = shape.surface
        assert np.ptp(mesh.vertices_nm[:, 2]) <= 1201
        assert np.ptp(mesh.vertices_nm, axis=0).max() < 5001
    thick = Tube(preset="sekh2021", radius_nm=120, length_nm=3000).sample(RNG(0), None).surface
    assert g.mesh_volume_nm3(thick) == pytest.approx(np.pi * 120**2 * (2760 + 160), rel=0.02)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"radius_nm": 100.0}, "a tube needs length_nm: give it, or a preset (known: sekh2021)"),
        (
            {"radius_nm": 100.0, "length_nm": 500.0, "branches": 4},
            "length_nm 500 is too short for 4 branches of radius 100 nm",
        ),
        (
            {"radius_nm": 100.0, "length_nm": 500.0, "height_nm": 150.0},
            "height_nm 150 is below the tube's own thickness of 200",
        ),
        ({"preset": "sekh2021", "branches": 1}, "preset sekh2021 has no branches"),
        ({"radius_nm": 100.0, "length_nm": 500.0, "aspect": 0.5}, "0.5 is too small: must be at least 1"),
        ({"radius_nm": 100.0, "lenght_nm": 500.0}, "unknown key 'lenght_nm': did you mean 'length_nm'"),
    ],
)
def test_wrong_tubes_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Tube.model_validate(parameters)
    assert message in problems(error)


@pytest.mark.parametrize("suffix", ["off", "ply", "stl", "obj"])
def test_mesh_files_are_read_in_nm_centred_and_closed(tmp_path: Path, suffix: str) -> None:
    unit_meshes(tmp_path, f"cell.{suffix}")
    source = EmMesh.model_validate({"library": f"cell.{suffix}", "unit_nm": 1000.0}, context={"folder": tmp_path})
    assert source.keys() == {"cell": "cell"}
    shape = source.sample(RNG(0), "cell")
    g.check_watertight(shape.surface, "cell")
    np.testing.assert_allclose(g.centroid(shape.surface), 0, atol=0.01)
    np.testing.assert_allclose(np.ptp(shape.bounds_nm, axis=0), 500, rtol=0.02)


def test_a_folder_of_meshes_and_a_subset(tmp_path: Path) -> None:
    unit_meshes(tmp_path, "a.off", "b.ply", "c.stl")
    source = EmMesh(library=str(tmp_path), unit_nm=1000.0, ids=("a", "c"))
    assert source.keys() == {"a": "a", "b": "b", "c": "c"}, "the keys are those of the whole library"
    assert {source.sample(RNG(seed), None).id for seed in range(8)} == {"a", "c"}
    mine = EmMesh(library=str(tmp_path), unit_nm=1000.0, source="our microscope", licence="CC0-1.0").sample(RNG(0), "a")
    assert (mine.source, mine.licence) == ("our microscope", "CC0-1.0")
    assert np.ptp(source.sample(RNG(0), "c").bounds_nm, axis=0) == pytest.approx(500, rel=0.02)
    assert pickle.loads(pickle.dumps(source)).keys() == source.keys()
    with pytest.raises(ShapeError, match="has no shape 'd'"):
        source.sample(RNG(0), "d")
    with pytest.raises(ShapeError, match=r"has no shape 'aa': did you mean 'a'"):
        EmMesh(library=str(tmp_path), ids=("aa",)).keys()


def test_a_wrong_unit_is_noticed(tmp_path: Path) -> None:
    unit_meshes(tmp_path, "cell.off")
    with pytest.raises(
        ShapeError, match=r"is 0.5 nm long at unit_nm 1: .* for example 1000 if the file is in micrometres"
    ):
        EmMesh(library=str(tmp_path)).sample(RNG(0), "cell")


def test_broken_mesh_files_are_named(tmp_path: Path) -> None:
    mesh = Implicit(form="sphere", radius_nm=100.0).sample(RNG(0), None).surface
    write_off(tmp_path / "torn.off", Mesh(mesh.vertices_nm, mesh.faces[1:]))
    write_off(tmp_path / "inside_out.off", Mesh(mesh.vertices_nm, mesh.faces[:, ::-1]))
    (tmp_path / "text.off").write_text("hello")
    source = EmMesh(library=str(tmp_path))
    with pytest.raises(ShapeError, match=r"torn.off' is not the closed surface of a solid: it has 3 open edges"):
        source.sample(RNG(0), "torn")
    with pytest.raises(ShapeError, match=r"mesh file .*text.off' cannot be read"):
        source.sample(RNG(0), "text")
    assert g.mesh_volume_nm3(source.sample(RNG(0), "inside_out").surface) > 0


def write_off(path: Path, mesh: Mesh) -> None:
    lines = [" ".join(map(repr, row)) for row in mesh.vertices_nm.tolist()]
    lines += ["3 " + " ".join(map(str, row)) for row in mesh.faces.tolist()]
    path.write_text(f"OFF\n{len(mesh.vertices_nm)} {len(mesh.faces)} 0\n" + "\n".join(lines) + "\n")


def test_missing_libraries_are_explained_where_they_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as error:
        EmMesh.model_validate({"library": "neuropill"}, context={"folder": tmp_path})
    assert "library 'neuropill' is neither a packaged library (known: neuropil) nor a file or folder" in problems(error)
    with pytest.raises(ShapeError, match="holds neither a shape library nor mesh files"):
        EmMesh(library=str(tmp_path)).keys()
    with pytest.raises(ShapeError, match="is in nm: leave unit_nm out"):
        EmMesh(library="neuropil", unit_nm=1000.0).sample(RNG(0), "mito01")


def test_the_packaged_library_is_found_by_name() -> None:
    shape = EmMesh(library="neuropil").sample(RNG(0), "mito09")
    assert (shape.id, shape.licence) == ("mito09", "CC-BY-4.0")
    assert EmMesh(library="neuropil").sample(RNG(5), None).id.startswith("mito")


# ---- tubes of the size of real shapes --------------------------------------------------------------------------------
def test_matched_tubes_have_the_shapes_volumes_and_splits() -> None:
    tubes, shapes = Tube(match="neuropil"), EmMesh(library="neuropil")
    assert tubes.keys() == shapes.keys()
    for id in sorted(shapes.keys()):
        tube, again = (tubes.sample(np.random.default_rng(n), id) for n in range(2))
        shape = shapes.sample(np.random.default_rng(0), id)
        np.testing.assert_array_equal(tube.surface.vertices_nm, again.surface.vertices_nm)
        assert (tube.id, tube.fold, tube.licence) == (id, shape.fold, shape.licence)
        volumes = [g.mesh_volume_nm3(each.surface) for each in (tube, shape)]
        areas = [g.mesh_area_nm2(each.surface) for each in (tube, shape)]
        assert volumes[0] == pytest.approx(volumes[1], rel=0.01)
        assert areas[0] == pytest.approx(areas[1], rel=0.01)


@pytest.mark.parametrize(
    ("size", "within"),
    [
        ((2000.0, 150.0, 1.0), 0.01),
        ((2000.0, 150.0, 2.5), 0.01),
        ((600.0, 290.0, 1.0), 0.01),
        ((900.0, 100.0, 9.0), 0.02),
    ],
)
def test_a_tube_is_matched_by_itself(size: tuple[float, float, float], within: float) -> None:
    """By its volume, length and thickness, and if it is round by volume and area alone."""
    length, radius, aspect = size
    volume = np.pi * radius**2 * (length - 2 * radius) + 4 / 3 * np.pi * radius**3
    facts = {"volume_nm3": volume, "length_nm": length, "thickness_nm": 2 * radius / aspect**0.5}
    found = dimensions_like(facts)
    assert (found.length_nm, found.radius_nm, found.aspect) == pytest.approx(size, rel=within)
    if aspect == 1:
        found = dimensions_like({"volume_nm3": volume, "area_nm2": 2 * np.pi * radius * length})
        assert (found.length_nm, found.radius_nm) == pytest.approx((length, radius), rel=1e-6)


def test_what_is_shorter_than_its_ball_is_matched_by_the_ball() -> None:
    volume = 4 / 3 * np.pi * 300.0**3
    found = dimensions_like({"volume_nm3": volume, "length_nm": 200.0, "thickness_nm": 580.0})
    assert (found.length_nm, found.radius_nm) == pytest.approx((600, 300), rel=1e-6)
    assert Tube(length_nm=found.length_nm, radius_nm=found.radius_nm).sample(np.random.default_rng(0), None)


def test_matched_tubes_are_dealt_and_copied_as_a_library(tmp_path: Path) -> None:
    document = {
        "mishape": 1,
        "samples": 6,
        "objects": [{"shape": {"kind": "tube", "match": "neuropil"}}],
        "views": {
            "epi": {"grid": {"shape": [1, 16, 16], "pixel_nm": 100}, "microscope": {"kind": "epi", "preset": "epi1"}}
        },
        "dataset": {"shard_size": 2, "splits": {"train": 0.5, "test": 0.5}},
    }
    dataset = mishape.generate(mishape.load_spec(document), tmp_path / "d")
    (library,) = dataset.libraries().values()
    tubes = Tube(match="neuropil")
    for entry in library:
        tube = tubes.sample(np.random.default_rng(0), entry.id)
        np.testing.assert_allclose(entry.shape().surface.vertices_nm, tube.surface.vertices_nm, atol=1e-3)
    splits: dict[str, set[str]] = {}
    for record in dataset.records():
        splits.setdefault(record["objects"][0]["shape_id"], set()).add(record["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert not mishape.verify(mishape.open_dataset(tmp_path / "d"), remake=6).faults


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"length_nm": 900}, "match takes the size of tubes from a library: leave length_nm out, or match"),
        ({"preset": "sekh2021"}, "match takes the size of tubes from a library: leave preset out, or match"),
        ({"branches": 2}, "tubes that match a library have no branches: leave branches out, or match"),
    ],
)
def test_what_does_not_go_with_match(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Tube(match="neuropil", **parameters)
