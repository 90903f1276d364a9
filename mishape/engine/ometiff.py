"""Stacks of samples as OME-TIFF: uncompressed and contiguous, so they open in Fiji and memory-map in NumPy."""

from __future__ import annotations

import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import DatasetError
from mishape.engine.grid import Grid

EVEN = 0.01
"""Relative difference between distances of planes below which they count as evenly spaced."""
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://mishape.org/dataset")


def pixel_metadata(grid: Grid) -> dict[str, Any]:
    """Return OME's physical sizes of a grid, in micrometres; unevenly spaced planes have no size along z."""
    sizes: dict[str, Any] = {}
    steps = np.diff(grid.centers_nm()[0])
    lengths = {"X": grid.pixel_nm, "Y": grid.pixel_nm}
    # Evenly spaced planes focus on planes that are even to a per mille, where refractive indices differ.
    if len(steps) and steps[0] != 0 and np.allclose(steps, steps[0], rtol=EVEN):
        lengths["Z"] = abs(float(steps.mean()))
    elif grid.z_step_nm is not None:
        lengths["Z"] = grid.z_step_nm
    for axis, length_nm in lengths.items():
        sizes[f"PhysicalSize{axis}"] = length_nm / 1000
        sizes[f"PhysicalSize{axis}Unit"] = "µm"
    return sizes


class StackWriter:
    """An OME-TIFF of (T, Z, Y, X) that is filled one sample at a time.

    Parameters
    ----------
    path
        The file; its name ends in .ome.tif.
    grid
        Shape and physical size of one sample.
    dtype
        Type of the pixels.
    samples
        Length of T.
    identity
        What the file is, for its UUID: equal runs write equal files.
    """

    def __init__(self, path: Path, grid: Grid, dtype: np.dtype[Any], samples: int, identity: str) -> None:
        import tifffile

        # Asking the writer where the pixels lie spares reading the tags of all pages.
        place = tifffile.imwrite(
            path,
            shape=(samples, *grid.shape),
            dtype=dtype,
            bigtiff=True,
            ome=True,
            byteorder="<",
            photometric="minisblack",
            metadata={"axes": "TZYX", "UUID": str(uuid.uuid5(NAMESPACE, identity)), **pixel_metadata(grid)},
            returnoffset=True,
        )
        if place is None:
            raise DatasetError(f"{str(path)!r} could not be laid out contiguously")
        self._start = place[0]
        self.shape, self.dtype = grid.shape, dtype
        # A plain file rather than a memory map: on a full disk a map kills the process, a write raises.
        self._file = path.open("r+b")

    def write(self, number: int, data: NDArray[Any]) -> None:
        """Write sample `number`, counted from 0."""
        if data.shape != self.shape or data.dtype != self.dtype:
            raise ValueError(f"{data.shape} {data.dtype} given, {self.shape} {self.dtype} expected")
        self._file.seek(self._start + number * data.nbytes)
        self._file.write(np.ascontiguousarray(data.astype(self.dtype.newbyteorder("<"), copy=False)).data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
