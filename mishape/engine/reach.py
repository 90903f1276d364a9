"""How far from an emitter its light counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mishape.engine.extent import Extent
from mishape.engine.types import Points

ThroughFocus = Callable[[Points, Points, Points], Points]
"""r, z and planes, nm -> the PSFs on all planes, (planes, z, r)."""

LEVEL = 2e-5
"""Of the PSF's peak: fainter light does not count, if it is also little."""
LIGHT = 1e-3
"""Of a plane's light: what may lie beyond the reach."""
MAX_WIDTHS = 320.0
"""No brightness puts the reach beyond this, in lateral half widths (40 um at NA 1.4)."""
FIRST_WIDTHS = 12.0
STEP_WIDTHS = 0.4


def reach_of(psf: ThroughFocus, extent: Extent, z_nm: Points, planes_nm: Points, light_widths: float) -> float:
    """Return the distance, nm, beyond which light of emitters at these z does not count on any of these planes.

    It holds all but LIGHT of the light, but for that it reaches no further than `light_widths` lateral half widths: a
    widefield's tail in focus holds 1.3 % of the light beyond 45 of them (5.5 um at NA 1.4), 0.5 % beyond 120.
    """
    step_nm, widths = STEP_WIDTHS * extent.lateral_nm, FIRST_WIDTHS
    tables = np.empty((len(planes_nm) * len(z_nm), 0))
    while True:
        further_nm = step_nm * np.arange(tables.shape[1], 1 + _index(widths), dtype=np.float64)
        tables = np.hstack([tables, psf(further_nm, z_nm, planes_nm).reshape(len(tables), -1)])
        r_nm = step_nm * np.arange(tables.shape[1], dtype=np.float64)
        needed = r_nm[1 + max(_last_bright(tables), min(_last_lit(tables, r_nm), _index(light_widths)))]
        if needed <= r_nm[-1] / 2 or widths >= MAX_WIDTHS:
            return float(needed)
        widths = min(2 * widths, MAX_WIDTHS)


def _index(widths: float) -> int:
    return round(widths / STEP_WIDTHS)


def _last_bright(tables: Points) -> int:
    """Return the last radius where the PSF is above its level, but for the end."""
    seen = (tables > LEVEL * tables.max()).any(axis=0)
    return min(int(np.flatnonzero(seen).max(initial=0)), len(seen) - 2)


def _last_lit(tables: Points, r_nm: Points) -> int:
    """Return the last radius beyond which too much light lies: of that within the radii, and of the brightest row."""
    light = np.cumsum(np.abs(tables) * r_nm, axis=1)
    beyond = light[:, -1:] - light
    seen = (beyond > LIGHT * light[:, -1].max()).any(axis=0)
    return int(np.flatnonzero(seen).max(initial=0))
