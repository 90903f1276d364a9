"""Solids sampled on a lattice: a signed field at corners, linear between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import ShapeError
from mishape.engine.fast import code_path
from mishape.engine.types import Implicit, Points


@dataclass(frozen=True)
class SampledField:
    """A field that is negative inside of a solid, given at the corners of a lattice of boxes.

    Parameters
    ----------
    values
        (nx, ny, nz) floats, nm: close to a signed distance near the surface; positive all around the lattice's border.
    origin_nm
        (3,) where value (0, 0, 0) lies.
    step_nm
        (3,) distance between values along x, y and z.

    Raises
    ------
    ShapeError
        If the solid reaches the lattice's border, or is nowhere.
    """

    values: NDArray[np.floating]
    origin_nm: Points
    step_nm: Points

    def __post_init__(self) -> None:
        inside = self.values < 0
        if not inside.any():
            raise ShapeError("the field is nowhere negative: nothing is inside")
        faces = (inside[0], inside[-1], inside[:, 0], inside[:, -1], inside[:, :, 0], inside[:, :, -1])
        if any(face.any() for face in faces):
            raise ShapeError("the solid reaches the border of the field's lattice: pad it")

    def __call__(self, points_nm: Points) -> Points:
        """Return the field at (n, 3) points: linear between the values, and beyond the lattice as at its edge."""
        if code_path() == "fast":
            from mishape.engine.fast_sampled import read_between

            return read_between(self.values, self.origin_nm, self.step_nm, np.ascontiguousarray(points_nm))
        return _read_between(self.values, np.ascontiguousarray(points_nm.T), self.origin_nm, self.step_nm)

    def implicit(self) -> Implicit:
        """Return the solid, which keeps this field as its function."""
        end_nm = self.origin_nm + self.step_nm * (np.array(self.values.shape) - 1)
        return Implicit(self, np.stack([self.origin_nm, end_nm]), float(self.step_nm.min()))

    def scaled(self, factor: float) -> SampledField:
        """Return the field of the solid that is so many times as large."""
        return SampledField(self.values * factor, self.origin_nm * factor, self.step_nm * factor)

    def shifted(self, offset_nm: Points) -> SampledField:
        """Return the field moved by (3,) nm."""
        return SampledField(self.values, self.origin_nm + offset_nm, self.step_nm)


def _read_between(values: NDArray[np.floating], xyz_nm: Points, origin_nm: Points, step_nm: Points) -> Points:
    """Return values at (3, n) places by gathering the eight around each, at twice the speed of a general resampling."""
    last = np.array(values.shape)[:, None] - 1
    place = np.clip((xyz_nm - origin_nm[:, None]) / step_nm[:, None], 0, last)
    low = np.minimum(place.astype(np.int64), last - 1)
    along_x, along_y, along_z = (place - low).astype(np.float32)
    across_x, across_y = values.shape[1] * values.shape[2], values.shape[2]
    first, flat = low[0] * across_x + low[1] * across_y + low[2], values.ravel()

    def along(offset: int) -> NDArray[np.floating]:
        below = flat.take(first + offset)
        return np.asarray(below + (flat.take(first + (offset + 1)) - below) * along_z)

    def across(offset: int) -> NDArray[np.floating]:
        below = along(offset)
        return np.asarray(below + (along(offset + across_y) - below) * along_y)

    front = across(0)
    return np.asarray(front + (across(across_x) - front) * along_x, np.float64)
