"""What makes a stack unfit for a PSF, as far as its pixels say so before anything is fitted."""

from __future__ import annotations

import numpy as np

from mishape.engine.errors import MishapeError
from mishape.engine.types import Points

MIN_PLANES = 5
MIN_SIDE_PX = 16
MAX_VOXELS = 1 << 25
"""Of a stack; working on it takes several times its size."""
MIN_RADIUS = 6.0
"""Distance from the bead to the image's border, in full widths of the spot at half maximum. Beyond it falls a twentieth
of the light of a diffraction-limited spot in focus: the PSF is then within 2 % of the truth in focus, and within 15 %
600 nm from it (measured without noise at NA 1.2 in water and 1.4 in oil)."""
END_BRIGHTNESS = 0.5
"""The bead must fall below this fraction of its highest brightness at both ends of the stack."""
MAX_RADIUS_PX = 128
"""Pixels further from the bead than this are not looked at: an r^-3 tail has ended in any camera's noise there."""


def refuse_no_stack(counts: Points) -> None:
    """Refuse what is no stack of a fit size, or not finite."""
    planes, rows, columns = counts.shape
    if planes < MIN_PLANES:
        raise MishapeError(f"{planes} plane(s) given: a PSF needs a stack of at least {MIN_PLANES} through the focus")
    if min(rows, columns) < MIN_SIDE_PX or counts.size > MAX_VOXELS:
        raise MishapeError(
            f"the stack is {planes} x {rows} x {columns} pixels: crop it to one bead in the middle of at least "
            f"{MIN_SIDE_PX}, better 64 to {2 * MAX_RADIUS_PX} pixels a side"
        )
    if not np.isfinite(counts).all():
        raise MishapeError("the stack holds NaN or infinity: save it as the camera recorded it")


def refuse_saturated(counts: Points, place: tuple[int, int], fwhm: float, limit: float | None) -> None:
    """Refuse a bead with pixels at the limit."""
    near = counts[:, distances_px(place, counts.shape) <= 2 * fwhm]
    full = 0 if limit is None else int((near >= limit).sum())
    if full:
        raise MishapeError(
            f"the bead is saturated: {full} of its pixels are at {limit:g}, the largest value that can be held: "
            "record with less light or a shorter exposure, and save without stretching the contrast"
        )


def refuse_cut_off(place: tuple[int, int], shape: tuple[int, ...], fwhm: float) -> None:
    """Refuse a bead too near to the border, or a field too small for any."""
    needed = MIN_RADIUS * fwhm
    if min(shape[1:]) / 2 < needed:
        raise MishapeError(
            f"the field is too small: {shape[1]} x {shape[2]} pixels around a spot {fwhm:.1f} px wide leave too much "
            f"of its light outside; keep at least {2 * needed:.0f} x {2 * needed:.0f}, better twice that"
        )
    if to_border_px(place, shape) < needed:
        raise MishapeError(
            f"the bead is cut off: it is {to_border_px(place, shape):.1f} px from the border, at row {place[0]}, "
            f"column {place[1]}; choose a bead at least {needed:.0f} px from every border"
        )


def refuse_out_of_focus(brightness: Points) -> None:
    """Refuse a bead that is not out of focus at both ends of the stack and in focus once between."""
    for number, where in ((0, "first"), (len(brightness) - 1, "last")):
        if brightness[number] > END_BRIGHTNESS:
            raise MishapeError(
                f"the stack does not go through the focus: in its {where} plane the bead still has "
                f"{100 * brightness[number]:.0f} % of its highest brightness; record from well below to well above"
            )
    bright = np.flatnonzero(brightness >= END_BRIGHTNESS)
    if np.ptp(bright) >= len(bright):
        raise MishapeError(
            f"the bead comes into focus twice between planes {bright[0] + 1} and {bright[-1] + 1}: are there two beads "
            "above each other, or did the light flicker? Choose another bead"
        )


def distances_px(center: tuple[float, float], shape: tuple[int, ...]) -> Points:
    """Return each pixel's distance from a row and column, (Y, X)."""
    rows, columns = np.arange(shape[-2]) - center[0], np.arange(shape[-1]) - center[1]
    return np.asarray(np.hypot(rows[:, None], columns))


def to_border_px(center: tuple[float, float], shape: tuple[int, ...]) -> float:
    """Return the distance from a place to the nearest outer edge of a pixel at the border."""
    row, column = center
    return min(row, column, shape[-2] - 1 - row, shape[-1] - 1 - column) + 0.5
