"""No noise: the expected photons as whole counts."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.component import Component
from mishape.engine.types import Array
from mishape.plugins.noises.detector import digitized, incoming


class NoNoise(Component):
    """Writes the expected photons themselves, rounded to whole counts and clipped to 0..65535."""

    kind: Literal["none"] = "none"

    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        """Return (Z, Y, X) expected photons as counts; no random number is drawn."""
        return digitized(incoming(photons))
