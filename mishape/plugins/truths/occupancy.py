"""Points with inside/outside labels, as occupancy networks train on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.component import Component, Real, Whole
from mishape.engine.occupancy import HALF_WIDTH, POINTS, UnitBox, occupancy_arrays, packed_labels, uniform_points
from mishape.engine.types import Shape


class Occupancy(Component):
    """Points uniform in a cube about the shape's box, with one bit each: inside or not.

    The box's longest edge is scaled to 1 and its centre to 0 (Mescheder et al., CVPR 2019; the MiShape paper's
    section 3.1), without stretch; ``own = points * scale_nm + loc_nm`` brings points back to the shape's own frame.
    """

    kind: Literal["occupancy"] = "occupancy"
    points: Whole = Field(default=POINTS, ge=1, le=10_000_000)
    """Number of points per shape; default 100000, as in the reference's data (the paper's text says 10000)."""
    half_width: Real = Field(default=HALF_WIDTH, ge=0.5, le=2)
    """Half the cube's edge in units of the shape's longest edge; 0.5 to 2; default 0.55, as in the reference."""

    near_surface: Whole = Field(default=0, ge=0, le=10_000_000)
    """Number of further points near the surface, for shapes so thin that few others lie in them; default 0."""
    near_surface_nm: Real = Field(default=50.0, gt=0, le=1e5)
    """Standard deviation of their distance from it along x, y and z, nm; above 0; default 50, a quarter of a
    mitochondrion's thickness."""

    def describe(self, shape: Shape, rng: Generator) -> Mapping[str, NDArray[Any]]:
        """Return points (n, 3) float32, inside (ceil(n / 8),) packed bits, loc_nm (1, 3) and scale_nm (1,).

        With `near_surface`, `near_points` and `near_inside` likewise.
        """
        box = UnitBox.about(shape.surface.vertices_nm)
        points = uniform_points(self.points, rng, self.half_width, np.float32)
        near = occupancy_arrays(shape, rng, 0, self.near_surface, self.near_surface_nm, np.float32)
        return {
            "occupancy_points": points,
            "occupancy_inside": packed_labels(shape, box, points),
            **near,
            "occupancy_loc_nm": box.loc[None, :],
            "occupancy_scale_nm": np.array([box.scale]),
        }
