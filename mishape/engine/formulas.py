"""The named formulas of resolution, depth and bandwidth: each value by the name of its formula, never "the resolution".

They differ by a factor of two among each other, and none is the measured FWHM of a high aperture's vectorial PSF.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Formula:
    """One formula and what it gives.

    Parameters
    ----------
    name
        What microscopists call it.
    text
        The formula.
    value
        Its value: nm for a length, cycles per um for a cut-off.
    wavelength_nm
        The wavelength that it used, nm; of a formula of two wavelengths the one that stands for both.
    light
        Which wavelength that is: ``emission``, ``excitation``, the ``mean of both``
        sqrt2 em ex / sqrt(em^2 + ex^2), or that of the ``sum of both`` frequencies 1 / (1 / em + 1 / ex).
    """

    name: str
    text: str
    value: float
    wavelength_nm: float
    light: str


@dataclass(frozen=True)
class OpticalParameters:
    """The parameters that the formulas need, read from a microscope.

    Parameters
    ----------
    na, index
        Numerical aperture, and refractive index of the immersion.
    emission_nm
        Emission wavelength, nm.
    excitation_nm, pinhole_au
        Excitation wavelength, nm, and pinhole's diameter in Airy units of a confocal; both None for a widefield
        microscope, whose image does not depend on the excitation.
    """

    na: float
    index: float
    emission_nm: float
    excitation_nm: float | None = None
    pinhole_au: float | None = None
    scans: bool = True
    """Whether one spot is scanned; a camera behind many pinholes sees no excitation spot through wide ones."""

    @classmethod
    def of(cls, microscope: Any) -> Self | None:
        """Return a microscope's optics; None if it does not say its aperture, emission wavelength and index."""
        na, emission, index = (_positive(microscope, name) for name in ("na", "emission_nm", "immersion_index"))
        if na is None or emission is None or index is None or na >= index:
            return None
        excitation, pinhole = _positive(microscope, "excitation_nm"), _positive(microscope, "pinhole_au")
        if excitation is None or pinhole is None:
            return cls(na, index, emission)
        return cls(na, index, emission, excitation, pinhole, scans=not hasattr(microscope, "pinhole_spacing"))

    @property
    def depth(self) -> float:
        """n - sqrt(n^2 - NA^2): the axial extent of the pupil's cap, in units of 1 / wavelength."""
        return self.index - math.sqrt(self.index**2 - self.na**2)


def _positive(microscope: Any, name: str) -> float | None:
    value = getattr(microscope, name, None)
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else None


def remarks(microscope: Any) -> list[str]:
    """Return what a microscope has that the formulas do not know: several wavelengths, a sample that narrows NA."""
    found = []
    if lines := getattr(microscope, "emission_spectrum", None):
        low, high = min(nm for nm, _ in lines), max(nm for nm, _ in lines)
        found.append(f"formulas use emission_nm {microscope.emission_nm:g}; the light is of {low:g} to {high:g} nm")
    na, index = _positive(microscope, "na"), _positive(microscope, "sample_index")
    if na and index and na > index:
        ends = (
            "the scalar model's aperture ends there"
            if getattr(microscope, "model", None) == "scalar"
            else "light beyond it comes only from emitters at the coverslip"
        )
        found.append(f"formulas use na {na:g}, which is above sample_index {index:g}: {ends}")
    return found


def lengths(optics: OpticalParameters, pixel_nm: float) -> list[Formula]:
    """Return the formulas of lateral and axial lengths, nm, that belong to a microscope."""
    return [*_widefield(optics, pixel_nm), *_confocal(optics)]


def _widefield(optics: OpticalParameters, pixel_nm: float) -> list[Formula]:
    na, n, wave, depth = optics.na, optics.index, optics.emission_nm, optics.depth
    found = [
        ("Rayleigh", "0.61 lambda / NA", 0.61 * wave / na),
        ("Abbe", "lambda / (2 NA)", wave / (2 * na)),
        ("Sparrow", "0.47 lambda / NA", 0.47 * wave / na),
        ("Airy FWHM", "0.5145 lambda / NA", 0.5145 * wave / na),
        ("Airy unit", "1.22 lambda / NA", 1.22 * wave / na),
        ("depth of field", "n lambda / NA^2", n * wave / na**2),
        ("depth of field, with pixel", "n lambda / NA^2 + n pixel / NA", n * wave / na**2 + n * pixel_nm / na),
        ("Rayleigh, axial", "2 n lambda / NA^2", 2 * n * wave / na**2),
        ("first axial minimum", "lambda / (n - sqrt(n^2 - NA^2))", wave / depth),
        ("axial FWHM, scalar", "0.886 lambda / (n - sqrt(n^2 - NA^2))", 0.886 * wave / depth),
    ]
    return [Formula(name, text, value, wave, "emission") for name, text, value in found]


def _confocal(optics: OpticalParameters) -> list[Formula]:
    """The formulas for a pinhole.

    Those of an open and of a closed pinhole, and of the optical section, are in S. Wilhelm et al., Confocal Laser
    Scanning Microscopy, Carl Zeiss.
    """
    if optics.excitation_nm is None or optics.pinhole_au is None:
        return []
    na, n, em, ex, depth = optics.na, optics.index, optics.emission_nm, optics.excitation_nm, optics.depth
    mean = math.sqrt(2) * em * ex / math.hypot(em, ex)
    pinhole_nm = optics.pinhole_au * 1.22 * em / na
    section = math.hypot(0.88 * em / depth, math.sqrt(2) * n * pinhole_nm / na)
    both = "mean of both"
    found = [
        Formula("Abbe / sqrt2, confocal", "lambda / (2 sqrt2 NA)", em / (2 * math.sqrt(2) * na), em, "emission"),
        Formula("confocal FWHM, pinhole closed", "0.37 lambda / NA", 0.37 * mean / na, mean, both),
        Formula("confocal FWHM, pinhole open", "0.51 lambda / NA", 0.51 * ex / na, ex, "excitation"),
        Formula("axial FWHM, pinhole closed", "0.64 lambda / (n - sqrt(n^2 - NA^2))", 0.64 * mean / depth, mean, both),
        Formula(
            "axial FWHM, pinhole open", "0.88 lambda / (n - sqrt(n^2 - NA^2))", 0.88 * ex / depth, ex, "excitation"
        ),
        Formula(
            "optical section",
            "sqrt((0.88 lambda / (n - sqrt(n^2 - NA^2)))^2 + (sqrt2 n pinhole / NA)^2)",
            section,
            em,
            "emission",
        ),
    ]
    return [formula for formula in found if optics.scans or "open" not in formula.name]


def lateral_cutoff(optics: OpticalParameters) -> Formula:
    """Return where the lateral OTF ends, cycles per um; a confocal's is that of excitation plus emission.

    It counts on the whole aperture. Deep in a sample of an index below NA less of it is left, as `remarks` says.
    """
    return _cutoff(optics, "lateral cut-off", "2 NA / lambda", 2 * optics.na)


def axial_cutoff(optics: OpticalParameters) -> Formula:
    """Return where the 3D OTF ends along the axis, cycles per um; a confocal's is that of excitation plus emission."""
    return _cutoff(optics, "axial cut-off", "(n - sqrt(n^2 - NA^2)) / lambda", optics.depth)


def _cutoff(optics: OpticalParameters, name: str, text: str, times: float) -> Formula:
    if optics.excitation_nm is None:
        return Formula(name, text, 1000 * times / optics.emission_nm, optics.emission_nm, "emission")
    both = 1 / (1 / optics.excitation_nm + 1 / optics.emission_nm)
    return Formula(name, text, 1000 * times / both, both, "sum of both")
