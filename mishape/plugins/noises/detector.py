"""What all detectors share: expected photons and background light come in, unsigned counts go out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.arrays import is_host, like, namespace, to_numpy
from mishape.engine.component import Component
from mishape.engine.device_noise import DeviceDraws
from mishape.engine.errors import MishapeError
from mishape.engine.types import Array
from mishape.plugins.noises.background import Background, BackgroundField, light_of
from mishape.plugins.noises.draws import HostDraws
from mishape.plugins.noises.illumination import Illumination

MAX_EXPECTED = 1e14
"""Expected values above this are drawn as this: far above any full well or ADC, and within `poisson`'s reach
of 1e15 in a pixel of the highest response, 10."""
SLAB_PX = 2**18
"""Planes are detected together up to this many pixels, so that a large stack takes little memory beside its own."""

Map = NDArray[np.float64]


class Detector(Component):
    """A detector of light: its field has a background, and its illumination may be uneven.

    Subclasses give `record`.
    """

    on_device: ClassVar[bool] = False
    """Whether `record` takes arrays of any library: it then draws by `Draws` alone."""

    background: Annotated[Background, BackgroundField(1e6)] = 0.0
    """Background light in photons per pixel and exposure; a number from 0 to 1e6, or a mapping with the kind
    ``gradient`` or ``smooth``; all planes of a stack share it. Default 0: only the light of the emitters."""
    illumination: Illumination | None = None
    """Uneven illumination of the image, which dims the emitters' light and leaves the background as it is. Default
    none: even light."""

    @abstractmethod
    def record(self, light: Array, background: Array | float, draws: Any) -> Array:
        """Return uint16 counts of the emitters' light, (..., Z, Y, X), which it may overwrite, and background.

        `draws` are `HostDraws`, whose generator is there for all that `Draws` lacks, unless this is `on_device`.
        """

    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        """Return (Z, Y, X) counts; every plane is one exposure of the same pixels."""
        stack = to_numpy(photons)
        background, factor = self.background_light(stack, rng), self.strength(stack)
        counts, draws = np.empty(stack.shape, dtype=np.uint16), HostDraws(rng)
        for planes in _slabs(stack.shape):
            light = self.fluorescence(stack[planes])
            counts[planes] = self.record(light * factor if np.any(factor != 1) else light, background, draws)
        return counts

    def detect_many(self, photons: Array, rngs: Sequence[Generator]) -> NDArray[np.uint16]:
        """Return (B, Z, Y, X) counts of a batch of expected photons of that shape, with a generator for each sample.

        Images on a device are detected there, where the detector can be, and leave it once, as counts. A sample's bytes
        depend on its own generator and photons alone; on the host they are those of `detect`.

        Raises
        ------
        MishapeError
            If there are more or fewer generators than images, or photons are not finite.
        """
        if len(rngs) != photons.shape[0]:
            raise MishapeError(
                f"a batch of {photons.shape[0]} images needs {photons.shape[0]} generators, not {len(rngs)}: "
                "give one for each image"
            )
        if is_host(photons) or not self.on_device:
            pairs = zip(to_numpy(photons), rngs, strict=True)
            return np.stack([self.detect(image, rng) for image, rng in pairs])
        light = self.fluorescence(photons)
        fields = [np.atleast_2d(self.background_light(photons, rng)) for rng in rngs]
        background = like(np.stack(fields)[:, None], light)
        light = light * self.strength(photons)
        return to_numpy(self.record(light, background, DeviceDraws(rngs, light)))

    def strength(self, photons: Array) -> Array | float:
        """Return what the emitters' light is multiplied by: one number, or (..., 1, 1, 1) for each stack."""
        return 1.0

    def fluorescence(self, photons: Array) -> Array:
        """Return the light of the emitters that reaches the detector, (..., Z, Y, X) photons, a copy."""
        light = incoming(photons)
        if self.illumination is not None:
            light *= like(self.illumination.profile(light.shape[-2], light.shape[-1]), light)
        return light

    def background_light(self, light: Array, rng: Generator | None) -> float | Map:
        """Return the background below `light`, (Z, Y, X): one number or (Y, X); only a smooth one draws from `rng`."""
        return light_of(self.background, light.shape[-2], light.shape[-1], rng)


def incoming(photons: Array) -> Array:
    """Return a copy of expected photons, at least 0, in their float type: float32 rounds a mean by 6e-8 of itself.

    Rounding in a Fourier transform leaves values a little below zero where there is no light; they become 0.

    Raises
    ------
    MishapeError
        If a value is not finite.
    """
    xp = namespace(photons)
    light = xp.astype(photons, xp.float32 if photons.dtype == xp.float32 else xp.float64, copy=True)
    least, most = float(xp.min(light)), float(xp.max(light))
    if not (np.isfinite(least) and np.isfinite(most)):
        raise MishapeError("the expected photons hold NaN or infinity: the microscope's image is wrong, not its noise")
    if least < 0:
        light = xp.where(light < 0, 0.0, light)
    return xp.where(light > MAX_EXPECTED, MAX_EXPECTED, light) if most > MAX_EXPECTED else light


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield groups of planes of at most `SLAB_PX` pixels, but of a plane at least."""
    step = max(1, SLAB_PX // (shape[1] * shape[2]))
    for first in range(0, shape[0], step):
        yield slice(first, first + step)


def amplify(electrons: Map, relative_variance: float, rng: Generator) -> Map:
    """Give each electron a gamma-distributed gain of mean 1 and this variance; return the sums over each pixel.

    The sum of n such gains is gamma-distributed with n times the shape. For Poisson electrons the excess noise factor
    squared (output variance over that of noiseless gain) is 1 plus the variance.
    """
    if relative_variance == 0:
        return electrons
    return relative_variance * rng.standard_gamma(electrons / relative_variance)
