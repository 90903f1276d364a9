"""The tube that is as long, as thick and as flat as a given shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_ASPECT = 10.0


@dataclass(frozen=True)
class Dimensions:
    """Of a tube with rounded ends.

    Parameters
    ----------
    length_nm
        From tip to tip.
    radius_nm
        Of the circle with the section's area.
    aspect
        Ratio of the section's axes.
    """

    length_nm: float
    radius_nm: float
    aspect: float


def dimensions_like(facts: Mapping[str, Any]) -> Dimensions:
    """Return the dimensions of the tube with a shape's volume, and its length and thickness, or else its surface.

    Parameters
    ----------
    facts
        The shape's line of a library's index. Where that has `length_nm` and `thickness_nm`, which `mishape prepare`
        measures along centre lines, they count: a section's smaller half axis is half the thickness. Else the tube is
        round and has the shape's `area_nm2`.

    Notes
    -----
    A tube of length L and radius r has the volume ``pi r^2 (L - 2 r) + 4/3 pi r^3`` and, if round, the area
    ``2 pi r L``.
    """
    volume = facts["volume_nm3"]
    if facts.get("length_nm") is None or facts.get("thickness_nm") is None:
        radius = _root(lambda r: r * facts["area_nm2"] / 2 - 2 / 3 * math.pi * r**3, volume, facts["area_nm2"])
        return Dimensions(facts["area_nm2"] / (2 * math.pi * radius), radius, 1.0)
    # No tube is shorter than the ball of its volume.
    length = max(facts["length_nm"], (6 * volume / math.pi) ** (1 / 3))
    # A rounding step more, and the tube would be shorter than it is thick.
    radius = min(_root(lambda r: math.pi * r**2 * (length - 2 * r / 3), volume, math.pi * length**2), length / 2)
    flatness = (2 * radius / facts["thickness_nm"]) ** 2
    return Dimensions(length, radius, min(max(flatness, 1.0), MOST_ASPECT))


def _root(volume_of: Any, volume: float, ball_area: float) -> float:
    """Return the radius at which a tube has a volume; at most that of the ball of this area, where it has the most."""
    from scipy.optimize import brentq

    most = math.sqrt(ball_area / (4 * math.pi))
    return float(brentq(lambda r: volume_of(r) - volume, 0.0, most)) if volume_of(most) > volume else most
