"""What all labelers share: how bright emitters are, and how many there may be."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from mishape.engine.component import Component, Real
from mishape.engine.errors import ShapeError
from mishape.engine.types import Emitters, Points
from mishape.engine.wording import problem

MAX_EMITTERS = 50_000_000
WITH_CV = ("lognormal", "gamma")


class Emission(Component):
    """Base of labelers: brightness of the emitters."""

    photons: Real = Field(default=100.0, gt=0, le=1e9)
    """Mean photons that reach the camera plane from an emitter per exposure, default 100."""
    brightness: Literal["constant", "exponential", "lognormal", "gamma"] = "constant"
    """How photons vary from emitter to emitter; the mean is always `photons`."""
    brightness_cv: Real | None = Field(default=None, gt=0, le=10)
    """Standard deviation over mean of the lognormal and the gamma distribution, up to 10, default 0.5."""

    @model_validator(mode="after")
    def _cv_applies(self) -> Self:
        if self.brightness_cv is not None and self.brightness not in WITH_CV:
            raise problem(
                f"brightness_cv does not apply to brightness {self.brightness}: only to {' and '.join(WITH_CV)}"
            )
        return self

    def emitters(self, xyz_nm: Points, rng: Generator) -> Emitters:
        """Return emitters at (n, 3) positions, their photons drawn."""
        return Emitters(xyz_nm, self.photons * self._relative(len(xyz_nm), rng))

    def _relative(self, n: int, rng: Generator) -> Points:
        """Return (n,) brightnesses of mean 1."""
        square = (0.5 if self.brightness_cv is None else self.brightness_cv) ** 2
        if self.brightness == "exponential":
            return rng.exponential(size=n)
        if self.brightness == "gamma":
            return rng.gamma(1 / square, square, size=n)
        if self.brightness == "lognormal":
            variance = np.log1p(square)
            return rng.lognormal(-variance / 2, np.sqrt(variance), size=n)
        return np.ones(n)


def refuse_absurd(expected: float, density: str) -> None:
    """Raise if a shape would get more emitters than a computer holds.

    Raises
    ------
    ShapeError
        If more than 50 million emitters are expected.
    """
    if expected > MAX_EMITTERS:
        raise ShapeError(
            f"{density} asks for {expected:.3g} emitters, more than {MAX_EMITTERS / 1e6:g} million: "
            "lower the density, or check the shape's unit"
        )
