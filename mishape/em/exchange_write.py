"""Libraries written as others read them: 3DMSL, Occupancy Networks, and mesh files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.em.exchange import CLOUD_FILE, LABELS_FILE, MESH_FILE, NOTE, Labels, as_filed, check_unit
from mishape.engine.errors import LibraryError
from mishape.engine.files import canonical, disk_errors, whole_folder, write_text
from mishape.engine.library import Entry, Library
from mishape.engine.occupancy import POINTS, UnitBox, packed_labels, uniform_points
from mishape.engine.types import Mesh, Points, Shape
from mishape.engine.wording import suggestion

MeshKind = Literal["off", "ply", "obj", "stl", "glb"]
Layout = Literal["3dmsl", "onet", "off", "ply", "obj", "stl", "glb"]
_SAFE = re.compile(r"\w[\w .+-]*", re.ASCII)


@dataclass(frozen=True)
class Writing:
    """How a library is exported.

    Parameters
    ----------
    unit_nm
        Length of one unit of the files, nm; by default the unit that the library was imported in, else 1.
    points
        Points with labels per shape, for shapes that were not released with labels.
    cloud_points
        Points on the surface per shape.
    validation, test
        Folds (of a shape without one: ids) of ``val.lst`` and ``test.lst``; all others are in ``train.lst``.
    """

    unit_nm: float | None = None
    points: int = POINTS
    cloud_points: int = POINTS
    validation: Sequence[str] = field(default=())
    test: Sequence[str] = field(default=())


def export_library(library: Library, out: str | Path, layout: Layout, writing: Writing, rng: Generator) -> None:
    """Write a library as other programs read it; the folder appears whole or not at all.

    Parameters
    ----------
    library
        What to export.
    out
        A folder that does not exist.
    layout
        ``3dmsl`` or ``onet`` (see `mishape.em.exchange`), or a kind of mesh file, one per shape. An .off file holds
        each vertex to the bit; .ply, .stl and .glb are of single precision and .obj has 8 decimals.
    writing
        Unit, numbers of points, lists.
    rng
        Source of the points.

    Raises
    ------
    LibraryError
        If the folder exists, the unit is not one, a fold is not known, or an id cannot be a file's name.
    """
    out = Path(out)
    if layout not in get_args(Layout):
        raise LibraryError(f"layout {layout!r} is not known: {suggestion(layout, get_args(Layout))}")
    if out.exists():
        raise LibraryError(f"{str(out)!r} exists: remove it or choose another folder")
    unit_nm = check_unit(writing.unit_nm if writing.unit_nm is not None else library.meta.get("unit_nm", 1.0))
    lists = _lists(library, writing) if layout == "onet" else {}
    for entry in library:
        check_name(entry.id)
    with disk_errors(out), whole_folder(out) as part:
        for entry in library:
            _write(entry, part, layout, unit_nm, writing, rng)
        for name, ids in lists.items():
            write_text(part / name, "".join(f"{id}\n" for id in ids))
        write_text(part / NOTE, canonical(_note(library, layout, unit_nm), indent=2) + "\n")


def _note(library: Library, layout: Layout, unit_nm: float) -> dict[str, Any]:
    """Return what an export's files do not say: their unit, where they come from, on what terms, and their folds."""
    origin = {name: library.meta[name] for name in ("name", "source", "licence", "citation")}
    shapes = {entry.id: {name: entry.fields[name] for name in ("fold", "source", "licence")} for entry in library}
    return {**origin, "layout": layout, "unit_nm": unit_nm, "shapes": shapes}


def check_name(id: str) -> None:
    """Raise unless a shape's id can be a file's name."""
    if not _SAFE.fullmatch(id):
        raise LibraryError(f"shape {id!r} cannot be a file's name: letters, digits, space and . _ + - are expected")


def _lists(library: Library, writing: Writing) -> Mapping[str, Collection[str]]:
    """Return the ids of each list; no fold stands in two."""
    keys = {entry.id: entry.fold or entry.id for entry in library}
    given = [*writing.validation, *writing.test]
    for fold in given:
        if fold not in keys.values():
            raise LibraryError(f"library {library.name!r} has no fold {fold!r}: {suggestion(fold, set(keys.values()))}")
        if given.count(fold) > 1:
            raise LibraryError(f"fold {fold!r} is given twice: shapes of one fold stand in one list")
    named = {"val.lst": writing.validation, "test.lst": writing.test}
    lists = {name: [id for id, key in keys.items() if key in folds] for name, folds in named.items()}
    return {"train.lst": [id for id, key in keys.items() if key not in given], **lists}


def _write(entry: Entry, folder: Path, layout: Layout, unit_nm: float, writing: Writing, rng: Generator) -> None:
    shape = as_filed(entry, unit_nm)
    if layout not in ("3dmsl", "onet"):
        write_mesh(folder / f"{entry.id}.{layout}", shape.surface)
        return
    place = folder / entry.id
    place.mkdir()
    labels = Labels.of_entry(entry, unit_nm) or _labelled(shape, writing.points, rng)
    cloud, normals = surface_cloud(shape.surface, writing.cloud_points, rng)
    if layout == "3dmsl":
        write_mesh(place / MESH_FILE, shape.surface)
        labels.write(place / LABELS_FILE)
        _write_cloud(place / CLOUD_FILE, cloud, normals)
        return
    labels.write(place / "points.npz")
    unit = labels.box.unit(cloud).astype(np.float32)
    scale = np.float64(labels.box.scale)
    np.savez(place / "pointcloud.npz", points=unit, normals=normals, loc=labels.box.loc, scale=scale)


def _labelled(shape: Shape, count: int, rng: Generator) -> Labels:
    box = UnitBox.about(shape.surface.vertices_nm)
    points = uniform_points(count, rng)
    return Labels(points, packed_labels(shape, box, points), box)


def surface_cloud(mesh: Mesh, count: int, rng: Generator) -> tuple[Points, NDArray[np.float32]]:
    """Return (count, 3) points, uniform by area on a mesh, in its unit, and its unit normals there, float32."""
    import trimesh

    solid = trimesh.Trimesh(mesh.vertices_nm, mesh.faces, process=False)
    points, faces = trimesh.sample.sample_surface(solid, count, seed=int(rng.integers(2**32)))
    normals = mesh.triangles.normals_nm2.T[faces]
    return np.asarray(points), (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)


def write_mesh(path: Path, mesh: Mesh) -> None:
    """Write a mesh in the kind of file that its ending names."""
    if path.suffix == ".off":
        write_text(path, _off_text(mesh))
        return
    import trimesh

    trimesh.Trimesh(mesh.vertices_nm, mesh.faces, process=False).export(path, file_type=path.suffix[1:])


def _off_text(mesh: Mesh) -> str:
    """Return a mesh as an OFF file has it; the shortest decimals that give each vertex back to the bit."""
    vertices = [" ".join(map(repr, row)) for row in mesh.vertices_nm.tolist()]
    faces = [" ".join(map(str, (3, *row))) for row in mesh.faces.tolist()]
    return "\n".join(["OFF", f"{len(vertices)} {len(faces)} 0", *vertices, *faces]) + "\n"


def _write_cloud(path: Path, points: Points, normals: NDArray[np.float32]) -> None:
    """Write points and normals as binary PLY, float32."""
    columns = ("x", "y", "z", "nx", "ny", "nz")
    properties = [f"property float {name}" for name in columns]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}", *properties, "end_header", ""]
    path.write_bytes("\n".join(head).encode() + np.hstack([points, normals]).astype("<f4").tobytes())
