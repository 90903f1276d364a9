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
    band_level
        Transfer functions below this fraction of the strongest count as ended.
    detail_level
        Below this fraction they need not be free of the spreading's aliases.
    window
        What spreads the emitters; its band limit is where transfer functions fall below `detail_level`, or further.
    """

    error: float
    rank_error: float
    band_level: float
    detail_level: float
    window: Window


QUALITIES = MappingProxyType(
    {
        "preview": Quality(1e-2, 6e-3, 3e-3, 3e-2, Window(3, 0.40)),
        "standard": Quality(3e-3, 2e-3, 1e-3, 1e-2, Window(4, 0.42)),
        "exact": Quality(1e-3, 3e-4, 2e-4, 2e-3, Window(6, 0.45)),
    }
)
