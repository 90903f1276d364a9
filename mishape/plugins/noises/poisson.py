"""Shot noise on a background; optionally scaled to a signal-to-background ratio."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mishape.engine.component import Real
from mishape.engine.types import Array
from mishape.plugins.noises.background import Background, BackgroundField, mean_of
from mishape.plugins.noises.detector import Detector, Map, digitized


class Poisson(Detector):
    """Counts photoelectrons: ``y ~ Poisson(qe * photons + background)``.

    With `sbr` the noise-free image is first scaled by its own brightness, so photons lose their absolute meaning:
    ``y ~ Poisson(b + s * I)`` where one scale ``s`` serves the whole stack. This is the law of the simulators of
    Sekh et al. 2021 (doi 10.1038/s42256-021-00420-0) and of the MiShape paper (supplement S2: b about 100, ratios 2 to
    4), without their truncation of the expected values to integers.
    """

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
        light = self.fluorescence(photons)
        background = self.background_light(light, rng)
        return background + (light * self.qe if self.sbr is None else self._scaled(light, self.sbr))

    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        """Return (Z, Y, X) photoelectron counts, clipped to 65535."""
        return digitized(rng.poisson(self.expected(photons, rng)))

    def _scaled(self, light: Map, sbr: float) -> Map:
        peak = float(light.max())
        if peak == 0:
            return light
        relative = light / peak
        return mean_of(self.background) * self._peak_per_background(relative, sbr) * relative

    def _peak_per_background(self, relative: Map, sbr: float) -> float:
        """Return the emitters' brightest pixel over the background, from the image relative to that pixel."""
        if self.sbr_definition == "peak_over_background":
            return sbr - 1
        if self.sbr_definition == "contrast":
            return sbr
        return sbr / float(relative[relative >= 0.5].mean())
