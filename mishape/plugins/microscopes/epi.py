"""Epifluorescence (widefield) microscope."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from mishape.engine.component import Real
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.optics import vector_psf
from mishape.engine.types import Points


class Epi(PSFMicroscope):
    """Widefield imaging of freely rotating dipoles through matched media.

    Every plane of an unbounded grid receives all photons of every emitter, whatever the focus; the image does not
    depend on the excitation.

    Presets
    -------
    epi1, epi2
        The two epifluorescence microscopes of the MiShape paper (its Table S1). Its "optical resolution" of 245 nm
        for epi1 is lambda / (2 NA) at NA 1.40; NA 1.42, as everywhere else in the paper, gives 242 nm.
    """

    presets: ClassVar = {
        "epi1": {"na": 1.42, "emission_nm": 688.0, "magnification": 60.0},
        "epi2": {"na": 1.4, "emission_nm": 608.0, "magnification": 60.0},
    }

    kind: Literal["epi"] = "epi"
    preset: Literal["epi1", "epi2"] | None = None
    """Named parameter set; single parameters given beside it win."""
    na: Real = Field(gt=0, lt=1.6)
    """Numerical aperture; 0 to 1.6, below the immersion index; no default: the preset's or yours."""
    emission_nm: Real = Field(ge=200, le=2000)
    """Emission wavelength in vacuum, nm; 200 to 2000; no default: the preset's or yours."""
    immersion_index: Real = Field(default=1.515, ge=1, le=1.8)
    """Refractive index of immersion, coverslip and sample alike; 1 to 1.8; default 1.515, oil at 23 C."""
    excitation_nm: Real | None = Field(default=None, ge=200, le=2000)
    """Excitation wavelength, nm; kept as provenance: widefield images do not depend on it."""
    magnification: Real | None = Field(default=None, gt=0, le=1000)
    """Magnification of the objective; kept as provenance: pixels are given in object space."""

    @model_validator(mode="after")
    def _light_enters(self) -> Self:
        if self.na >= self.immersion_index:
            raise ValueError(f"na {self.na:g} must be below immersion_index {self.immersion_index:g}")
        return self

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float = 0.0) -> Points:
        """Return the photon fraction per nm^2, (len(z_nm), len(r_nm)), of emitters at z seen from focus_nm."""
        return vector_psf(r_nm, z_nm - focus_nm, self.na, self.emission_nm, self.immersion_index)
