"""The emitters themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.component import Component
from mishape.engine.types import Raster, Sample


class EmitterTable(Component):
    """One row per emitter: x, y, z in nm (world), photons, number of its object; (n, 5) float32."""

    kind: Literal["emitters"] = "emitters"

    def measure(self, sample: Sample, rng: Generator) -> Mapping[str, Raster | NDArray[Any]]:
        """Return ``emitters``."""
        emitters = sample.emitters
        table = np.column_stack([emitters.xyz_nm, emitters.photons, emitters.owner])
        return {"emitters": table.astype(np.float32)}
