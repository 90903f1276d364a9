"""An electron-multiplying CCD: gain before the amplifier, at the price of excess noise."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from mishape.engine.component import Real
from mishape.plugins.noises.detector import Map, amplify
from mishape.plugins.noises.draws import HostDraws
from mishape.plugins.noises.sensor import Camera


class Emccd(Camera):
    """An EMCCD camera: one amplifier reads all pixels, so response and offset are the only maps.

    In this order: (photons + background) * QE * response -> + dark electrons + clock-induced charge -> Poisson -> full
    well -> EM gain -> register's full well -> + read noise -> / gain + offset -> round -> clip to the bit depth.

    The register turns n electrons into a gamma-distributed number with shape n and mean ``n * em_gain``, the limit of
    many stages of a small gain each (Basden et al. 2003, MNRAS 345:985), in which the variance of light is doubled. A
    real register's excess factor squared is close to ``2 - 1 / em_gain``, so gains below about 10 are drawn too noisy.
    ``em_gain: 1`` is the conventional path: no register, no excess noise.

    The defaults are round values typical of back-illuminated sensors with 13 um pixels, assumed by this project and not
    those of any maker's model.

    Presets
    -------
    ixon_ultra_888
        Andor iXon Ultra 888, EM amplifier at 30 MHz, coldest. Published (Andor, "iXon Ultra" specifications): QE above
        95 % at its peak (green light), dark current 0.00011 e-/s, clock-induced charge 0.005 events per pixel, full
        well 80 000 e-, register's full well 730 000 e-, read noise 130 e- at the amplifier, 16 bits. Assumed: 5.9
        e-/count (Andor measures it for each camera), EM gain 300, offset 500 counts, both spreads.
    """

    presets: ClassVar = {
        "ixon_ultra_888": {
            "qe": 0.95,
            "dark_current_e_per_s": 0.00011,
            "clock_induced_charge_e": 0.005,
            "full_well_e": 80000.0,
            "em_gain": 300.0,
            "register_full_well_e": 730000.0,
            "read_noise_e": 130.0,
            "gain_e_per_count": 5.9,
            "offset": 500.0,
            "bit_depth": 16,
        },
    }

    kind: Literal["emccd"] = "emccd"
    preset: Literal["ixon_ultra_888"] | None = None
    """A named camera with its maker's published figures; single parameters given beside it win. Default none."""
    dark_current_e_per_s: Real = Field(default=0.001, ge=0, le=1e5)
    """Dark current in electrons per pixel and second; 0 to 1e5. Default 0.001, typical when cooled to -70 C."""
    clock_induced_charge_e: Real = Field(default=0.005, ge=0, le=100)
    """Electrons per pixel and frame that shifting the charge makes; 0 to 100. Default 0.005, typical."""
    full_well_e: Real = Field(default=80000.0, gt=0, le=1e7)
    """Electrons that a pixel of the image area can hold; above 0, up to 1e7. Default 80000, typical of 13 um pixels."""
    em_gain: Real = Field(default=300.0, ge=1, le=5000)
    """Mean gain of the register, 1 to 5000; 1 is the conventional path. Default 300, usual for single molecules."""
    register_full_well_e: Real = Field(default=500000.0, gt=0, le=1e8)
    """Electrons after EM gain that the register can hold; above 0, up to 1e8. Default 500000, assumed."""
    read_noise_e: Real = Field(default=50.0, ge=0, le=1000)
    """Read noise in electrons after EM gain, standard deviation; 0 to 1000. Default 50, typical of 10 MHz."""
    gain_e_per_count: Real = Field(default=5.0, gt=0, le=1000)
    """Electrons after EM gain per count; above 0, up to 1000. Default 5, assumed."""

    @property
    def dark_e(self) -> float:
        """Mean electrons per pixel and exposure in the dark, with those that shifting the charge makes."""
        return super().dark_e + self.clock_induced_charge_e

    def multiply(self, electrons: Map, draws: HostDraws) -> Map:
        """Return the electrons after the register: EM gain, then the register's full well."""
        if self.em_gain == 1:
            return electrons
        return np.minimum(self.em_gain * amplify(electrons, 1.0, draws.rng), self.register_full_well_e)
