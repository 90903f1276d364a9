"""Shapes as other programs keep them: what their files hold, and how a library remembers it.

::

    3DMSL (doi 10.18710/JX6JXF), one folder per shape; `raw_mesh.off` is in voxels, ``raw = points * scale + loc``
        <id>/raw_mesh.off        the mesh
        <id>/occupancies.npz     points float16 (n, 3), occupancies uint8 packed bits, loc float64 (3,), scale float64
        <id>/pointcloud.ply      points on the mesh with normals, as the mesh lies
        <id>/..._imgs/           simulated images; they stay where they are, the library's index lists them

    Occupancy Networks, one folder per shape
        <id>/points.npz          as occupancies.npz
        <id>/pointcloud.npz      points, normals float32 (n, 3); loc, scale
        train.lst val.lst test.lst

A library keeps the file's vertices (`file_vertices`, float64, in units of `unit_nm`, where ``own = file * unit_nm -
place_nm``) and the labels that came with the mesh (`released_points`, `released_inside`, `released_loc`,
`released_scale`), so that what is exported again is what was imported, to the bit.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import LibraryError, ShapeError
from mishape.engine.library import Entry
from mishape.engine.occupancy import UnitBox
from mishape.engine.types import Mesh, Shape

MESH_FILE, LABELS_FILE, CLOUD_FILE = "raw_mesh.off", "occupancies.npz", "pointcloud.ply"
NOTE = "export.json"
"""What our own exports say beside their files: unit, provenance, folds."""
VOXEL_NM = 24.0
"""Of 3DMSL: the voxels of the label volumes that its meshes were made from (8 nm, down-sampled by three)."""
MAX_BYTES = 1 << 30
"""Of one array in an .npz file: 150 million points."""
FILE_VERTICES, RELEASED_POINTS, RELEASED_INSIDE = "file_vertices", "released_points", "released_inside"
_LABELS = {"points": ("<f2", 2), "occupancies": ("|u1", 1), "loc": ("<f8", 1), "scale": ("<f8", 0)}
"""Array of a file of labels -> its type and number of dimensions."""


@dataclass(frozen=True)
class Labels:
    """Points with labels, as a file has them.

    Parameters
    ----------
    points
        (n, 3) float16, in units of the longest edge.
    inside
        (ceil(n / 8),) uint8, packed bits.
    box
        Where the points lie, in the file's unit.
    """

    points: NDArray[np.float16]
    inside: NDArray[np.uint8]
    box: UnitBox

    @classmethod
    def of_entry(cls, entry: Entry, unit_nm: float) -> Self | None:
        """Return the labels that a library's shape was released with, in units of `unit_nm`; None if with none."""
        if "released_loc" not in entry.fields:
            return None
        factor = entry.unit_nm / unit_nm  # exactly 1 in the unit of the file
        box = UnitBox(np.array(entry.released_loc, np.float64) * factor, entry.released_scale * factor)
        return cls(entry.array(RELEASED_POINTS), entry.array(RELEASED_INSIDE), box)

    def write(self, path: Path) -> None:
        """Write an .npz file."""
        scale = np.float64(self.box.scale)
        np.savez(path, points=self.points, occupancies=self.inside, loc=self.box.loc, scale=scale)


def read_labels(path: Path) -> Labels:
    """Read an `occupancies.npz`.

    Raises
    ------
    ShapeError
        If it is missing or damaged, lacks an array, holds pickled objects, or its arrays are not of the types and
        shapes that belong together.
    """
    if not path.is_file():
        raise ShapeError(f"file {str(path)!r} does not exist: an instance of 3DMSL has one")
    try:
        with zipfile.ZipFile(path) as file:
            for name in _LABELS:
                _check_header(file, name, path)
        with np.load(path, allow_pickle=False) as arrays:
            points, inside, loc, scale = (arrays[name] for name in _LABELS)
    except ShapeError:
        raise
    except Exception as error:  # a stranger's file may fail in any way
        raise ShapeError(f"file {str(path)!r} cannot be read: {type(error).__name__}: {error}") from error
    _check_values(points, inside, loc, scale, path)
    return Labels(points, inside, UnitBox(loc, float(scale)))


def _check_header(file: zipfile.ZipFile, name: str, path: Path) -> None:
    """Find an array's type and size to be right before it is decoded."""
    if f"{name}.npy" not in file.namelist():
        raise ShapeError(f"file {str(path)!r} has no array {name!r}: {', '.join(_LABELS)} are expected")
    member = file.getinfo(f"{name}.npy")
    with file.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ShapeError(f"file {str(path)!r}: array {name!r} holds pickled objects, which are never loaded")
    expected, dimensions = _LABELS[name]
    if (dtype.str, len(shape)) != (expected, dimensions):
        raise ShapeError(
            f"file {str(path)!r}: array {name!r} is {dtype} with {len(shape)} dimension(s), expected "
            f"{np.dtype(expected)} with {dimensions}"
        )
    if (size := math.prod(shape) * dtype.itemsize) > min(member.file_size, MAX_BYTES):
        raise ShapeError(f"file {str(path)!r}: array {name!r} says that it has {size} bytes: damaged, or too large")


def _check_values(points: NDArray[Any], inside: NDArray[Any], loc: NDArray[Any], scale: Any, path: Path) -> None:
    said = f"file {str(path)!r}:"
    if points.shape[1] != 3 or not len(points):
        raise ShapeError(f"{said} points have shape {points.shape}, expected (n, 3) with n of at least 1")
    if len(inside) != (bytes_needed := -(-len(points) // 8)):
        raise ShapeError(
            f"{said} {len(points)} points have {len(inside)} bytes of packed labels, expected {bytes_needed}"
        )
    if not np.isfinite(points).all():
        raise ShapeError(f"{said} some points are not finite numbers")
    if loc.shape != (3,) or not np.isfinite(loc).all() or not 0 < float(scale) < math.inf:
        raise ShapeError(f"{said} loc must be 3 finite numbers and scale a positive one: {loc} and {scale} given")


def check_unit(unit_nm: float) -> float:
    """Return a length of one unit of files, nm, after it was found to be one.

    Raises
    ------
    LibraryError
        If it is not a positive number.
    """
    if not 0 < unit_nm < math.inf:
        raise LibraryError(f"unit_nm is {unit_nm:g}: the length of one unit of the files in nm is expected, above 0")
    return float(unit_nm)


def as_filed(entry: Entry, unit_nm: float) -> Shape:
    """Return a library's shape as files have it, its lengths in units of `unit_nm`, not in nm.

    What came from a file lies as it did there; any other shape keeps its own frame.
    """
    shape = entry.shape()
    if FILE_VERTICES not in entry.fields["rows"]:
        return shape.moved(np.eye(3), np.zeros(3), 1 / unit_nm)
    vertices = entry.array(FILE_VERTICES) * (entry.unit_nm / unit_nm)  # exactly the file's in its unit
    return replace(shape, mesh=Mesh(vertices, shape.surface.faces))
