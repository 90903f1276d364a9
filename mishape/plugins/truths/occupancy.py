"""Points with inside/outside labels, as occupancy networks train on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.component import Component, Real, Whole
from mishape.engine.types import Shape


class Occupancy(Component):
    """Points uniform in a cube about the shape's box, with one bit each: inside or not.

    The box's longest edge is scaled to 1 and its centre to 0 (Mescheder et al., CVPR 2019; the MiShape paper's
    section 3.1), without stretch; ``own = points * scale_nm + loc_nm`` brings points back to the shape's own frame.
    """

    kind: Literal["occupancy"] = "occupancy"
    points: Whole = Field(default=100_000, ge=1, le=10_000_000)
    """Number of points per shape; default 100000, as in the reference's data (the paper's text says 10000)."""
    half_width: Real = Field(default=0.55, ge=0.5, le=2)
    """Half the cube's edge in units of the shape's longest edge; 0.5 to 2; default 0.55, as in the reference."""

    def describe(self, shape: Shape, rng: Generator) -> Mapping[str, NDArray[Any]]:
        """Return points (n, 3) float32, inside (ceil(n / 8),) packed bits, loc_nm (1, 3) and scale_nm (1,)."""
        low, high = shape.surface.vertices_nm.min(axis=0), shape.surface.vertices_nm.max(axis=0)
        loc, scale = (low + high) / 2, float((high - low).max())
        points = rng.uniform(-self.half_width, self.half_width, (self.points, 3)).astype(np.float32)
        inside = shape.inside(points.astype(np.float64) * scale + loc)
        return {
            "occupancy_points": points,
            "occupancy_inside": np.packbits(inside),
            "occupancy_loc_nm": loc[None, :],
            "occupancy_scale_nm": np.array([scale]),
        }
