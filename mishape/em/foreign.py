"""Meshes of other programs: read as they are, and repaired where that is safe, or refused with the reason."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine import geometry
from mishape.engine.columns import inside_mesh
from mishape.engine.errors import ShapeError
from mishape.engine.needs import needs
from mishape.engine.types import Mesh

SUFFIXES = (".off", ".ply", ".obj", ".stl", ".glb")
MAX_BYTES = 1 << 30
"""Of one mesh file: some ten million faces."""


def read_foreign(path: Path) -> Mesh:
    """Read a triangle mesh from a file, in the file's unit, its vertices and faces in the file's order.

    Parameters
    ----------
    path
        A file of one of `SUFFIXES`. Nothing that it refers to (materials, buffers of its own) is opened.

    Raises
    ------
    ShapeError
        If the file is missing, of another kind, larger than `MAX_BYTES`, or cannot be read.
    """
    import trimesh

    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ShapeError(f"mesh file {str(path)!r} is not one of {' '.join(SUFFIXES)}: convert it")
    if not path.is_file():
        raise ShapeError(f"mesh file {str(path)!r} does not exist")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ShapeError(f"mesh file {str(path)!r} has {size} bytes, more than the limit of {MAX_BYTES}: simplify it")
    try:
        loaded = trimesh.load_mesh(io.BytesIO(path.read_bytes()), file_type=kind[1:], process=False)
        vertices = np.asarray(loaded.vertices, np.float64).reshape(-1, 3)
        return Mesh(vertices, np.asarray(loaded.faces, np.int64).reshape(-1, 3))
    except Exception as error:  # a stranger's file may fail in any way
        raise ShapeError(f"mesh file {str(path)!r} cannot be read: {type(error).__name__}: {error}") from error


def repaired(mesh: Mesh, name: str) -> tuple[Mesh, list[str]]:
    """Return a mesh as the closed surface of a solid, and what was done to it.

    A mesh that is one already is returned as it is. Else, in this order: vertices at the same place are made one,
    faces without an area or given twice are dropped, all faces of a part are turned the same way, holes of three or
    four edges are filled, and the whole is turned outwards. Larger holes are not filled: their shape is not known.
    Last, a part that is inside out is turned, unless it lies within another part: then it is a cavity.

    Raises
    ------
    ShapeError
        Names the mesh and what still keeps it from being closed.
    """
    done: list[str] = []
    if not _is_closed(mesh, name):
        if not (len(mesh.faces) and np.isfinite(mesh.vertices_nm).all() and _has_its_vertices(mesh)):
            geometry.check_watertight(mesh, name)
        mesh, done = _mended(mesh)
        outward = geometry.oriented_outward(mesh) if len(mesh.faces) else mesh
        done += ["turned it outwards"] * (outward is not mesh)
        mesh = outward
        geometry.check_watertight(mesh, name)
    mesh, parts = _parts_outward(mesh)
    return mesh, done + [f"turned {parts} part(s) outwards"] * bool(parts)


def _is_closed(mesh: Mesh, name: str) -> bool:
    try:
        geometry.check_watertight(mesh, name)
    except ShapeError:
        return False
    return True


def _has_its_vertices(mesh: Mesh) -> bool:
    return bool(0 <= mesh.faces.min() <= mesh.faces.max() < len(mesh.vertices_nm))


def _mended(mesh: Mesh) -> tuple[Mesh, list[str]]:
    """Return the mesh merged, all of a part turned one way and small holes filled, and what was done."""
    needs("networkx", "em")
    import trimesh

    repair: Any = trimesh.repair
    solid = trimesh.Trimesh(mesh.vertices_nm, mesh.faces, process=False)
    before = np.array([len(solid.vertices), len(solid.faces)])
    solid.merge_vertices()
    solid.update_faces((solid.faces != np.roll(solid.faces, 1, axis=1)).all(axis=1))
    solid.update_faces(solid.unique_faces())
    vertices, faces = before - [len(solid.vertices), len(solid.faces)]
    done = [f"merged {vertices} vertices"] * bool(vertices) + [f"dropped {faces} face(s)"] * bool(faces)
    kept = np.array(solid.faces)
    repair.fix_winding(solid)
    turned = int((kept != solid.faces).any(axis=1).sum())
    repair.fill_holes(solid)
    added = len(solid.faces) - len(kept)
    done += [f"turned {turned} face(s)"] * bool(turned) + [f"filled holes with {added} face(s)"] * bool(added)
    return Mesh(np.array(solid.vertices, np.float64), np.array(solid.faces, np.int64)), done


def _parts_outward(mesh: Mesh) -> tuple[Mesh, int]:
    """Return a closed mesh with its parts turned outwards, but for cavities, and how many were turned."""
    part = _part_of_faces(mesh)
    cones = mesh.triangles.cone_volumes_nm3(mesh.vertices_nm.mean(axis=0))
    inverted = np.bincount(part, weights=cones) < 0
    outward = np.where(inverted[part][:, None], mesh.faces[:, ::-1], mesh.faces)
    turned = np.zeros(len(inverted), np.bool_)
    for number in np.flatnonzero(inverted):
        others = Mesh(mesh.vertices_nm, outward[part != number])
        corner = mesh.vertices_nm[mesh.faces[part == number][:1, 0]]
        turned[number] = not inside_mesh(others, corner)[0]
    if not turned.any():
        return mesh, 0
    return Mesh(mesh.vertices_nm, np.where(turned[part][:, None], outward, mesh.faces)), int(turned.sum())


def _part_of_faces(mesh: Mesh) -> NDArray[np.int64]:
    """Return the number of the connected part that each face belongs to; unused vertices make empty parts."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    start, end = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()
    graph = coo_array((np.ones(len(start), np.int8), (start, end)), shape=(len(mesh.vertices_nm),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1][mesh.faces[:, 0]], np.int64)
