"""Shape libraries: round trip, determinism, damage, packaged data."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mishape.engine import geometry as g
from mishape.engine.errors import LibraryError
from mishape.engine.library import Library, open_library
from mishape.engine.library_writing import write_library
from mishape.engine.meshing import mesh_of_field, mesh_of_implicit
from mishape.engine.sampled import SampledField
from mishape.engine.sources import content_hash
from mishape.engine.types import Implicit, Mesh, Shape
from mishape.plugins.shapes.em_mesh import EmMesh
from mishape.testing import check_shape_source

META = {"name": "balls", "source": "test", "licence": "CC0-1.0", "citation": "nobody"}


def balls() -> list[Shape]:
    shapes = []
    for number, radius in enumerate((100.0, 150.0, 220.0)):
        reach = np.full(3, radius)
        solid = Implicit(lambda p, r=radius: np.linalg.norm(p, axis=1) - r, np.stack([-reach, reach]), 40)  # type: ignore[misc]
        shapes.append(
            Shape(f"ball{number}", mesh_of_implicit(solid), fold=f"volume{number % 2}", source="s", licence="l")
        )
    return shapes


def write(folder: Path) -> Path:
    arrays = {
        "occupancy_points": [np.full((n, 3), n, np.float16) for n in (4, 0, 7)],
        "occupancy_inside": [np.arange(n) % 2 == 0 for n in (4, 0, 7)],
    }
    write_library(folder, balls(), META, arrays, {"ball1": {"touches_border": True, "branched": False}})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("library") / "balls")


def test_what_is_written_is_read(folder: Path) -> None:
    library = open_library(folder)
    assert len(library) == 3
    assert [entry.id for entry in library] == ["ball0", "ball1", "ball2"]
    for entry, given in zip(library, balls(), strict=True):
        shape = entry.shape()
        assert (shape.id, shape.fold, shape.source, shape.licence) == (given.id, given.fold, "s", "l")
        np.testing.assert_allclose(shape.surface.vertices_nm, given.surface.vertices_nm, atol=2e-5)
        np.testing.assert_array_equal(shape.surface.faces, given.surface.faces)
        assert entry.volume_nm3 == pytest.approx(g.mesh_volume_nm3(shape.surface))
        assert entry.area_nm2 == pytest.approx(g.mesh_area_nm2(shape.surface))
        np.testing.assert_allclose(entry.bounds_nm, shape.bounds_nm)
        assert (entry.watertight, entry.genus) == (True, 0)
    assert library["ball0"].touches_border is None
    assert library["ball1"].touches_border is True
    assert library["ball1"].branched is False
    assert library["ball2"].scale_nm == pytest.approx(440, rel=1e-2)
    assert library.array_names == ("faces", "occupancy_inside", "occupancy_points", "vertices")
    np.testing.assert_array_equal(library["ball2"].array("occupancy_points"), np.full((7, 3), 7, np.float16))
    assert library["ball1"].array("occupancy_inside").shape == (0,)


def test_arrays_are_mapped_and_read_only(folder: Path) -> None:
    vertices = open_library(folder)["ball0"].array("vertices")
    assert not vertices.flags.writeable
    assert not vertices.flags.owndata


def test_equal_input_gives_equal_bytes(folder: Path, tmp_path: Path) -> None:
    again = write(tmp_path / "again")
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    for name in names:
        assert (folder / name).read_bytes() == (again / name).read_bytes()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_library(tmp_path / "broken", balls(), {**META, "source": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(folder: Path, tmp_path: Path) -> None:
    target, shapes = tmp_path / "x", balls()
    with pytest.raises(LibraryError, match="exists: remove it or choose another folder"):
        write_library(folder, shapes, META)
    with pytest.raises(LibraryError, match="the library's meta lacks citation"):
        write_library(target, shapes, {key: META[key] for key in ("name", "source", "licence")})
    with pytest.raises(LibraryError, match="shape ids must differ; repeated: ball0"):
        write_library(target, [shapes[0], *shapes], META)
    with pytest.raises(LibraryError, match="array 'a' has 1 items for 3 shapes"):
        write_library(target, shapes, META, {"a": [np.zeros(2)]})
    with pytest.raises(LibraryError, match="array 'a' must have one dtype"):
        write_library(target, shapes, META, {"a": [np.zeros(2), np.zeros(2), np.zeros(2, np.int8)]})
    with pytest.raises(LibraryError, match="at least one shape"):
        write_library(target, [], META)


def test_an_open_mesh_is_stored_and_said_to_be_open(tmp_path: Path) -> None:
    mesh = balls()[0].surface
    write_library(tmp_path / "open", [Shape("torn", Mesh(mesh.vertices_nm, mesh.faces[1:]))], META)
    entry = open_library(tmp_path / "open")["torn"]
    assert (entry.watertight, entry.genus, entry.volume_nm3) == (False, None, None)


def test_unknown_libraries_shapes_fields_and_arrays_get_a_suggestion(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        LibraryError, match=r"'neuropill' is neither a packaged .* did you mean 'neuropil'\? \(known: neuropil"
    ):
        open_library("neuropill")
    with pytest.raises(LibraryError, match=r"is not a shape library: it has no library.json"):
        open_library(tmp_path)
    library = open_library(folder)
    with pytest.raises(LibraryError, match="no shape 'ball7': did you mean 'ball"):
        library["ball7"]
    with pytest.raises(LibraryError, match="no array 'vertexes': did you mean 'vertices'"):
        library.array("vertexes")
    with pytest.raises(AttributeError, match="no field 'volume': did you mean 'volume_nm3'"):
        _ = library["ball0"].volume


def test_damage_is_found_before_use(tmp_path: Path) -> None:
    broken = write(tmp_path / "broken")
    vertices = broken / "vertices.npy"
    vertices.write_bytes(vertices.read_bytes()[:-40])
    with pytest.raises(LibraryError, match=r"vertices.npy' is missing or damaged"):
        open_library(broken)["ball0"].shape()
    np.save(vertices, np.zeros((5, 3)))
    with pytest.raises(LibraryError, match=r"it holds <f8 \[5, 3\], the header says <f4"):
        open_library(broken)["ball0"].shape()
    np.save(broken / "faces.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(LibraryError, match=r"faces.npy' is missing or damaged"):
        open_library(broken).array("faces")
    index = broken / "index.jsonl"
    index.write_text("\n".join(index.read_text().splitlines()[:2]))
    with pytest.raises(LibraryError, match="2 of 3 index lines"):
        open_library(broken)
    header = json.loads((broken / "library.json").read_text())
    (broken / "library.json").write_text(json.dumps({**header, "version": 9}))
    with pytest.raises(LibraryError, match="has version 9, this mishape reads 1: update mishape"):
        open_library(broken)
    (broken / "library.json").write_text("{")
    with pytest.raises(LibraryError, match="is damaged"):
        Library(broken)


def test_the_packaged_library_is_what_is_written_today(tmp_path: Path) -> None:
    library = open_library("neuropil")
    meta = {key: library.meta[key] for key in ("name", "description", "source", "licence", "citation")}
    write_library(tmp_path / "again", [entry.shape() for entry in library], meta)
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (library.folder / path.name).read_bytes(), path.name


def test_the_packaged_library_names_its_terms() -> None:
    library = open_library("neuropil")
    assert [entry.id for entry in library] == ["mito01", "mito04", "mito09", "mito10", "mito11"]
    assert {entry.licence for entry in library} == {"CC-BY-4.0"}
    notice = (library.folder / "LICENSE").read_text()
    for part in ("CC BY 4.0", "spatial_mito_model", "cee1b81", "10.1085/jgp.202213263", "Changes made"):
        assert part in notice
    for entry in library:
        shape = entry.shape()
        g.check_watertight(shape.surface, entry.id)
        assert (entry.watertight, entry.genus) == (True, 0)
        assert 290 < entry.scale_nm < 780
        np.testing.assert_allclose(g.centroid(shape.surface), 0, atol=1e-3)


@pytest.mark.skipif("MISHAPE_DATA" not in os.environ, reason="MISHAPE_DATA is not set: the source meshes are not here")
def test_the_packaged_library_equals_its_source() -> None:
    for entry in open_library("neuropil"):
        path = Path(os.environ["MISHAPE_DATA"]) / "neuropil_mito" / f"{entry.id}_outer_um.off"
        _, counts, *rows = path.read_text().splitlines()
        n, m, _ = map(int, counts.split())
        source = np.array([row.split() for row in rows[:n]], np.float64) * 1000
        faces = np.array([row.split()[1:] for row in rows[n : n + m]], np.int64)
        shape = entry.shape()
        moved = source - source.mean(axis=0)
        np.testing.assert_allclose(shape.surface.vertices_nm - shape.surface.vertices_nm.mean(axis=0), moved, atol=1e-4)
        np.testing.assert_array_equal(np.sort(shape.surface.faces, axis=1), np.sort(faces, axis=1))


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        ("index.jsonl", '{"', '{x"', "is damaged: its index says "),
        ("index.jsonl", '"id":', '"ID":', "is damaged: its index says "),
        ("index.jsonl", '"faces": [', '"faces": ["a", ', "is damaged: its index says "),
        ("index.jsonl", '"ball1"', '"ball0"', "is damaged: ids repeat in its index"),
        ("library.json", '"version": 1', '"version": 9', "has version 9, this mishape reads 1: update mishape"),
        ("library.json", '"count"', '"COUNT"', "is damaged: it lacks name, count or arrays"),
        ("library.json", '"arrays": {', '"arrays": 3, "others": {', "is damaged: it lacks name, count or arrays"),
    ],
)
def test_damaged_texts_are_named(
    folder: Path, tmp_path: Path, file: str, before: str, after: str, message: str
) -> None:
    folder = shutil.copytree(folder, tmp_path / "copy")
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after, 1))
    with pytest.raises(LibraryError, match=message):
        Library(folder)


@pytest.mark.parametrize(
    ("before", "after"),
    [("field_step_nm", "step"), ('"field_shape": [', '"field_shape": [-1, '), ("field_shape", "shape")],
)
def test_damaged_fields_are_named(tmp_path: Path, before: str, after: str) -> None:
    values = np.ones((6, 6, 6))
    values[2:4, 2:4, 2:4] = -1
    field = SampledField(values, np.full(3, -25.0), np.full(3, 10.0))
    write_library(tmp_path / "lib", [Shape("cube", mesh_of_field(field), field.implicit())], META)
    (entry,) = Library(tmp_path / "lib")
    np.testing.assert_array_equal(entry.field().values, values)
    index = tmp_path / "lib" / "index.jsonl"
    index.write_text(index.read_text().replace(before, after, 1))
    (entry,) = Library(tmp_path / "lib")
    with pytest.raises(LibraryError, match="library 'balls' is damaged: 'cube' has a field of another size or place"):
        entry.shape()


def test_shapes_of_a_library_come_through_em_mesh(folder: Path) -> None:
    source = EmMesh.model_validate({"library": folder.name}, context={"folder": folder.parent})
    assert source.keys() == {"ball0": "volume0", "ball1": "volume1", "ball2": "volume0"}
    shape = source.sample(np.random.default_rng(0), "ball1")
    assert (shape.id, shape.fold) == ("ball1", "volume1")


def test_a_source_that_draws_its_listed_shapes_is_no_finite_source() -> None:
    class Wobbling(EmMesh):
        def sample(self, rng: np.random.Generator, id: str | None) -> Shape:
            shape = super().sample(rng, id)
            return shape.moved(np.eye(3), np.zeros(3), 1 + rng.random() / 100)

    with pytest.raises(AssertionError, match=r"sample\(id='mito01'\) depends on the generator too: a dataset's copy"):
        check_shape_source(Wobbling(library="neuropil"))


def test_what_a_library_holds_is_hashed_by_its_files(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "moved"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert content_hash(EmMesh(library=str(copy))) == content_hash(EmMesh(library=str(folder)))
    vertices = np.load(copy / "vertices.npy")
    vertices[0] += 1
    np.save(copy / "vertices.npy", vertices)
    assert content_hash(EmMesh(library=str(copy))) != content_hash(EmMesh(library=str(folder)))
