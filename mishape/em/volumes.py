"""Label volumes: what every reader of a file format gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import VolumeError
from mishape.engine.types import Points

Whole = NDArray[np.int64]
AXES = "xyz"
NM_PER_UNIT = {
    **dict.fromkeys(("nm", "nanometer", "nanometers"), 1.0),
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometers"), 1e3),
    **dict.fromkeys(("mm", "millimeter", "millimeters"), 1e6),
    **dict.fromkeys(("m", "meter", "meters"), 1e9),
    **dict.fromkeys(("Å", "angstrom", "angstroms"), 0.1),
}
"""Units as files spell them; µ is there as the micro sign and as the Greek letter."""


@dataclass(frozen=True)
class Box:
    """Voxels from `low` up to, not including, `high`: (3,) each, along x, y, z."""

    low: tuple[int, int, int]
    high: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        x, y, z = (high - low for low, high in zip(self.low, self.high, strict=True))
        return x, y, z

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as slices of an array."""
        x, y, z = (slice(low, high) for low, high in zip(self.low, self.high, strict=True))
        return x, y, z


class Volume(ABC):
    """A label volume of which any box can be read without the rest.

    Parameters
    ----------
    name
        Of the volume: the fold of its shapes.
    shape
        Voxels along x, y, z.
    dtype
        Of its labels, in the machine's byte order.
    chunk
        The piece that the file is best read by, in voxels along x, y, z.
    voxel_nm
        What the file says about the size of its voxels along x, y, z; nothing if it says nothing.
    origin_nm
        The place of the first voxel's centre in the file's own world; 0 where it says nothing.
    whole_chunks
        Whether a chunk can only be read whole, as a page of a TIFF.
    """

    name: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    chunk: tuple[int, int, int]
    voxel_nm: Points | None = None
    origin_nm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    whole_chunks: bool = False

    @abstractmethod
    def read(self, box: Box) -> NDArray[Any]:
        """Return the labels in a box, (x, y, z).

        Raises
        ------
        VolumeError
            If the file is cut short or damaged.
        """


def in_order(sizes: Sequence[Any], axes: str) -> tuple[Any, Any, Any]:
    """Return what a file lists by its own axes along x, y, z."""
    x, y, z = (sizes[axes.index(axis)] for axis in AXES)
    return x, y, z


def check_axes(axes: str, name: str) -> str:
    """Return the axes' names in lower case, or raise a `VolumeError` if they are not x, y and z in some order."""
    if sorted(axes.lower()) != sorted(AXES):
        raise VolumeError(f"{name}: axes {axes!r} given: x, y and z in the order of the file's axes are expected (zyx)")
    return axes.lower()


def check_array(shape: Sequence[int], dtype: np.dtype[Any], name: str) -> None:
    """Raise a `VolumeError` if an array has not three axes, holds nothing, or holds no numbers."""
    if len(shape) != 3:
        raise VolumeError(f"{name}: an array of shape {tuple(shape)} given: label volumes have three axes")
    if min(shape) < 1:
        raise VolumeError(f"{name}: an array of shape {tuple(shape)} given: it holds no voxels")
    if dtype.kind not in "biuf":
        raise VolumeError(f"{name}: an array of {dtype} given: labels are whole numbers, one a voxel")


class ArrayVolume(Volume):
    """A volume that indexes like an array: NumPy's, a memory-map, an HDF5 dataset.

    Parameters
    ----------
    array
        Anything of three axes with `shape`, `dtype` and slices.
    axes
        Their names, first to last, as ``zyx``.
    """

    def __init__(self, name: str, array: Any, axes: str, chunk: Sequence[int] | None = None) -> None:
        self.name, self._array, self._axes = name, array, check_axes(axes, name)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        check_array(array.shape, self.dtype, name)
        self.shape = in_order(array.shape, self._axes)
        self.chunk = in_order(chunk or array.shape, self._axes)

    def read(self, box: Box) -> NDArray[Any]:
        own = tuple(box.slices[AXES.index(axis)] for axis in self._axes)
        return np.asarray(np.transpose(self._array[own], in_order(range(3), self._axes)), self.dtype)
