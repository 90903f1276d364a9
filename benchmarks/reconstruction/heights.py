"""How high a shape lies in a stack, and how it leans: what is sharp in which plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from benchmarks.reconstruction.baseline import Counts
from benchmarks.reconstruction.silhouettes import SMOOTHED_PX, Silhouette, background, finer, silhouette
from mishape.engine.scene import View
from mishape.engine.types import Points

LEAST_COUNTS = 3.0
"""Light that is fainter counts as so much."""
STEEPEST = 2.0
"""Slope that is believed, along x and along y."""


@dataclass(frozen=True)
class Height:
    """A plane that a shape lies along.

    Parameters
    ----------
    centre_nm
        (3,) the centre of the light, on the plane.
    slope
        (2,) how much z grows with x and with y.
    """

    centre_nm: Points
    slope: Points

    @property
    def stretch(self) -> float:
        """How much longer the way through a layer along z is than straight through it."""
        return float(np.sqrt(1 + self.slope @ self.slope))

    def z_nm(self, xy_nm: Points) -> Points:
        """Return the plane's z at (n, 2) places."""
        return np.asarray(self.centre_nm[2] + (xy_nm - self.centre_nm[:2]) @ self.slope)


Seen = tuple[Silhouette, Height]
"""An outline and the plane that it lies along."""


def seen_in(counts: Counts, view: View) -> Seen | None:
    """Return an image's outline, and the plane that it lies along; None of an even image."""
    seen = silhouette(counts, view)
    return None if seen is None else (seen, height(counts, view, seen))


def height(counts: Counts, view: View, seen: Silhouette) -> Height:
    """Return the plane through what is seen in an outline; level and in the focus for fewer than three planes.

    The logarithm of the light of a place is taken as a parabola of the planes' focus, whose bend is the same all over
    the outline; its top is the place's height. The plane is fitted to these by the squared light.
    """
    light = seen.light[seen.depth_nm > 0].clip(min=0)
    centre_nm = np.average(seen.xy_nm, axis=0, weights=light)
    if len(counts) < 3:
        return Height(np.array([*centre_nm, seen.focus_nm]), np.zeros(2))
    focus_nm, weights = view.focus_in_sample_nm(), light**2
    _, rise, bend = np.polynomial.polynomial.polyfit(focus_nm, _logarithms(counts, seen), 2)
    sharpness = -2 * float(np.average(bend, weights=weights))
    if sharpness <= 0:
        return Height(np.array([*centre_nm, seen.focus_nm]), np.zeros(2))
    away_nm = np.column_stack([np.ones(len(light)), seen.xy_nm - centre_nm])
    level, *slope = np.linalg.lstsq(away_nm * light[:, None], rise / sharpness * light, rcond=None)[0]
    z_nm = np.clip(level, focus_nm.min(), focus_nm.max())
    return Height(np.array([*centre_nm, z_nm]), np.array(slope).clip(-STEEPEST, STEEPEST))


def _logarithms(counts: Counts, seen: Silhouette) -> Points:
    """Return the logarithms of the light in an outline, (planes, n)."""
    light = counts.astype(np.float64) - background(counts)
    smooth = ndimage.gaussian_filter(light, (0, SMOOTHED_PX, SMOOTHED_PX))
    return np.stack([np.log(finer(plane)[seen.cut][seen.depth_nm > 0].clip(min=LEAST_COUNTS)) for plane in smooth])
