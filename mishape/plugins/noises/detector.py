"""What all detectors share: expected photons come in, unsigned counts go out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mishape.engine.arrays import to_numpy
from mishape.engine.errors import MishapeError
from mishape.engine.types import Array

MAX_EXPECTED = 1e15
"""Expected values above this are drawn as this: far above any full well or ADC, and still within `poisson`'s reach."""


def incoming(photons: Array) -> NDArray[np.float64]:
    """Return expected photons on the host, (Z, Y, X) float64, at least 0.

    Rounding in a Fourier transform leaves values a little below zero where there is no light; they become 0.

    Raises
    ------
    MishapeError
        If a value is not finite.
    """
    light = to_numpy(photons).astype(np.float64)
    if not np.isfinite(light).all():
        raise MishapeError("the expected photons hold NaN or infinity: the microscope's image is wrong, not its noise")
    return np.clip(light, 0.0, MAX_EXPECTED)


def digitized(levels: NDArray[np.float64] | NDArray[np.int64], bit_depth: int = 16) -> NDArray[np.uint16]:
    """Return levels rounded to whole counts and clipped to what the converter can write, 0 to 2**bit_depth - 1."""
    return np.clip(np.rint(levels), 0, 2**bit_depth - 1).astype(np.uint16)
