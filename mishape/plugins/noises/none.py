"""No noise: the expected photons as whole counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.arrays import to_numpy
from mishape.engine.component import Component
from mishape.engine.device_noise import rounded
from mishape.engine.types import Array
from mishape.plugins.noises.detector import incoming


class NoNoise(Component):
    """Writes the expected photons themselves, rounded to whole counts and clipped to 0..65535."""

    kind: Literal["none"] = "none"

    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        """Return (Z, Y, X) expected photons as counts; no random number is drawn."""
        counts: NDArray[np.uint16] = self.detect_many(photons[None, ...], [rng])[0]
        return counts

    def detect_many(self, photons: Array, rngs: Sequence[Generator]) -> NDArray[np.uint16]:
        """Return (B, Z, Y, X) expected photons as counts; they are rounded where they are, and leave a device once."""
        return to_numpy(rounded(incoming(photons), 65535))
