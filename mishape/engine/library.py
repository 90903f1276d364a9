"""Shape libraries: a folder of meshes with an index, memory-mapped.

::

    library.json     format "mishape-library", version 1, name, source, licence, citation, count, layout of the arrays
    index.jsonl      one shape a line: id, fold, source, licence, measures, first row and number of rows in each array
    vertices.npy     (all vertices, 3) float32, nm, in each shape's own frame, centred
    faces.npy        (all faces, 3) int32, indices into the shape's own vertices
    field.npy        (all values,) float16, nm: sampled signed fields, where shapes have one; the index's field_shape,
                     field_origin_nm and field_step_nm say how each one lies
    <array>.npy      any further array, ragged in the same way

Vertices are float32: at 10 um from the centre that is 0.0005 nm, a thousandth of an atom, for half the size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import LibraryError
from mishape.engine.packaged import package_folder, packaged_libraries
from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh, Shape
from mishape.engine.wording import suggestion

FORMAT, VERSION = "mishape-library", 1
HEADER, INDEX = "library.json", "index.jsonl"
FIELD = "field"
MESH_ARRAYS = ("vertices", "faces")
SOLID_ARRAYS = (*MESH_ARRAYS, FIELD)
"""What a shape is read from; not every library has fields."""


@dataclass(frozen=True)
class Entry:
    """One shape of a library. Every field of its line in the index is an attribute (`entry.volume_nm3`)."""

    library: Library
    fields: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.fields:
            raise AttributeError(f"a library entry has no field {name!r}: {suggestion(name, self.__dict__['fields'])}")
        return self.fields[name]

    def shape(self) -> Shape:
        """Return the shape, centred in its own frame, nm float64, with its provenance."""
        vertices = self.array("vertices").astype(np.float64)
        faces = self.array("faces").astype(np.int64)
        if len(faces) and not 0 <= faces.min() <= faces.max() < len(vertices):
            raise LibraryError(f"library {self.library.name!r} is damaged: {self.id!r} has faces without vertices")
        field = self.field()
        return Shape(
            self.id,
            Mesh(vertices, faces),
            field.implicit() if field else None,
            fold=self.fold,
            source=self.source,
            licence=self.licence,
        )

    def field(self) -> SampledField | None:
        """Return the shape's sampled field, if it has one."""
        if FIELD not in self.fields["rows"]:
            return None
        values = self.array(FIELD)
        try:
            shape = [int(side) for side in self.field_shape]
            place = [np.array(self.fields[name], np.float64) for name in ("field_origin_nm", "field_step_nm")]
            if min(shape) > 1 and place[0].shape == place[1].shape == (3,) and (place[1] > 0).all():
                return SampledField(values.astype(np.float32).reshape(*shape), place[0], place[1])
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise LibraryError(
            f"library {self.library.name!r} is damaged: {self.id!r} has a field of another size or place"
        )

    def array(self, name: str) -> NDArray[Any]:
        """Return the shape's rows of one of the library's arrays (memory-mapped, read-only)."""
        rows = self.library.array(name)
        start, count = self.fields["rows"][name]
        if not 0 <= start <= start + count <= len(rows):
            raise LibraryError(f"library {self.library.name!r} is damaged: {self.id!r} lies outside of {name}.npy")
        return rows[start : start + count]


class Library:
    """A shape library on disk: `len`, iteration over entries, `library["id"]`.

    Parameters
    ----------
    folder
        The library's folder.

    Raises
    ------
    LibraryError
        If the folder is not a library, is damaged, or is of a newer format.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta = _read_header(folder)
        self.name = str(self.meta["name"])
        lines = (folder / INDEX).read_text(encoding="utf-8").splitlines() if (folder / INDEX).is_file() else []
        if len(lines) != self.meta["count"]:
            raise LibraryError(f"library {str(folder)!r} is damaged: {len(lines)} of {self.meta['count']} index lines")
        self._entries = {fields["id"]: Entry(self, fields) for fields in map(self._line, lines)}
        if len(self._entries) != len(lines):
            raise LibraryError(f"library {str(folder)!r} is damaged: ids repeat in its index")
        self._mapped: dict[str, NDArray[Any]] = {}

    def _line(self, text: str) -> dict[str, Any]:
        """Return a line of the index, if it has what every shape has."""
        try:
            fields = json.loads(text)
            rows = {name: [int(number) for number in fields["rows"][name]] for name in fields["rows"]}
            if all(len(place) == 2 for place in rows.values()) and {*MESH_ARRAYS} <= {*rows} and "fold" in fields:
                return {**fields, "id": str(fields["id"]), "rows": rows}
        except (ValueError, KeyError, TypeError):
            pass
        raise LibraryError(f"library {str(self.folder)!r} is damaged: its index says {text[:60]!r}")

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __getitem__(self, id: str) -> Entry:
        if id not in self._entries:
            raise LibraryError(f"library {self.name!r} has no shape {id!r}: {suggestion(id, self._entries)}")
        return self._entries[id]

    def __contains__(self, id: object) -> bool:
        return id in self._entries

    @cached_property
    def array_names(self) -> tuple[str, ...]:
        """Names of all ragged arrays, `vertices` and `faces` among them."""
        return tuple(self.meta["arrays"])

    def array(self, name: str) -> NDArray[Any]:
        """Return all rows of a ragged array, memory-mapped, read-only."""
        if name not in self._mapped:
            if name not in self.array_names:
                raise LibraryError(f"library {self.name!r} has no array {name!r}: {suggestion(name, self.array_names)}")
            self._mapped[name] = _map(self.folder / f"{name}.npy", self.meta["arrays"][name])
        return self._mapped[name]


def open_library(path_or_name: str | Path) -> Library:
    """Open a shape library.

    Parameters
    ----------
    path_or_name
        The name of a packaged library (`neuropil`) or the path of a library's folder.

    Raises
    ------
    LibraryError
        If there is no such library (lists the packaged ones), or it is damaged.
    """
    packaged = packaged_libraries()
    if str(path_or_name) in packaged:
        return Library(package_folder(str(path_or_name)))
    if not Path(path_or_name).is_dir():
        raise LibraryError(
            f"library {str(path_or_name)!r} is neither a packaged library nor a folder: "
            f"{suggestion(path_or_name, packaged)}"
        )
    return Library(Path(path_or_name))


def is_library(folder: Path) -> bool:
    """Tell whether a folder says that it is a shape library."""
    return (folder / HEADER).is_file()


def _read_header(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    if not path.is_file():
        raise LibraryError(f"folder {str(folder)!r} is not a shape library: it has no {HEADER}")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LibraryError(f"{str(path)!r} is damaged: {error}") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise LibraryError(f"{str(path)!r} does not describe a shape library: its format must be {FORMAT!r}")
    if meta.get("version") != VERSION:
        known = meta.get("version")
        raise LibraryError(f"{str(path)!r} has version {known}, this mishape reads {VERSION}: update mishape")
    if not isinstance(meta.get("arrays"), dict) or not {"name", "count"} <= {*meta}:
        raise LibraryError(f"{str(path)!r} is damaged: it lacks name, count or arrays")
    return meta


def _map(path: Path, expected: Mapping[str, Any]) -> NDArray[Any]:
    """Memory-map an array after its type, shape and size on disk were found to be what the header says."""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise LibraryError(f"{str(path)!r} is missing or damaged: {error}") from None
    said = [expected.get("dtype"), expected.get("shape")]
    if [rows.dtype.str, list(rows.shape)] != said:
        raise LibraryError(
            f"{str(path)!r} is damaged: it holds {rows.dtype.str} {list(rows.shape)}, "
            f"the header says {said[0]} {said[1]}"
        )
    return np.asarray(rows)
