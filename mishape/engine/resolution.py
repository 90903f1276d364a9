"""How fine a microscope's light is: widths and cut-offs, measured from a lone emitter.

Widths are full widths at half maximum (FWHM), free of pixels. What formulas say instead stands in `engine.formulas`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mishape.engine.errors import MishapeError
from mishape.engine.extent import DOUBLINGS, SAMPLES, half_maximum_band
from mishape.engine.grid import Grid
from mishape.engine.lone_emitter import LoneEmitter
from mishape.engine.radial import legendre
from mishape.engine.types import Points

AXIAL_UNIT_NM = 500.0
"""Half of the travel that a search for the brightest plane begins with, nm; as in the truth `in_focus`."""
LATERAL_LEVEL, AXIAL_LEVEL = 1e-8, 1e-6
"""An OTF below this counts as ended: a confocal's fades as the 4.5th power of what is left to its cut-off, so a coarser
level would find it early; along the axis it ends steeply, and a finer one would find the taper's own spectrum."""
CLEAR_LEVEL = 1e-5
"""An axial spectrum with more noise than a third of this may be aliased: aberrations widen the light on the axis, but
its finest detail stays."""
WORST_LEVEL = 0.01
"""An OTF with more noise than a third of this has no cut-off to be seen."""
LATERAL_TAPER, AXIAL_TAPER = 60.0, 30.0
"""Standard deviation, in FWHM, of the Gaussian that tapers a PSF: wide enough to move no cut-off by more than 2 %."""
LATERAL_BAND, AXIAL_BAND = 3.5, 2.5
"""Frequencies up to this number of cycles per FWHM are looked at; what stands in the last seventh is noise."""
FREQUENCIES = 500
TAIL_ERROR = 1 / 3
"""How wrong the fitted tail may be, as a share of itself: up to a quarter was seen deep in aberrated media."""
FRACTION_PIXELS = 201


@dataclass(frozen=True)
class Spectrum:
    """The magnitude of a transfer function.

    Parameters
    ----------
    per_um
        (n,) frequencies, cycles per um, from 0.
    magnitude
        (n,), 1 at frequency 0.
    cutoff_per_um
        The highest frequency at which the magnitude is above `level`; None where the level is above `WORST_LEVEL`.
    level
        What counts as ended: three times the noise, where that is higher than the level asked for.
    """

    per_um: Points
    magnitude: Points
    cutoff_per_um: float | None
    level: float

    def ends_per_um(self, level: float) -> float | None:
        """Return the highest frequency at which the magnitude is above a level; None if it is so to the end."""
        above = int(np.flatnonzero(self.magnitude > level)[-1])
        if above == len(self.magnitude) - 1:
            return None
        ends = np.log(np.maximum(self.magnitude[[above + 1, above]], 1e-300))
        return float(np.interp(math.log(level), ends, self.per_um[[above + 1, above]]))

    def highest_beyond(self, per_um: float) -> float:
        """Return the highest magnitude at a frequency and above it; 0 above all that were looked at."""
        there = float(np.interp(per_um, self.per_um, self.magnitude, right=0.0))
        return float(self.magnitude[self.per_um > per_um].max(initial=there))


@dataclass(frozen=True)
class Resolution:
    """What was measured of a lone emitter at the world's origin.

    Parameters
    ----------
    lateral_fwhm_nm
        FWHM in the brightest plane, nm.
    axial_fwhm_nm
        FWHM on the axis as the objective travels, nm; None where the light is the same in all planes.
    brightest_nm
        Travel at which the axis is brightest, nm; nominal focus is 0.
    axial_ends_nm
        The travels at which the axis has half of its largest value, nm.
    detected_fraction
        The brightest plane's integral over all of it: 1 for a widefield microscope, for a confocal the pinhole's share
        times the dose.
    detected_fraction_error
        How wrong it may be: what lies beyond 240 FWHM is fitted. None for a microscope without a PSF, whose light is
        that on a field of 16 widths.
    lateral, axial
        The OTF of the brightest plane, and the spectrum of the light on the axis (the 3D OTF summed over lateral
        frequencies). The axial one, and both cut-offs, need a PSF.
    """

    lateral_fwhm_nm: float
    axial_fwhm_nm: float | None
    brightest_nm: float
    axial_ends_nm: tuple[float, float] | None
    detected_fraction: float
    detected_fraction_error: float | None
    lateral: Spectrum
    axial: Spectrum | None


def measure(emitter: LoneEmitter) -> Resolution:
    """Measure the widths, the light and the cut-offs of a microscope's PSF.

    Raises
    ------
    MishapeError
        If the PSF has no lateral width, or is not finite.
    """
    ends = _axial_ends(emitter)
    brightest_nm = 0.0 if ends is None else _brightest(emitter, ends)
    plane = np.array([brightest_nm])
    left, right = half_maximum_band(lambda r: emitter.density(np.abs(r), plane)[0], 0.0, emitter.pixel_nm)
    if right - left >= emitter.pixel_nm * 2**DOUBLINGS:
        raise MishapeError(f"this PSF does not fall to half of its maximum within {right:g} nm: is its unit nm?")
    lateral, near, beyond = _lateral_spectrum(emitter, plane, right - left)
    axial_nm = None if ends is None else ends[1] - ends[0]
    return Resolution(
        lateral_fwhm_nm=right - left,
        axial_fwhm_nm=axial_nm,
        brightest_nm=brightest_nm,
        axial_ends_nm=ends,
        detected_fraction=near + beyond if emitter.has_psf else _fraction_of_images(emitter, plane, right - left),
        detected_fraction_error=TAIL_ERROR * beyond if emitter.has_psf else None,
        lateral=lateral,
        axial=_axial_spectrum(emitter, brightest_nm, axial_nm) if emitter.has_psf and axial_nm else None,
    )


def _on_axis(emitter: LoneEmitter, travel_nm: Points) -> Points:
    return emitter.density(np.zeros(1), travel_nm)[:, 0]


def _axial_ends(emitter: LoneEmitter) -> tuple[float, float] | None:
    start_nm = nominal_travel_nm(emitter.microscope)
    low, high = half_maximum_band(lambda travel: _on_axis(emitter, travel), start_nm, AXIAL_UNIT_NM)
    return (low, high) if high - low < AXIAL_UNIT_NM * 2**DOUBLINGS else None


def nominal_travel_nm(microscope: Any) -> float:
    """Return the travel that brings the world's origin into focus, nm, as the microscope itself says; 0 if it does not.

    `focus_in_sample_nm` is taken as linear: the search for the brightest plane only begins here.
    """
    convert = getattr(microscope, "focus_in_sample_nm", None)
    if convert is None:
        return 0.0
    first, second = (float(z) for z in convert(np.array([0.0, AXIAL_UNIT_NM])))
    return -first * AXIAL_UNIT_NM / (second - first) if second != first and first else 0.0


def _brightest(emitter: LoneEmitter, ends_nm: tuple[float, float]) -> float:
    """Return where the axis is brightest, to half a hundredth of its FWHM."""
    travel = np.linspace(*ends_nm, SAMPLES + 1)
    found = float(travel[int(_on_axis(emitter, travel).argmax())])
    return 0.0 if abs(found) < 1e-6 * (ends_nm[1] - ends_nm[0]) else found


def _lateral_spectrum(emitter: LoneEmitter, plane_nm: Points, fwhm_nm: float) -> tuple[Spectrum, float, float]:
    """Return the Hankel transform of a plane, tapered, and the untapered plane's integral within its radii and beyond.

    A microscope without a PSF is imaged on a field of 16 widths: its OTF is drawn, but its cut-off is not to be seen.
    """
    from scipy.special import j0

    taper_nm = fwhm_nm * (LATERAL_TAPER if emitter.has_psf else 2.0)
    r, weight = _panels(4 * taper_nm, fwhm_nm)
    density = emitter.density(r, plane_nm)[0]
    ring = 2 * math.pi * r * density * weight
    per_nm = np.linspace(0, LATERAL_BAND / fwhm_nm, FREQUENCIES)
    tapered = ring * np.exp(-((r / taper_nm) ** 2) / 2)
    otf = j0(2 * math.pi * np.multiply.outer(per_nm, r)) @ tapered
    return _spectrum(per_nm, otf, LATERAL_LEVEL if emitter.has_psf else 1.0), float(ring.sum()), _beyond(r, density)


def _beyond(r_nm: Points, density: Points) -> float:
    """Return the integral of what lies beyond the last radius, by the power law of the last two thirds.

    A hard-edged pupil's light falls off as r^-3, a soft-edged one's faster.
    """
    share = r_nm / r_nm[-1]
    middle, outer = (
        float(np.mean((density * r_nm**3)[(share > low) & (share <= low + 1 / 3)])) for low in (1 / 3, 2 / 3)
    )
    if outer <= 0:
        return 0.0
    power = math.log(max(middle / outer, 1.0)) / math.log(5 / 3)
    return 2 * math.pi * outer * math.pow(5 / 6, power) / (float(r_nm[-1]) * (1 + power))


def _fraction_of_images(emitter: LoneEmitter, plane_nm: Points, fwhm_nm: float) -> float:
    """Return the light on a field of 16 widths."""
    pixel_nm = max(1.0, 16 * fwhm_nm / FRACTION_PIXELS)
    grid = Grid((1, FRACTION_PIXELS, FRACTION_PIXELS), pixel_nm, planes_nm=(float(plane_nm[0]),))
    return float(emitter.stack(grid).sum(dtype=np.float64))


def _panels(reach_nm: float, fwhm_nm: float) -> tuple[Points, Points]:
    """Return Gauss-Legendre nodes and weights on [0, reach], in panels: half a node per radian of the transform."""
    nodes, weights = legendre(32)
    phase = 2 * math.pi * reach_nm / fwhm_nm * (LATERAL_BAND + 2.5)
    edges = np.linspace(0, reach_nm, math.ceil(phase / 64) + 1)
    half = edges[1] / 2
    middles = edges[:-1] + half
    return (middles[:, None] + half * nodes).ravel(), np.tile(half * weights, len(middles))


def _axial_spectrum(emitter: LoneEmitter, brightest_nm: float, fwhm_nm: float) -> Spectrum:
    """Return the Fourier transform of the light on the axis by a half or a quarter of its FWHM, if that is clearer."""
    found = _axial_spectrum_by(emitter, brightest_nm, fwhm_nm)
    for finer in (2, 4):
        if found.level > CLEAR_LEVEL:
            found = min(found, _axial_spectrum_by(emitter, brightest_nm, fwhm_nm / finer), key=lambda one: one.level)
    return found


def _axial_spectrum_by(emitter: LoneEmitter, brightest_nm: float, width_nm: float) -> Spectrum:
    """Return the Fourier transform of the light on the axis, tapered, from four samples per width."""
    step_nm, taper_nm = width_nm / 4, AXIAL_TAPER * width_nm
    half = math.ceil(3.4 * taper_nm / step_nm)
    travel = step_nm * np.arange(-half, half + 1.0)
    light = _on_axis(emitter, brightest_nm + travel) * np.exp(-((travel / taper_nm) ** 2) / 2)
    per_nm = np.linspace(0, AXIAL_BAND / width_nm, FREQUENCIES)
    return _spectrum(per_nm, np.exp(-2j * math.pi * np.multiply.outer(per_nm, travel)) @ light, AXIAL_LEVEL)


def _spectrum(per_nm: Points, transform: Any, level: float) -> Spectrum:
    magnitude = np.abs(transform) / abs(transform[0])
    level = max(level, 3 * float(magnitude[-len(magnitude) // 7 :].max()))
    found = Spectrum(1000 * per_nm, magnitude, None, level)
    return replace(found, cutoff_per_um=found.ends_per_um(level)) if level < WORST_LEVEL else found
