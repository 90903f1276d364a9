"""Files that components read: found beside the scene file, hashed, and read as TIFF without trusting them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import MishapeError
from mishape.engine.files import sha256
from mishape.engine.wording import problem

MAX_BYTES = 1 << 30
"""Largest TIFF, decoded, that a component reads."""
_NM = {"nm": 1.0, "µm": 1e3, "μm": 1e3, "um": 1e3, "micron": 1e3, "microns": 1e3, "mm": 1e6, "cm": 1e7, "m": 1e9}
_RESOLUTION_UNIT_NM = {2: 25.4e6, 3: 1e7}


@dataclass(frozen=True)
class Stack:
    """A TIFF's pixels, (Z, Y, X) float64, and the physical sizes that it states; None where it states none."""

    data: NDArray[np.float64]
    pixel_nm: tuple[float, float] | None
    """Height and width of a pixel, nm."""
    z_step_nm: float | None
    largest: float | None
    """The largest value that the file's pixel type can hold; None for floats."""


def find_input(parameter: str, given: str, context: Any) -> Path:
    """Return the file that a parameter names; relative paths start at the scene file's folder.

    Raises
    ------
    PydanticCustomError
        If there is no such file: to be raised while a component is validated.
    """
    path = (Path((context or {}).get("folder") or ".") / given).resolve()
    if not path.is_file():
        raise problem(f"{parameter} {given!r} does not exist: there is no file {str(path)!r}")
    return path


def input_hash(path: Path) -> str:
    """Return a file's SHA-256, anew when the file changes."""
    stat = path.stat()
    return _hash(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=256)
def _hash(path: Path, stamp: tuple[int, int, int]) -> str:
    return sha256(path)


def read_stack(path: Path) -> Stack:
    """Read a greyscale TIFF of one channel and one time point, ImageJ's and OME's included.

    Raises
    ------
    MishapeError
        If it is no such TIFF, or too large; sizes are looked at before anything is decoded.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            _refuse_odd(path, series)
            data = np.asarray(series.asarray(), dtype=np.float64).reshape(-1, *series.shape[-2:])
            pixel_nm, z_step_nm = _sizes(tiff)
            largest = float(np.iinfo(series.dtype).max) if series.dtype.kind in "iu" else None
    except MishapeError:
        raise
    except Exception as error:  # a stranger's file may fail in any way
        raise MishapeError(f"{str(path)!r} cannot be read as TIFF: {type(error).__name__}: {error}") from error
    return Stack(data, pixel_nm, z_step_nm, largest)


def _refuse_odd(path: Path, series: Any) -> None:
    axes = dict(zip(series.axes, series.shape, strict=True))
    planes = [axis for axis, length in axes.items() if axis not in "YX" and length > 1]
    if series.dtype.kind not in "iuf" or not {"Y", "X"} <= set(axes) or series.axes[-2:] != "YX":
        raise MishapeError(f"{str(path)!r} holds {series.axes} {series.dtype}: expected a greyscale image or stack")
    if len(planes) > 1 or any(axis in "CST" for axis in planes):
        raise MishapeError(
            f"{str(path)!r} has the axes {axes}: expected one channel and one time point "
            "(where planes were saved as frames, swap them in ImageJ: Image > Properties)"
        )
    if series.is_multifile:
        raise MishapeError(f"{str(path)!r} is one part of an image in several files: save it as a single TIFF")
    size = math.prod(int(length) for length in series.shape) * 8
    if size > MAX_BYTES:
        raise MishapeError(f"{str(path)!r} would fill {size / 1e9:.1f} GB: crop it to {MAX_BYTES / 1e9:.1f} GB at most")


def _sizes(tiff: Any) -> tuple[tuple[float, float] | None, float | None]:
    if tiff.is_ome:
        return _ome_sizes(tiff)
    if tiff.is_imagej:
        return _imagej_sizes(tiff)
    unit = _RESOLUTION_UNIT_NM.get(int(tiff.pages[0].tags.valueof("ResolutionUnit", 1)))
    return _per_resolution(tiff, unit), None


def _ome_sizes(tiff: Any) -> tuple[tuple[float, float] | None, float | None]:
    import tifffile

    image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    y, x, z = (_length_nm(pixels, axis) for axis in "YXZ")
    return (y, x) if y and x else None, z


def _length_nm(pixels: dict[str, Any], axis: str) -> float | None:
    """Return OME's size of a pixel along an axis; its unit is the micrometre where none is said."""
    size, unit = pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")
    return None if size is None or unit not in _NM else float(size) * _NM[unit]


def _imagej_sizes(tiff: Any) -> tuple[tuple[float, float] | None, float | None]:
    about = tiff.imagej_metadata or {}
    unit = _NM.get(str(about.get("unit", "")).replace("\\u00B5", "µ"))
    spacing = about.get("spacing")
    return _per_resolution(tiff, unit), None if unit is None or spacing is None else float(spacing) * unit


def _per_resolution(tiff: Any, unit_nm: float | None) -> tuple[float, float] | None:
    """Return pixel sizes from the resolution tags, which count pixels per unit."""
    if unit_nm is None:
        return None
    y, x = (tiff.pages[0].tags.valueof(f"{axis}Resolution", (0, 1)) for axis in "YX")
    return (unit_nm * y[1] / y[0], unit_nm * x[1] / x[0]) if x[0] and y[0] else None
