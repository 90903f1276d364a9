"""TIFF stacks, in one file or a folder of slices, and NumPy's .npy files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.em.volumes import ArrayVolume, Box, Volume
from mishape.engine.errors import VolumeError
from mishape.engine.types import Points

SUFFIXES = (".tif", ".tiff")
NM_PER_UNIT = {"nm": 1.0, "µm": 1e3, "um": 1e3, "micron": 1e3, "\\u00b5m": 1e3, "mm": 1e6}


def open_npy(path: Path, name: str, axes: str) -> Volume:
    """Open a .npy file, memory-mapped."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise VolumeError(f"{name}: {str(path)!r} is not a .npy array, or is cut short: {error}") from None
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
        raise VolumeError(f"{name}: folder {str(path)!r} holds no files that end in {' or '.join(SUFFIXES)}")
    return TiffVolume(name, files, axes, max_bytes)


def _slices(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES]


def _numbers(path: Path) -> list[tuple[int, str]]:
    """Return what sorts slice 10 after slice 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


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

        self.name, self._files = name, files
        try:
            with tifffile.TiffFile(files[0]) as first:
                page = first.pages[0]
                pages = len(first.pages) if len(files) == 1 else len(files)
                shape, self.dtype = tuple(int(size) for size in page.shape), np.dtype(page.dtype)
                given = _voxel_nm(first)
        except Exception as error:  # a stranger's file may fail in any way
            raise VolumeError(f"{name}: {str(files[0])!r} is not a TIFF file, or is cut short: {error}") from None
        if len(shape) != 2:
            raise VolumeError(f"{name}: pages of shape {shape} given: labels have one value a pixel")
        rows, columns = self._declared = shape
        if rows * columns * self.dtype.itemsize > max_bytes:
            raise VolumeError(
                f"{name}: a page of {rows} x {columns} declares {rows * columns * self.dtype.itemsize / 2**30:.1f} "
                f"GiB, more than the limit of {max_bytes / 2**30:.1f} GiB: raise --max-gib if that is right"
            )
        self._pages = ArrayVolume(name, _Pages(self, (pages, rows, columns)), axes, (1, rows, columns))
        self.shape, self.chunk = self._pages.shape, self._pages.chunk
        self.voxel_nm = None if given is None else np.array([given[axes.index(axis)] for axis in "xyz"])

    def read(self, box: Box) -> NDArray[Any]:
        return self._pages.read(box)

    def pages(self, numbers: range) -> NDArray[Any]:
        """Return whole pages."""
        import tifffile

        found = []
        for number in numbers:
            file = self._files[0] if len(self._files) == 1 else self._files[number]
            key = number if len(self._files) == 1 else 0
            try:
                with tifffile.TiffFile(file) as opened:
                    page = opened.pages[key]
                    size = tuple(int(side) for side in page.shape)
                    if size == self._declared:
                        found.append(page.asarray())
            except Exception as error:  # a stranger's file may fail in any way
                raise VolumeError(
                    f"{self.name}: page {number} of {str(file)!r} is cut short or damaged: {error}"
                ) from None
            if size != self._declared:
                raise VolumeError(
                    f"{self.name}: page {number} ({file.name}) is of shape {size}, the first of "
                    f"{self._declared}: slices of one size are expected"
                )
        return np.stack(found)


class _Pages:
    """The pages as an array."""

    def __init__(self, volume: TiffVolume, shape: tuple[int, int, int]) -> None:
        self._volume, self.shape, self.dtype = volume, shape, volume.dtype

    def __getitem__(self, key: tuple[slice, slice, slice]) -> NDArray[Any]:
        pages, rows, columns = key
        return self._volume.pages(range(pages.start, pages.stop))[:, rows, columns]


def _voxel_nm(file: Any) -> Points | None:
    """Return what ImageJ or OME say about (page, row, column) spacing, nm."""
    if file.is_imagej and "spacing" in (file.imagej_metadata or {}):
        unit = NM_PER_UNIT.get(str(file.imagej_metadata.get("unit", "")), 0.0)
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
