"""What all detectors share: expected photons and background light come in, unsigned counts go out."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.arrays import to_numpy
from mishape.engine.component import Component
from mishape.engine.errors import MishapeError
from mishape.engine.types import Array
from mishape.plugins.noises.background import Background, BackgroundField, light_of
from mishape.plugins.noises.illumination import Illumination

MAX_EXPECTED = 1e15
"""Expected values above this are drawn as this: far above any full well or ADC, and still within `poisson`'s reach."""

Map = NDArray[np.float64]


class Detector(Component):
    """A detector of light: its field has a background, and its illumination may be uneven."""

    background: Annotated[Background, BackgroundField(1e6)] = 0.0
    """Background light in photons per pixel and exposure; a number from 0 to 1e6, or a mapping with the kind
    ``gradient`` or ``smooth``; all planes of a stack share it. Default 0: only the light of the emitters."""
    illumination: Illumination | None = None
    """Uneven illumination of the image, which dims the emitters' light and leaves the background as it is. Default
    none: even light."""

    def fluorescence(self, photons: Array) -> Map:
        """Return the light of the emitters that reaches the detector, (Z, Y, X) photons."""
        light = incoming(photons)
        if self.illumination is None:
            return light
        return light * self.illumination.profile(light.shape[-2], light.shape[-1])

    def background_light(self, light: Map, rng: Generator | None) -> float | Map:
        """Return the background below `light`, (Z, Y, X): one number or (Y, X); only a smooth one draws from `rng`."""
        return light_of(self.background, light.shape[-2], light.shape[-1], rng)


def incoming(photons: Array) -> Map:
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


def amplify(electrons: NDArray[np.int64] | Map, relative_variance: float, rng: Generator) -> Map:
    """Give each electron a gamma-distributed gain of mean 1 and this variance; return the sums over each pixel.

    The sum of n such gains is gamma-distributed with n times the shape. For Poisson electrons the excess noise factor
    squared (output variance over that of noiseless gain) is 1 plus the variance.
    """
    if relative_variance == 0:
        return electrons.astype(np.float64)
    return relative_variance * rng.standard_gamma(electrons / relative_variance)


def digitized(levels: Map | NDArray[np.int64], bit_depth: int = 16) -> NDArray[np.uint16]:
    """Return levels rounded to whole counts and clipped to what the converter can write, 0 to 2**bit_depth - 1."""
    return np.clip(np.rint(levels), 0, 2**bit_depth - 1).astype(np.uint16)
