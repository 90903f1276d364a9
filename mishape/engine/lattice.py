"""One axis of the grids on which a field is imaged: the pixels', and that on which emitters are spread."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mishape.engine.spreading import Window
from mishape.engine.types import Array

TAIL_POINTS = 8
"""Grid points: how much further than its reach light goes by what its spectrum's end makes of it, above 1e-5."""


@dataclass(frozen=True)
class Axis:
    """One axis of both grids, which span the same period.

    The spreading grid has a point on every pixel's centre, so that an image moves with its emitters by whole pixels.

    Parameters
    ----------
    pixels
        Of the field.
    pixel_nm
        A pixel's edge.
    lead
        Pixels of the period before the field's first: emitters there count, and the window's ends have room.
    period
        Pixels of the whole period.
    finer
        Points of the spreading grid per pixel.
    band
        The highest frequency kept, in waves per period.
    """

    pixels: int
    pixel_nm: float
    lead: int
    period: int
    finer: int
    band: int

    @property
    def length_nm(self) -> float:
        """The period."""
        return self.period * self.pixel_nm

    @property
    def points(self) -> int:
        """Of the spreading grid in the period."""
        return self.finer * self.period

    @property
    def lit(self) -> int:
        """How many of them, from the first on, emitters can touch: of a series, some may lie beyond the period."""
        return self.finer * (self.pixels + 2 * self.lead)

    def place(self, nm: Array) -> Array:
        """Return where on the spreading grid a distance from the field's middle lies, in points."""
        return (nm / self.pixel_nm + ((self.pixels - 1) / 2 + self.lead)) * self.finer


def axis_of(
    pixels: int, pixel_nm: float, finer: int, reach_nm: float, beyond_nm: float, end_per_nm: float, window: Window
) -> Axis:
    """Return an axis of the least period that keeps wrapped light out of the field.

    Parameters
    ----------
    reach_nm
        How far an emitter's light counts.
    beyond_nm
        How far outside the field emitters may lie.
    end_per_nm
        Where the transfer functions end.
    """
    lead = math.ceil(0.5 + beyond_nm / pixel_nm + window.width / 2 / finer)
    # An emitter at the far end must not reach round to the first pixel.
    period = pixels + math.ceil((beyond_nm + reach_nm) / pixel_nm + TAIL_POINTS / finer)
    return _banded(Axis(pixels, pixel_nm, lead, period, finer, 1), end_per_nm)


def for_fft(axis: Axis, end_per_nm: float) -> Axis:
    """Return an axis whose period a fast Fourier transform likes, and which holds all that emitters can touch."""
    from scipy.fft import next_fast_len

    period = next_fast_len(max(axis.period, axis.pixels + 2 * axis.lead), real=True)
    return _banded(replace(axis, period=period), end_per_nm)


def _banded(axis: Axis, end_per_nm: float) -> Axis:
    return replace(axis, band=max(1, min(math.ceil(end_per_nm * axis.length_nm), (axis.points - 1) // 2)))
