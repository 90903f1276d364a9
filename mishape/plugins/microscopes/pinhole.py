"""What microscopes with pinholes share: excitation, the pinhole's size, dose."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from mishape.engine.component import Real
from mishape.engine.types import Points
from mishape.engine.wording import problem
from mishape.plugins.microscopes.objective import Objective, Wavelength

STEPS_PER_WAVE = 64
"""Radial table steps per lambda / NA."""


class PinholeMicroscope(Objective):
    """Excitation through the objective, emission through a pinhole; doses are equal per frame.

    The excitation's integral over a frame is `dose` times the unit excitation of a widefield exposure, for an emitter
    at any depth, so an open pinhole sums to the widefield's photons and a closed one to less.
    """

    excitation_nm: Wavelength
    """Excitation wavelength in vacuum, nm; 200 to 2000, not above the emission; no default: the preset's or yours."""
    pinhole_au: Real = Field(default=1.0, gt=0, le=100)
    """Pinhole diameter in Airy units of 1.22 emission_nm / na in object space; above 0 to 100 (open); default 1, as
    usual. A pinhole's own diameter divided by the magnification before it is its diameter in object space."""
    dose: Real = Field(default=1.0, gt=0, le=1e6)
    """Excitation per frame as a multiple of one widefield exposure; above 0; default 1 (equal dose)."""

    @model_validator(mode="after")
    def _one_photon_excites(self) -> Self:
        if self.excitation_nm > self.emission_nm:
            raise problem(
                f"excitation_nm {self.excitation_nm:g} is above emission_nm {self.emission_nm:g}: "
                "one-photon fluorescence is emitted at longer wavelengths than it is excited; swap them?"
            )
        return self

    @property
    def pinhole_radius_nm(self) -> float:
        """Radius of the pinhole in object space, nm."""
        return self.pinhole_au * 1.22 * self.emission_nm / self.na / 2

    @property
    def table_step_nm(self) -> float:
        """Step of the radial tables that are averaged over the pinhole, nm: by the shortest wavelength."""
        lines = [nm for nm, _ in self.emission_spectrum or ()]
        return min(self.emission_nm, self.excitation_nm, *lines) / self.na / STEPS_PER_WAVE

    def table_radii_nm(self, reach_nm: float) -> Points:
        """Return the radii of a table that can be read up to `reach_nm`."""
        return self.table_step_nm * np.arange(int(reach_nm / self.table_step_nm) + 4, dtype=np.float64)

    def excitation(self, r_nm: Points, z_nm: Points, focus_nm: Points | float = 0.0) -> Points:
        """Return the excitation's PSF, (len(z_nm), len(r_nm)) per nm^2, each row 1 over the plane."""
        return self._line(self.excitation_nm, r_nm, z_nm, focus_nm)
