"""Uneven illumination: the excitation falls off from a point near the middle of the field."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.component import Model, Real

Place = Annotated[Real, Field(ge=-1e6, le=1e6)]


class Illumination(Model):
    """A Gaussian profile by which the emitters' light is multiplied: 1 at its centre, less everywhere else.

    The background is not multiplied by it: its own level and form are what the detector sees.
    """

    corner: Real = Field(default=0.5, gt=0, le=1)
    """Level at the distance from the profile's centre that the field's corners have from the field's middle, above 0
    and at most 1. Default 0.5, assumed."""
    center_px: tuple[Place, Place] = (0.0, 0.0)
    """Row and column of the profile's centre, counted from the middle of the field, pixels; -1e6 to 1e6. Default the
    middle."""

    def profile(self, rows: int, columns: int) -> NDArray[np.float64]:
        """Return the profile of an image, (Y, X): ``corner ** (distance / half diagonal)**2``."""
        down = np.arange(rows) - (rows - 1) / 2 - self.center_px[0]
        across = np.arange(columns) - (columns - 1) / 2 - self.center_px[1]
        corner_px2 = ((rows - 1) ** 2 + (columns - 1) ** 2) / 4
        return np.asarray(self.corner ** ((down[:, None] ** 2 + across**2) / max(corner_px2, 1.0)))
