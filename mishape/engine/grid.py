"""The pixels of a view: images are (Z, Y, X), the world's origin is the centre of the field."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, Field, Strict, model_validator


def _number(value: Any) -> Any:
    """Take NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else value


_NUMBER = BeforeValidator(_number)
Count = Annotated[int, Strict(), Field(ge=1, le=1_000_000), _NUMBER]
Length = Annotated[float, Strict(), _NUMBER]
MAX_VOXELS = 2**33
_PLAIN = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


@pydantic.dataclasses.dataclass(frozen=True, config=_PLAIN)
class Grid:
    """The pixels of a view: where each pixel's centre lies in the world.

    Pixel i of n has its centre at ``(i - (n - 1) / 2) * pixel_nm``: a grid of an odd number of pixels has a pixel
    centred on the origin, one of an even number has the origin on a corner between four pixels.
    """

    shape: tuple[Count, Count, Count]
    """Number of planes, rows and columns (Z, Y, X)."""
    pixel_nm: Length = Field(ge=1, le=1e5)
    """Edge of a square pixel in object space, nm; 1 to 100000."""
    z_step_nm: Annotated[float, Strict(), Field(gt=0, le=1e6), _NUMBER] | None = None
    """Distance between planes, nm; needed for more than one plane unless `planes_nm` lists them."""
    planes_nm: tuple[Annotated[Length, Field(ge=-1e8, le=1e8)], ...] | None = None
    """The planes' z, nm, any spacing and offset, in place of `z_step_nm`; a plane's z is the objective's travel,
    counted from where it is paraxially focused on the world's origin."""

    @model_validator(mode="after")
    def _planes_are_known(self) -> Self:
        planes = self.shape[0]
        if planes * self.shape[1] * self.shape[2] > MAX_VOXELS:
            raise ValueError(f"{self.shape} has more than {MAX_VOXELS} pixels: make the grid smaller")
        if self.planes_nm is not None and self.z_step_nm is not None:
            raise ValueError("give z_step_nm or planes_nm, not both")
        if self.planes_nm is not None and len(self.planes_nm) != planes:
            raise ValueError(f"planes_nm lists {len(self.planes_nm)} planes but shape has {planes}: make them equal")
        if planes > 1 and self.planes_nm is None and self.z_step_nm is None:
            raise ValueError(f"{planes} planes need z_step_nm or planes_nm")
        return self

    def centers_nm(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the centres of planes, rows and columns: three 1D arrays (z, y, x) in nm."""
        planes, rows, columns = self.shape
        if self.planes_nm is not None:
            z = np.asarray(self.planes_nm, dtype=np.float64)
        else:
            z = _centered(planes) * (self.z_step_nm or 0.0)
        return z, _centered(rows) * self.pixel_nm, _centered(columns) * self.pixel_nm

    def half_field_nm(self) -> tuple[float, float]:
        """Return half the field's width along x and half its height along y, nm, to the outer edges of its pixels."""
        return self.shape[2] * self.pixel_nm / 2, self.shape[1] * self.pixel_nm / 2


def _centered(count: int) -> NDArray[np.float64]:
    return np.arange(count, dtype=np.float64) - (count - 1) / 2
