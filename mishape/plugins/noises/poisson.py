"""Shot noise on a background; optionally scaled to a signal-to-background ratio."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from mishape.engine.arrays import namespace, to_numpy
from mishape.engine.component import Real
from mishape.engine.device_noise import rounded
from mishape.engine.types import Array
from mishape.plugins.noises.background import Background, BackgroundField, mean_of
from mishape.plugins.noises.detector import Detector, Map
from mishape.plugins.noises.draws import Draws

TOP = 65535
"""Largest count."""


class Poisson(Detector):
    """Counts photoelectrons: ``y ~ Poisson(qe * photons + background)``.

    With `sbr` the noise-free image is first scaled by its own brightness, so photons lose their absolute meaning:
    ``y ~ Poisson(b + s * I)`` where one scale ``s`` serves the whole stack. This is the law of the simulators of
    Sekh et al. 2021 (doi 10.1038/s42256-021-00420-0) and of the MiShape paper (supplement S2: b about 100, ratios 2 to
    4), without their truncation of the expected values to integers.
    """

    on_device = True

    kind: Literal["poisson"] = "poisson"
    background: Annotated[Background, BackgroundField(65535)] = 0.0
    """Background light in photoelectrons per pixel; a number from 0 to 65535, or a mapping with the kind ``gradient``
    or ``smooth``; all planes of a stack share it. Default 0: only the light of the emitters."""
    qe: Real = Field(default=1.0, gt=0, le=1)
    """Quantum efficiency, photoelectrons per photon, above 0 and at most 1. Default 1: an ideal detector."""
    sbr: Real | None = Field(default=None, gt=0, le=1e4)
    """Signal-to-background ratio by which the stack is scaled; above 0, up to 1e4. Default none: photons keep their
    absolute number."""
    sbr_definition: Literal["peak_over_background", "contrast", "foreground_mean"] = "peak_over_background"
    """What `sbr` means for a background of the mean b and the noise-free image's peak p, background included.

    ``peak_over_background`` (default, the earlier simulators'): p / b. ``contrast``: (p - b) / b.
    ``foreground_mean``: the emitters' light averaged over the pixels where it is at least half of its maximum, over b.
    """

    @model_validator(mode="after")
    def _ratio_makes_sense(self) -> Self:
        if self.sbr is None:
            return self
        if mean_of(self.background) == 0:
            raise ValueError("sbr is a ratio to the background, and background is 0: set background, for example 100")
        if self.sbr < 1 and self.sbr_definition == "peak_over_background":
            raise ValueError(
                f"sbr {self.sbr:g} with peak_over_background puts the peak below the background: "
                "give at least 1, or use sbr_definition contrast"
            )
        if self.qe != 1:
            raise ValueError("sbr scales the image by its own brightness, so qe has no effect: leave out qe or sbr")
        return self

    @property
    def rescales(self) -> bool:
        """Whether the image's own brightness sets the scale; then emitters' photons have no absolute meaning."""
        return self.sbr is not None

    def expected(self, photons: Array, rng: Generator | None = None) -> Map:
        """Return the mean of `detect` before rounding and clipping: (Z, Y, X) photoelectrons, background included.

        A smooth background is drawn from `rng`; without one its mean stands in its place.
        """
        stack = to_numpy(photons)
        return np.asarray(self.fluorescence(stack) * self.strength(stack) + self.background_light(stack, rng))

    def record(self, light: Array, background: Array | float, draws: Draws) -> Array:
        """Return photoelectron counts, clipped to 65535."""
        light += background
        return rounded(draws.poisson(light, TOP), TOP)

    def strength(self, photons: Array) -> Array | float:
        """Return the photoelectrons for each photon: QE, or for `sbr` the scale of each (Z, Y, X) stack."""
        if self.sbr is None:
            return self.qe
        light = self.fluorescence(photons)
        xp, axes = namespace(light), (-3, -2, -1)
        peak = xp.max(light, axis=axes, keepdims=True)
        peak = xp.where(peak == 0, 1.0, peak)
        if self.sbr_definition == "peak_over_background":
            return mean_of(self.background) * (self.sbr - 1) / peak
        if self.sbr_definition == "contrast":
            return mean_of(self.background) * self.sbr / peak
        bright = light >= peak / 2
        number = xp.sum(xp.astype(bright, light.dtype), axis=axes, keepdims=True)
        total = xp.sum(xp.where(bright, light, 0.0), axis=axes, keepdims=True)
        return mean_of(self.background) * self.sbr * number / xp.where(total == 0, 1.0, total)
