"""Emitters in the solid, uniform by volume."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.random import Generator
from pydantic import Field

from mishape.engine.cells import cells_of_solid
from mishape.engine.component import Real
from mishape.engine.types import Emitters, Shape
from mishape.plugins.labelers.emission import MAX_EMITTERS, Emission, refuse_absurd

CELLS_ALONG = 32
"""Cells along the longest edge of a shape's box."""
CANDIDATES_PER_CALL = 1 << 19


class Volume(Emission):
    """A Poisson process in the solid: one in the cells that the solid touches, thinned to what lies inside."""

    kind: Literal["volume"] = "volume"
    density_per_um3: Real = Field(default=20000.0, gt=0, le=1e10)
    """Emitters per um^3 of solid, default 20000; their number is drawn from Poisson's law."""

    def label(self, shape: Shape, rng: Generator) -> Emitters:
        """Return emitters inside a shape, in its frame.

        Raises
        ------
        ShapeError
            If more than 50 million emitters are expected.
        """
        cells = cells_of_solid(shape, float(np.ptp(shape.bounds_nm, axis=0).max()) / CELLS_ALONG)
        mean = self.density_per_um3 * 1e-9 * cells.volume_nm3
        density = f"density_per_um3 {self.density_per_um3:g}"
        refuse_absurd(mean / 10, density)  # some of the cells lie outside; the exact count follows below
        left, found, count = int(rng.poisson(mean)), [np.empty((0, 3))], 0
        while left:
            candidates = cells.sample(min(left, CANDIDATES_PER_CALL), rng)
            left -= len(candidates)
            found.append(candidates[shape.inside(candidates)])
            count += len(found[-1])
            if count > MAX_EMITTERS:
                refuse_absurd(mean, density)
        return self.emitters(np.concatenate(found), rng)
