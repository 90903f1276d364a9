"""The one bead of a stack: where it is, and how bright in each plane."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import MishapeError
from mishape.engine.types import Points
from mishape.plugins.microscopes.bead_checks import (
    END_BRIGHTNESS,
    MAX_RADIUS_PX,
    distances_px,
    refuse_cut_off,
    refuse_no_stack,
    refuse_out_of_focus,
    refuse_saturated,
    to_border_px,
)

MIN_SIGNAL = 10.0
"""Height of the bead above the background, in standard deviations of the slightly smoothed noise."""
NEIGHBOUR = 0.1
"""Another spot of this fraction of the bead's height is taken for another bead."""
FWHM_PER_SIGMA = 2.3548  # 2 sqrt(2 ln 2), of a Gaussian
_SMOOTHED_NOISE = 1 / np.sqrt(4 * np.pi)
"""Standard deviation of white noise after a Gaussian filter of 1 px."""


@dataclass(frozen=True)
class Bead:
    """A bead in its stack.

    Parameters
    ----------
    light
        (Z, Y, X) counts without background, around the bead.
    corner_px
        Row and column of its first pixel in the stack.
    center_px
        Row and column of the bead's axis in `light`, found in the planes near the focus together.
    fwhm_px
        Rough full width at half maximum in focus.
    brightness
        (Z,) counts in a window of the spot's width, relative to the brightest plane.
    focus
        Number of the plane of focus, between planes too.
    noise
        Standard deviation of a pixel in the background, counts.
    """

    light: Points
    corner_px: tuple[int, int]
    center_px: tuple[float, float]
    fwhm_px: float
    brightness: Points
    focus: float
    noise: float

    @property
    def radius_px(self) -> float:
        """Radius of the largest circle around the bead that the image holds whole."""
        return min(to_border_px(self.center_px, self.light.shape), float(MAX_RADIUS_PX))

    def distances_px(self) -> Points:
        """Return each pixel's distance from the bead's axis, (Y, X)."""
        return distances_px(self.center_px, self.light.shape)

    @property
    def in_focus(self) -> NDArray[np.bool_]:
        """Tell which planes are brighter than half of the brightest."""
        return self.brightness >= END_BRIGHTNESS


def find_bead(counts: Points, background: float | None, saturated_at: float | None) -> Bead:
    """Return the bead of a stack.

    Parameters
    ----------
    counts
        (Z, Y, X) as recorded.
    background
        Counts without light; estimated if None.
    saturated_at
        Counts at which the camera saturates; not looked for if None.

    Raises
    ------
    MishapeError
        If there is no bead, or if it is saturated, cut off, or not in focus within the stack.
    """
    from scipy.ndimage import gaussian_filter

    refuse_no_stack(counts)
    smooth = gaussian_filter(counts, (0, 1, 1))
    level, noise = float(np.median(counts)), _noise(counts)
    plane, row, column = _brightest(smooth)
    height = float(smooth[plane, row, column]) - level
    if np.ptp(counts) == 0 or height <= MIN_SIGNAL * _SMOOTHED_NOISE * noise:
        raise MishapeError(
            f"no bead stands out: the brightest spot is {height:.3g} counts above a background with noise {noise:.3g}; "
            "record a brighter bead, or longer"
        )
    fwhm = _rough_fwhm(smooth[plane] - level, (row, column))
    refuse_saturated(counts, (row, column), fwhm, saturated_at)
    refuse_cut_off((row, column), counts.shape, fwhm)
    center, brightness = _center(counts - level, (float(row), float(column)), fwhm)
    refuse_out_of_focus(brightness)
    corner = (max(0, int(center[0]) - MAX_RADIUS_PX), max(0, int(center[1]) - MAX_RADIUS_PX))
    near = (slice(None), *(slice(low, low + 2 * MAX_RADIUS_PX + 2) for low in corner))
    inside = (center[0] - corner[0], center[1] - corner[1])
    bead = Bead(counts[near], corner, inside, fwhm, brightness, _focus(brightness), noise)
    return replace(bead, light=bead.light - (_background(bead) if background is None else background))


def _brightest(light: Points) -> tuple[int, int, int]:
    plane, row, column = np.unravel_index(np.argmax(light), light.shape)
    return int(plane), int(row), int(column)


def _noise(counts: Points) -> float:
    """Return the noise of most rows of pixels, from the differences of neighbours: few rows cross the bead."""
    return float(np.sqrt(np.median((np.diff(counts, axis=2) ** 2).mean(axis=2) / 2)))


def _rough_fwhm(plane: Points, place: tuple[int, int]) -> float:
    """Return the spot's width from the area above half of its height, without the Gaussian filter of 1 px."""
    from scipy.ndimage import label

    spots, _ = label(plane >= plane[place] / 2)
    diameter = 2 * np.sqrt((spots == spots[place]).sum() / np.pi)
    return float(np.sqrt(max(diameter**2 - FWHM_PER_SIGMA**2, 1.0)))


def _center(light: Points, start: tuple[float, float], fwhm: float) -> tuple[tuple[float, float], Points]:
    """Return the bead's axis and its brightness by plane.

    The centroid under a Gaussian window is moved to itself: for a spot with a centre of symmetry the fixed point is
    that centre, and far pixels' noise does not count.
    """
    center = np.array(start)
    rows, columns = np.arange(light.shape[1]), np.arange(light.shape[2])
    brightness = _brightness(light, center, fwhm)
    for _ in range(100):
        near = light[brightness >= END_BRIGHTNESS]
        weighted = near.mean(axis=0) * _window(center, light.shape, fwhm)
        moments = np.array([rows @ weighted.sum(axis=1), weighted.sum(axis=0) @ columns])
        shift = moments / weighted.sum() - center
        center = center + shift
        brightness = _brightness(light, center, fwhm)
        if np.abs(shift).max() < 1e-5:
            break
    return (float(center[0]), float(center[1])), brightness


def _brightness(light: Points, center: Points, fwhm: float) -> Points:
    sums = np.einsum("zyx,yx->z", light, _window(center, light.shape, fwhm))
    return np.asarray(sums / sums.max())


def _window(center: Points, shape: tuple[int, ...], fwhm: float) -> Points:
    return np.asarray(np.exp(-0.5 * (distances_px((center[0], center[1]), shape) * FWHM_PER_SIGMA / fwhm) ** 2))


def _focus(brightness: Points) -> float:
    """Return the top of a polynomial through the bright planes, in planes."""
    best = int(np.argmax(brightness))
    bright = np.flatnonzero(brightness >= END_BRIGHTNESS)
    near = np.arange(min(bright[0], best - 1), max(bright[-1], best + 1) + 1)
    top = np.polynomial.Polynomial.fit(near, brightness[near], min(4, len(near) - 1))
    place = np.linspace(best - 1, best + 1, 2001)
    return float(place[np.argmax(top(place))])


def _background(bead: Bead) -> float:
    """Return the constant under an r^-3 tail, in the outer half of the planes near the focus."""
    r = bead.distances_px()
    outer = r >= bead.radius_px / 2
    design = np.stack([np.ones(outer.sum()), r[outer] ** -3], axis=1)
    mean = bead.light[bead.in_focus].mean(axis=0)[outer]
    return float(np.linalg.lstsq(design, mean)[0][0])


def refuse_neighbours(bead: Bead) -> None:
    """Refuse another spot of NEIGHBOUR of the bead's height, in any plane, two widths away or more.

    Raises
    ------
    MishapeError
        That says where the spot is.
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(bead.light, (0, 1, 1))
    limit = max(NEIGHBOUR * float(smooth[_brightest(smooth)]), 6 * _SMOOTHED_NOISE * bead.noise)
    others = np.where(bead.distances_px() > 2 * bead.fwhm_px, smooth, -np.inf)
    place = plane, row, column = _brightest(others)
    if others[place] > limit:
        (top, left), center = bead.corner_px, bead.center_px
        raise MishapeError(
            f"there is more than one bead: one at row {top + center[0]:.0f}, column {left + center[1]:.0f}, another at "
            f"row {top + row}, column {left + column}, plane {plane + 1}; crop the stack to one bead"
        )
