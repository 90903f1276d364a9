"""Maps of a camera's pixels that its user has measured: read from TIFF, checked, cut to the image's region."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import MishapeError
from mishape.engine.inputs import read_stack
from mishape.engine.wording import problem

MAX_MAP_PX = 2**25
"""Pixels of the largest sensor whose maps are read: twice those of today's largest sCMOS."""
_CACHED_MAPS = 8  # of at most 128 MB

LIMITS: Mapping[str, tuple[float, float, str]] = {
    "response_map": (0.0, 10.0, "relative sensitivity, about 1"),
    "gain_map": (1e-6, 1000.0, "electrons per count"),
    "offset_map": (0.0, 65535.0, "counts"),
    "read_noise_map": (0.0, 1000.0, "electrons"),
}
"""Smallest and largest value of each map, and what its values are."""


def check_maps(files: Mapping[str, Path]) -> None:
    """Check the maps of one camera: readable, with values that can be, all of one shape.

    Raises
    ------
    PydanticCustomError
        If they are not: to be raised while a component is validated.
    """
    try:
        shapes = {parameter: measured(parameter, path).shape for parameter, path in files.items()}
    except MishapeError as error:
        raise problem(str(error)) from None
    if len(set(shapes.values())) > 1:
        given = ", ".join(f"{parameter} {rows} x {columns}" for parameter, (rows, columns) in shapes.items())
        raise problem(f"maps of one sensor must have one shape, these have rows x columns: {given}: crop them alike")


def region(parameter: str, path: Path, size: tuple[int, int], origin: tuple[int, int]) -> NDArray[np.float64]:
    """Return the part of a map that the image shows, (Y, X) float64.

    A map of the image's own size is that of its region; any other is that of the sensor, where the region starts at
    the `origin`.

    Raises
    ------
    MishapeError
        If the map does not hold the region.
    """
    whole = measured(parameter, path)
    top, left = (0, 0) if whole.shape == size else origin
    part = whole[top : top + size[0], left : left + size[1]]
    if part.shape != size:
        raise MishapeError(
            f"{parameter} {path.name!r} has {whole.shape[0]} x {whole.shape[1]} pixels, the image has {size[0]} x "
            f"{size[1]} from row {origin[0]} and column {origin[1]} of the sensor (roi_origin_px): give a map of the "
            "image's size, or one of the sensor that holds this region"
        )
    return part.astype(np.float64)


def measured(parameter: str, path: Path) -> NDArray[np.float32]:
    """Return a measured map, (Y, X) float32, read-only.

    Raises
    ------
    MishapeError
        If the file is no map of one plane, or holds values that the parameter cannot have.
    """
    stat = path.stat()
    return _measured(parameter, path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=_CACHED_MAPS)
def _measured(parameter: str, path: Path, stamp: tuple[int, int, int]) -> NDArray[np.float32]:
    try:
        stack = read_stack(path).data
    except MishapeError as error:
        raise MishapeError(f"{parameter}: {error}") from error
    if len(stack) > 1:
        raise MishapeError(f"{parameter} {path.name!r} has {len(stack)} planes: give one, such as the mean of frames")
    if stack.size > MAX_MAP_PX:
        raise MishapeError(f"{parameter} {path.name!r} has {stack.size} pixels: crop it to {MAX_MAP_PX} at most")
    least, most, unit = LIMITS[parameter]
    wrong = ~((stack[0] >= least) & (stack[0] <= most))  # NaN is wrong too
    if wrong.any():
        row, column = (int(place[0]) for place in np.nonzero(wrong))
        raise MishapeError(
            f"{parameter} {path.name!r} holds {stack[0, row, column]:g} at row {row}, column {column} "
            f"({int(wrong.sum())} such pixels in all): every value must be from {least:g} to {most:g} ({unit})"
        )
    values: NDArray[np.float32] = stack[0].astype(np.float32)
    values.flags.writeable = False
    return values
