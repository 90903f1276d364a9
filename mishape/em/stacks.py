"""TIFF stacks, in one file or a folder of slices, and NumPy's .npy files."""

from __future__ import annotations

import logging
import math
import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.em.volumes import NM_PER_UNIT, ArrayVolume, Box, Volume, in_order
from mishape.engine.errors import VolumeError
from mishape.engine.types import Points

SUFFIXES = (".tif", ".tiff")
# What tifffile remarks about a damaged file is an error of ours, said once.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def open_npy(path: Path, name: str, axes: str) -> Volume:
    """Open a .npy file, memory-mapped."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a stranger's file may fail in any way
        raise VolumeError(f"{name}: {str(path)!r} is not a .npy array of numbers, or is cut short: {error}") from None
    return ArrayVolume(name, array, axes)


def open_tiff(path: Path, name: str, axes: str, max_bytes: int) -> Volume:
    """Open a TIFF stack: one file of many pages, or a folder of files of one page each, in the order of their numbers.

    Raises
    ------
    VolumeError
        If a file is damaged, pages differ in size, or one page is larger than `max_bytes`.
    """
    files = [path] if path.is_file() else sorted(_slices(path), key=_numbers)
    if not files:
        raise VolumeError(
            f"{name}: folder {str(path)!r} holds no files that end in {' or '.join(SUFFIXES)}, and is no Zarr or N5"
        )
    return TiffVolume(name, files, axes, max_bytes)


def _slices(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]


def _numbers(path: Path) -> list[tuple[int, str]]:
    """Return what sorts slice 10 after slice 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


class TiffVolume(Volume):
    """Pages of TIFF files; each is read when it is asked for.

    Parameters
    ----------
    files
        One file of many pages, or one file for each page.
    axes
        Of (page, row, column).
    max_bytes
        Most that one page may hold.
    """

    def __init__(self, name: str, files: list[Path], axes: str, max_bytes: int) -> None:
        import tifffile

        self.name, self._files, self._max_bytes, self.whole_chunks = name, files, max_bytes, True
        try:
            with tifffile.TiffFile(files[0]) as first:
                page = first.pages[0]
                pages = _count(first) if len(files) == 1 else len(files)
                self._declared, self.dtype = _declared(page)
                largest = _largest(page)
                given = _voxel_nm(first)
                whole = _one_block(files[0]) if len(files) == 1 and pages == 1 and first.is_imagej else None
        except Exception as error:  # a stranger's file may fail in any way
            raise VolumeError(f"{name}: {str(files[0])!r} is not a TIFF file, or is cut short: {error}") from None
        if len(self._declared) != 2:
            raise VolumeError(f"{name}: pages of shape {self._declared} given: labels have one value a pixel")
        self._check_size(largest)
        rows, columns = self._declared
        stack = _Pages(self, (pages, rows, columns)) if whole is None else whole
        self._stack = ArrayVolume(name, stack, axes, (1, rows, columns))
        self.shape, self.chunk, self.dtype = self._stack.shape, self._stack.chunk, self._stack.dtype
        self.voxel_nm = None if given is None else np.array(in_order(given.tolist(), axes))

    def read(self, box: Box) -> NDArray[Any]:
        return self._stack.read(box)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            rows, columns = self._declared
            raise VolumeError(
                f"{self.name}: a page of {rows} x {columns} declares {size / 2**30:.1f} GiB, more than the limit of "
                f"{self._max_bytes / 2**30:.1f} GiB: raise --max-gib if that is right"
            )

    def pages(self, numbers: range, inner: tuple[slice, ...]) -> NDArray[Any]:
        """Return a part of each of some pages; one page at a time is held whole."""
        if len(self._files) == 1:
            return np.stack(self._read(self._files[0], numbers, inner))
        return np.stack([page for number in numbers for page in self._read(self._files[number], (0,), inner)])

    def _read(self, file: Path, numbers: Iterable[int], inner: tuple[slice, ...]) -> list[NDArray[Any]]:
        import tifffile

        try:
            with tifffile.TiffFile(file) as opened:
                if len(self._files) > 1 and (count := _count(opened)) > 1:
                    raise VolumeError(
                        f"{self.name}: slice {file.name} has {count} pages: one is expected of each file of a folder"
                    )
                return [self._page(opened, number, file.name)[inner].copy() for number in numbers]
        except VolumeError:
            raise
        except Exception as error:  # a stranger's file may fail in any way
            raise VolumeError(f"{self.name}: {str(file)!r} cannot be read, or is damaged: {error}") from None

    def _page(self, opened: Any, number: int, file: str) -> NDArray[Any]:
        page = opened.pages[number]
        if (found := _declared(page)) != (self._declared, self.dtype):
            raise VolumeError(
                f"{self.name}: page {number} of {file} is of shape {found[0]} and type {found[1]}, the first page of "
                f"{self._declared} and {self.dtype}: slices of one size and type are expected"
            )
        self._check_size(_largest(page))
        end = max(start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True))
        if end > opened.filehandle.size:
            raise VolumeError(
                f"{self.name}: {file} is cut short: page {number} ends at byte {end}, the file at "
                f"{opened.filehandle.size}"
            )
        return np.asarray(page.asarray())


class _Pages:
    """The pages as an array."""

    def __init__(self, volume: TiffVolume, shape: tuple[int, int, int]) -> None:
        self._volume, self.shape, self.dtype = volume, shape, volume.dtype

    def __getitem__(self, key: tuple[slice, slice, slice]) -> NDArray[Any]:
        pages, *inner = key
        return self._volume.pages(range(pages.start, pages.stop), tuple(inner))


def _declared(page: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return a page's (rows, columns) and type."""
    if page.dtype is None:
        raise ValueError(f"pixels of {page.bitspersample} bits in sample format {page.sampleformat} cannot be read")
    return tuple(int(size) for size in page.shape), np.dtype(page.dtype)


def _largest(page: Any) -> int:
    """Return how many bytes a page or one of its tiles unpacks to, whichever is larger."""
    values: int = max(math.prod(page.shape), math.prod(page.chunks))
    return values * int(np.dtype(page.dtype).itemsize)


def _count(file: Any) -> int:
    """Return how many pages a file has: where their chain is broken tifffile gives those before, without an error."""
    tiff, handle, offset = file.tiff, file.filehandle, file.pages.first.offset
    seen: set[int] = set()
    while offset:
        if offset in seen:
            raise ValueError(f"its pages come back to byte {offset}")
        if offset >= handle.size:
            raise ValueError(f"its pages go on at byte {offset}, the file ends at {handle.size}")
        seen.add(offset)
        handle.seek(offset)
        (tags,) = struct.unpack(tiff.tagnoformat, handle.read(tiff.tagnosize))
        handle.seek(offset + tiff.tagnosize + tags * tiff.tagsize)
        (offset,) = struct.unpack(tiff.offsetformat, handle.read(tiff.offsetsize))
    return len(seen)


def _one_block(file: Path) -> NDArray[Any] | None:
    """Return the stack of which ImageJ describes the first page alone, as it does above 4 GiB; nothing for one page."""
    import tifffile

    array: NDArray[Any] = tifffile.memmap(file, mode="r")
    return array if array.ndim == 3 else None


def _voxel_nm(file: Any) -> Points | None:
    """Return what ImageJ or OME say about (page, row, column) spacing, nm."""
    if file.is_imagej and "spacing" in (file.imagej_metadata or {}):
        unit = NM_PER_UNIT.get(str(file.imagej_metadata.get("unit", "")).replace("\\u00B5", "µ"), 0.0)
        tags = file.pages[0].tags
        if unit and "XResolution" in tags and "YResolution" in tags:
            per_row, per_column = (tags[tag].value for tag in ("YResolution", "XResolution"))
            if per_row[0] and per_column[0]:
                spacing = file.imagej_metadata["spacing"]
                return unit * np.array([spacing, per_row[1] / per_row[0], per_column[1] / per_column[0]], np.float64)
    if file.is_ome:
        found = [re.search(rf'PhysicalSize{axis}="([0-9.eE+-]+)"', file.ome_metadata) for axis in "ZYX"]
        units = [re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', file.ome_metadata) for axis in "ZYX"]
        if all(found):
            scale = [NM_PER_UNIT.get(unit[1], 0.0) if unit else 1e3 for unit in units]
            size = np.array([float(match[1]) for match in found if match]) * scale
            return size if size.all() else None
    return None
