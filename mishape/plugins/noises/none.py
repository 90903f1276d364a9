"""No noise: the expected photons, or a multiple of them, as whole counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.arrays import to_numpy
from mishape.engine.component import Component, Real
from mishape.engine.device_noise import rounded
from mishape.engine.types import Array
from mishape.plugins.noises.detector import incoming


class NoNoise(Component):
    """Writes the expected photons themselves, rounded to whole counts and clipped to 0..65535."""

    kind: Literal["none"] = "none"
    counts_per_photon: Real = Field(default=1.0, gt=0, le=65535)
    """Counts for each expected photon; above 0, up to 65535. Default 1; more keeps the dim parts of a clean twin, which
    whole photons round away."""

    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        """Return (Z, Y, X) expected photons as counts; no random number is drawn."""
        counts: NDArray[np.uint16] = self.detect_many(photons[None, ...], [rng])[0]
        return counts

    def detect_many(self, photons: Array, rngs: Sequence[Generator]) -> NDArray[np.uint16]:
        """Return (B, Z, Y, X) expected photons as counts; they are rounded where they are, and leave a device once."""
        return to_numpy(rounded(incoming(photons) * self.counts_per_photon, 65535))
