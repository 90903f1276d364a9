"""How exact an image is asked to be, and what that means for each part of the imaging."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from mishape.engine.spreading import Window

QualityName = Literal["preview", "standard", "exact"]


@dataclass(frozen=True)
class Quality:
    """A requested error and how the parts of the imaging share it.

    Parameters
    ----------
    error
        Of the peak: what an image may differ from the exact sum.
    rank_error
        Largest error of the low-rank PSF at any z, as a fraction of its peak over the planes.
    band_error
        The same for what the ends of its transfer functions are to it.
    detail_level
        Transfer functions below this fraction of the strongest need not be free of the spreading's aliases ...
    detail_limit
        ... which they are up to this many cycles per grid point: it says how fine the grid must be.
    window
        What spreads the emitters.
    reach_widths
        Lateral half widths within which all light counts; what lies further away counts while it is bright.
    """

    error: float
    rank_error: float
    band_error: float
    detail_level: float
    detail_limit: float
    window: Window
    reach_widths: float


QUALITIES = MappingProxyType(
    {
        "preview": Quality(1e-2, 6e-3, 3e-3, 1e-2, 0.42, Window(4, 0.35), 45.0),
        "standard": Quality(3e-3, 2e-3, 1e-3, 1e-2, 0.42, Window(4, 0.35), 45.0),
        "exact": Quality(1e-3, 3e-4, 2e-4, 2e-3, 0.45, Window(6, 0.40), 120.0),
    }
)
"""By name. The numbers were chosen by the errors of lone emitters and of tubes through the presets' microscopes."""
