"""Shapes from electron microscopy, or any other closed meshes: a packaged library, a library folder or mesh files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr

from mishape.engine import geometry
from mishape.engine.component import Component, Real
from mishape.engine.errors import ShapeError
from mishape.engine.files import canonical, sha256
from mishape.engine.library import HEADER, INDEX, SOLID_ARRAYS, Library, is_library, open_library
from mishape.engine.measures import measures
from mishape.engine.packaged import package_folder, packaged_libraries
from mishape.engine.sources import copy_of, keys_of_copy
from mishape.engine.types import Mesh, Points, Shape
from mishape.engine.wording import problem, suggestion

SUFFIXES = (".off", ".ply", ".stl", ".obj")
SMALLEST_NM, LARGEST_NM = 20.0, 1e6


class EmMesh(Component):
    """Closed meshes, one drawn per object.

    Mesh files (.off .ply .stl .obj) are centred on their solid's centroid; a library keeps its own frames, in which its
    occupancy and statistics are given (those that mishape writes are centred already).
    """

    kind: Literal["em_mesh"] = "em_mesh"
    library: str
    """Name of a packaged library (neuropil), or path of a library folder, a folder of mesh files or one mesh file;
    relative paths start at the scene file's folder."""
    unit_nm: Real = Field(default=1.0, gt=0, le=1e9)
    """Length of one mesh unit, nm; for mesh files only: 1000 for micrometres, 1 for nanometres (default)."""
    ids: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Shapes to use; all by default. The id of a mesh file is its name without the ending."""
    source: str = ""
    """Where the shapes come from, if the library does not say it, or not fully; travels into every dataset."""
    licence: str = ""
    """On what terms the shapes may be used, for example CC-BY-4.0, where the library does not say it."""
    _place: Path = PrivateAttr()
    _copied: bool = PrivateAttr(default=False)

    def model_post_init(self, context: Any, /) -> None:
        """Resolve the path while the scene file's folder is known."""
        copy = copy_of(self)
        if copy is not None:
            self._place, self._copied = copy, True
            return
        known = packaged_libraries()
        if self.library in known:
            self._place = package_folder(self.library)
            return
        self._place = (Path((context or {}).get("folder") or ".") / self.library).resolve()
        if not self._place.exists():
            raise problem(
                f"library {self.library!r} is neither a packaged library (known: {', '.join(sorted(known))}) "
                f"nor a file or folder: {str(self._place)!r} does not exist"
            )

    @property
    def citation(self) -> str:
        """What the library asks to be cited, for the datasets made from it."""
        found = _library(self._place, _stamp(self._place))
        return str(found.meta.get("citation", "")) if isinstance(found, Library) else ""

    def keys(self) -> Mapping[str, str]:
        """Return shape id -> its fold, or the id itself where there are no folds; all of them, whatever `ids`."""
        return dict(self._known(_stamp(self._place)))

    def _known(self, stamp: Stamp) -> Mapping[str, str]:
        found = keys_of_copy(self._place) if self._copied else _keys(self._place, stamp)
        unknown = [id for id in self.ids or () if id not in found]
        if unknown:
            raise ShapeError(f"library {self.library!r} has no shape {unknown[0]!r}: {suggestion(unknown[0], found)}")
        return found

    def sample(self, rng: Generator, id: str | None) -> Shape:
        """Return the shape of that id; without one, draw it."""
        stamp = _stamp(self._place)
        keys = self._known(stamp)
        if id is None:
            id = sorted(self.ids or keys)[rng.integers(len(self.ids or keys))]
        if id not in keys:
            raise ShapeError(f"library {self.library!r} has no shape {id!r}: {suggestion(id, keys)}")
        shape = self._shape(id, stamp)
        return replace(shape, source=self.source or shape.source, licence=shape.licence or self.licence)

    def facts(self, id: str) -> Mapping[str, Any]:
        """Return what is known of a shape: its line of a library's index, or the measures of its mesh file."""
        stamp = _stamp(self._place)
        found = _library(self._place, stamp)
        return found[id].fields if isinstance(found, Library) else measures(self._shape(id, stamp))

    def _shape(self, id: str, stamp: Stamp) -> Shape:
        found = _library(self._place, stamp)
        if not isinstance(found, Library):
            return _shape_of_file(found[id], self.unit_nm, _stamp(found[id]))
        if self.unit_nm != 1 and not self._copied:
            raise ShapeError(f"library {self.library!r} is in nm: leave unit_nm out, or give the pose a scale")
        return _shape_of_library(self._place, id, stamp)

    def content_hash(self) -> str:
        """Return the SHA-256 of all that the shapes come from; of mesh files left out by `ids`, their names count."""
        found = _library(self._place, _stamp(self._place))
        if isinstance(found, Library):
            files = [path for path in _files_of_library(self._place) if path.is_file()]
            hashes = {path.name: _hash(path, _stamp(path)) for path in files}
        else:
            wanted = self.ids or tuple(found)
            hashes = {id: _hash(path, _stamp(path)) if id in wanted else "" for id, path in found.items()}
        return hashlib.sha256(canonical(hashes).encode()).hexdigest()


Stamp = tuple[tuple[int, int, int] | None, ...]


def _stamp(place: Path) -> Stamp:
    """Return what changes when files do. It is part of the keys of all caches: none may give what was there before."""
    header, *others = _files_of_library(place)
    library = _stamp_of_file(header)
    return (library, *map(_stamp_of_file, others)) if library else (_stamp_of_file(place),)


def _stamp_of_file(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


@lru_cache(maxsize=16)
def _files_of_library(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / name for name in (HEADER, INDEX, *(f"{array}.npy" for array in SOLID_ARRAYS)))


@lru_cache(maxsize=100_000)
def _hash(path: Path, stamp: Stamp) -> str:
    return sha256(path)


@lru_cache(maxsize=16)
def _library(place: Path, stamp: Stamp) -> Library | dict[str, Path]:
    """Return an opened library, or the mesh files of a folder by id."""
    if is_library(place):
        return open_library(place)
    files = [place] if place.is_file() else sorted(f for f in place.iterdir() if f.suffix.lower() in SUFFIXES)
    if not files:
        raise ShapeError(f"folder {str(place)!r} holds neither a shape library nor mesh files ({' '.join(SUFFIXES)})")
    found = {file.stem: file for file in files}
    if len(found) < len(files):
        raise ShapeError(f"folder {str(place)!r} holds mesh files of equal names but for the ending: rename one")
    return found


@lru_cache(maxsize=16)
def _keys(place: Path, stamp: Stamp) -> dict[str, str]:
    found = _library(place, stamp)
    if isinstance(found, Library):
        return {entry.id: entry.fold or entry.id for entry in found}
    return {id: id for id in found}


@lru_cache(maxsize=256)
def _shape_of_library(place: Path, id: str, stamp: Stamp) -> Shape:
    found = _library(place, stamp)
    assert isinstance(found, Library)
    shape = found[id].shape()
    geometry.check_watertight(shape.surface, f"{id} of {place}")
    return shape


@lru_cache(maxsize=256)
def _shape_of_file(path: Path, unit_nm: float, stamp: Stamp) -> Shape:
    mesh = geometry.centered(read_mesh(path, unit_nm))
    # To the bit what a library would hold: a dataset's copy of the shape then makes the same images.
    stored = mesh.vertices_nm.astype(np.float32).astype(np.float64)
    return Shape(path.stem, Mesh(stored, mesh.faces), source=path.name)


def read_mesh(path: Path, unit_nm: float) -> Mesh:
    """Read a closed mesh from a file (.off .ply .stl .obj).

    Parameters
    ----------
    path
        The file.
    unit_nm
        Length of one unit of the file, nm.

    Returns
    -------
    Mesh
        In nm, looking outwards; vertices at the same place are made one, in the order in which they first appear.

    Raises
    ------
    ShapeError
        If the file cannot be read, is not watertight (with the reason), or its size shows that `unit_nm` is wrong.
    """
    import trimesh

    if path.suffix.lower() not in SUFFIXES:
        raise ShapeError(f"mesh file {str(path)!r} is not one of {' '.join(SUFFIXES)}: convert it")
    if path.stat().st_size == 0:
        raise ShapeError(f"mesh file {str(path)!r} cannot be read: the file is empty")
    try:
        loaded = trimesh.load_mesh(path, process=False, skip_materials=True)
        vertices = np.asarray(loaded.vertices, np.float64).reshape(-1, 3)
        mesh = _merged(vertices * unit_nm, np.asarray(loaded.faces, np.int64).reshape(-1, 3))
    except Exception as error:  # a stranger's file may fail in any way
        raise ShapeError(f"mesh file {str(path)!r} cannot be read: {type(error).__name__}: {error}") from error
    if len(mesh.faces) and np.isfinite(mesh.vertices_nm).all():
        mesh = geometry.oriented_outward(mesh)
    geometry.check_watertight(mesh, str(path))
    edge = float(np.ptp(mesh.vertices_nm, axis=0).max())
    if not SMALLEST_NM <= edge <= LARGEST_NM:
        raise ShapeError(
            f"mesh file {str(path)!r} is {edge:.3g} nm long at unit_nm {unit_nm:g}: shapes of {SMALLEST_NM:g} nm to "
            f"{LARGEST_NM / 1e6:g} mm are expected. Give unit_nm, for example 1000 if the file is in micrometres"
        )
    return mesh


def _merged(vertices: Points, faces: NDArray[np.int64]) -> Mesh:
    """Make vertices at exactly the same place one; faces that lose a corner by that are dropped."""
    _, first, inverse = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    faces = number[inverse.ravel()][faces]
    whole = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    return Mesh(vertices[first[order]], faces[whole])
