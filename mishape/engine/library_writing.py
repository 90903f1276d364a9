"""Writing shape libraries, one shape after the other, so that a library may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import LibraryError
from mishape.engine.files import canonical, whole_folder, write_text
from mishape.engine.library import FIELD, FORMAT, HEADER, INDEX, VERSION
from mishape.engine.measures import measures
from mishape.engine.sampled import SampledField
from mishape.engine.types import Shape

REQUIRED = ("name", "source", "licence", "citation")


class LibraryWriter:
    """Adds shapes to a library that is being written; `library_writer` makes one."""

    def __init__(self, folder: Path, files: ExitStack) -> None:
        self._folder, self._files = folder, files
        self._arrays: dict[str, _Rows] = {}
        self._ids: set[str] = set()
        self._index: list[str] = []

    def add(
        self,
        shape: Shape,
        arrays: Mapping[str, NDArray[Any]] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a shape in its own frame, centred, nm.

        Parameters
        ----------
        shape
            Its sampled field is kept too, if it has one.
        arrays
            Further arrays, each with one row per item and the same names, types and row shapes for all shapes.
        fields
            Fields of its line in the index, beside its measures or in place of them.

        Raises
        ------
        LibraryError
            If its id is there already, or an array differs from the other shapes' in type or shape.
        """
        if shape.id in self._ids:
            raise LibraryError(f"shape ids must differ; repeated: {shape.id}")
        self._ids.add(shape.id)
        surface = shape.surface
        own: dict[str, NDArray[Any]] = {
            "vertices": surface.vertices_nm.astype(np.float32),
            "faces": surface.faces.astype(np.int32),
        }
        sampled, lattice = _sampled(shape)
        rows = {name: self._append(name, array) for name, array in {**own, **sampled, **(arrays or {})}.items()}
        given = dict(fields or {})
        measured = given if "volume_nm3" in given else {**measures(shape), **given}
        self._index.append(canonical({**measured, **lattice, "rows": rows}) + "\n")

    def _append(self, name: str, array: NDArray[Any]) -> list[int]:
        if name not in self._arrays:
            if self._index and name != FIELD:
                raise LibraryError(f"array {name!r} was not given for the first shape: give one per shape")
            self._arrays[name] = _Rows(self._files.enter_context((self._folder / f"{name}.npy").open("w+b")), array)
        return self._arrays[name].append(array, name)

    def finish(self, meta: Mapping[str, Any]) -> None:
        """Write the index and the header."""
        if not self._index:
            raise LibraryError("a library needs at least one shape")
        layout = {name: rows.finish() for name, rows in self._arrays.items()}
        header = {**meta, "format": FORMAT, "version": VERSION, "count": len(self._index), "arrays": layout}
        write_text(self._folder / INDEX, "".join(self._index))
        write_text(self._folder / HEADER, canonical(header, indent=2) + "\n")


@contextmanager
def library_writer(folder: str | Path, meta: Mapping[str, Any]) -> Iterator[LibraryWriter]:
    """Give a writer for a library that appears whole when the block ends, or not at all.

    Parameters
    ----------
    folder
        The library's folder; it must not exist.
    meta
        Plain data for the header; `name`, `source`, `licence` and `citation` are required.

    Raises
    ------
    LibraryError
        If the folder exists, the header lacks something, or there is no shape.
    """
    folder = Path(folder)
    if folder.exists():
        raise LibraryError(f"{str(folder)!r} exists: remove it or choose another folder")
    if missing := [name for name in REQUIRED if name not in meta]:
        raise LibraryError(f"the library's meta lacks {', '.join(missing)}")
    with whole_folder(folder) as part, ExitStack() as files:
        writer = LibraryWriter(part, files)
        yield writer
        writer.finish(meta)


def write_library(
    folder: str | Path,
    shapes: Iterable[Shape],
    meta: Mapping[str, Any],
    arrays: Mapping[str, Sequence[NDArray[Any]]] | None = None,
    fields: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write a shape library; equal input gives equal bytes, and the folder appears whole or not at all.

    Parameters
    ----------
    folder
        The library's folder; it must not exist.
    shapes
        Shapes in their own frames, centred, nm; their ids must differ.
    meta
        Plain data for the header; `name`, `source`, `licence` and `citation` are required.
    arrays
        Further ragged arrays: name -> one array per shape, of one dtype and one trailing shape.
    fields
        Further fields of the index, or better values for its measures: shape id -> name -> plain value.

    Raises
    ------
    LibraryError
        If the folder exists, the header lacks something, ids repeat, or an array does not have one item per shape.
    """
    shapes = list(shapes)
    for name, items in (arrays or {}).items():
        if len(items) != len(shapes):
            raise LibraryError(f"array {name!r} has {len(items)} items for {len(shapes)} shapes: give one per shape")
    with library_writer(folder, meta) as writer:
        for number, shape in enumerate(shapes):
            own = {name: items[number] for name, items in (arrays or {}).items()}
            writer.add(shape, own, {**measures(shape), **(fields or {}).get(shape.id, {})})


def _sampled(shape: Shape) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return a shape's sampled field as rows, and what its line of the index says about them."""
    field = shape.implicit.field if shape.implicit is not None else None
    if not isinstance(field, SampledField):
        return {}, {}
    said = {
        "field_shape": list(field.values.shape),
        "field_origin_nm": field.origin_nm.tolist(),
        "field_step_nm": field.step_nm.tolist(),
    }
    return {FIELD: field.values.astype(np.float16).ravel()}, said


class _Rows:
    """A .npy file that grows by rows."""

    def __init__(self, file: IO[bytes], like: NDArray[Any]) -> None:
        self._file, self._dtype, self._trailing, self._count = file, np.asarray(like).dtype, like.shape[1:], 0
        self._write_header()

    def append(self, array: NDArray[Any], name: str) -> list[int]:
        """Add rows; return the first one's number and their count."""
        array = np.ascontiguousarray(array)
        if (array.dtype, array.shape[1:]) != (self._dtype, self._trailing):
            raise LibraryError(f"array {name!r} must have one dtype and one trailing shape for all shapes")
        start, self._count = self._count, self._count + len(array)
        self._file.write(array.data.cast("B") if array.size else b"")
        return [start, len(array)]

    def finish(self) -> dict[str, Any]:
        """Say in the file's head how many rows there are."""
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        return {"dtype": self._dtype.str, "shape": [self._count, *self._trailing]}

    def _write_header(self) -> None:
        # NumPy leaves room for the number of rows to grow.
        shape = (self._count, *self._trailing)
        described = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, described)
