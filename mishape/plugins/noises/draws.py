"""What a detector draws at random, one word for all: from a generator on the host, or on the device of a batch."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.arrays import to_numpy
from mishape.engine.device_noise import rounded
from mishape.engine.fast import code_path
from mishape.engine.gaussian import gaussian
from mishape.engine.poisson import poisson
from mishape.engine.types import Array

Level = Array | float


class Draws(Protocol):
    """The random steps of a chain of detection; `mishape.engine.device_noise.DeviceDraws` has them too."""

    def poisson(self, means: Array, most: float) -> Array:
        """Return Poisson deviates of means from 0 to 1e15, at most `most`: whole numbers of the means' float type."""

    def digitize(self, levels: Array, noise: Level, scale: Level, offset: Level, top: int) -> Array:
        """Return ``(levels + noise * normal) * scale + offset``, rounded and clipped to 0..top, uint16."""


class HostDraws:
    """Draws for one sample, (Z, Y, X) on the host, from its generator; `noise`, `scale` and `offset` may be (Y, X)."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng

    def poisson(self, means: NDArray[Any], most: float) -> NDArray[Any]:
        """Return Poisson deviates of means from 0 to 1e15, at most `most`: whole numbers of the means' float type."""
        counts = poisson(means, self.rng)
        return np.minimum(counts, most, out=counts)

    def digitize(self, levels: NDArray[Any], noise: Level, scale: Level, offset: Level, top: int) -> NDArray[np.uint16]:
        """Return ``(levels + noise * normal) * scale + offset``, rounded and clipped to 0..top."""
        if code_path() == "fast":
            from mishape.engine import compiled_noise

            sd, per_unit, dark = (np.broadcast_to(part, levels.shape[-2:]) for part in (noise, scale, offset))
            return compiled_noise.digitize(levels, sd, per_unit, dark, top, self.rng)
        read = gaussian(levels.size, self.rng).reshape(levels.shape).astype(levels.dtype, copy=False)
        read *= noise
        read += levels
        read *= scale
        read += offset
        return to_numpy(rounded(read, top))
