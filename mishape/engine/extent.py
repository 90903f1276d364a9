"""How far light spreads, measured from a microscope itself: the widths of its response at half of the maximum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mishape.engine.errors import MishapeError
from mishape.engine.types import Points

PSF = Callable[[Points, Points, float], Points]
SAMPLES, FIRST_SAMPLES = 200, 24
"""Places over a range: those that tell the band's ends, and those that tell whether the range holds it."""
DOUBLINGS = 16


@dataclass(frozen=True)
class Extent:
    """A PSF's half width at half maximum where it is sharp, and the axial range above half maximum, nm."""

    lateral_nm: float
    axial_nm: float
    """Half of that range."""
    shift_nm: float
    """How far its middle lies from the plane: spherical aberration moves it."""


def extent_of(psf: PSF, focus_nm: float, unit_nm: float) -> Extent:
    """Measure a PSF around its brightest point.

    Parameters
    ----------
    psf
        ``psf(r_nm, z_nm, focus_nm)`` as in `PSFMicroscope`.
    focus_nm
        The plane.
    unit_nm
        A length to begin the search with; a pixel will do.

    Raises
    ------
    MishapeError
        If the PSF has no width: it does not fall off sideways, or is not finite. It may be the same at all z.
    """
    # The brightest radius, not the axis: a PSF may be dark on its axis.
    radii = unit_nm * np.concatenate([[0.0], np.geomspace(1 / 32, 16, 19)])
    low, high = half_maximum_band(lambda z: psf(radii, z, focus_nm).max(axis=1), focus_nm, unit_nm)
    middle = np.array([(low + high) / 2])
    left, right = half_maximum_band(lambda r: psf(np.abs(r), middle, focus_nm)[0], 0.0, unit_nm)
    if right - left >= unit_nm * 2**DOUBLINGS:
        raise MishapeError(f"this PSF does not fall to half of its maximum within {right:g} nm: is its unit nm?")
    return Extent((right - left) / 2, (high - low) / 2, float(middle[0]) - focus_nm)


def half_maximum_band(response: Callable[[Points], Points], center_nm: float, unit_nm: float) -> tuple[float, float]:
    """Return the ends of the range around a centre in which a response is at least half of its maximum.

    The range searched doubles from `unit_nm` until both its ends are below half; a response that stays above half
    over 2^16 units has the whole range as its band.
    """
    half_width = unit_nm
    for _ in range(DOUBLINGS):
        found = None
        for samples in (FIRST_SAMPLES, SAMPLES):
            place = center_nm + half_width * np.linspace(-1, 1, samples + 1)
            found = _band(place, response(place))
            if found is None:
                break
        if found is not None:
            return found
        half_width *= 2
    return center_nm - half_width, center_nm + half_width


def _band(place: Points, values: Points) -> tuple[float, float] | None:
    """Return where values cross half of their maximum, outermost; nothing if that is beyond the places."""
    half = values.max() / 2
    if half <= 0:
        raise MishapeError("this PSF is nowhere above 0: return photon fractions per nm^2")
    above = np.flatnonzero(values >= half)
    first, last = above[0], above[-1]
    if first == 0 or last == len(place) - 1:
        return None
    low = np.interp(half, values[[first - 1, first]], place[[first - 1, first]])
    high = np.interp(-half, -values[[last, last + 1]], place[[last, last + 1]])
    return float(low), float(high)
