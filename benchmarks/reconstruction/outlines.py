"""Solids from an image's outline alone: as high everywhere, or as high as wide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.reconstruction.baseline import Baseline, Calibrated, Counts
from benchmarks.reconstruction.fields import solid
from benchmarks.reconstruction.heights import Height, Seen, seen_in
from benchmarks.reconstruction.silhouettes import Map, Silhouette
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.engine.types import Points
from mishape.learn.extract import Told
from mishape.learn.lit import Posed

HEIGHT_NM = 500.0
"""Of the extruded outline."""
LEAST_NM = 60.0
"""Radius that erosion leaves at least."""


class ExtrudedSilhouette(Baseline):
    """Otsu's mask of the sharpest plane, 500 nm high, the focus in its middle."""

    name = "extruded silhouette"

    def __call__(self, counts: Counts, view: View, posed: Posed | None = None) -> SampledField | None:
        seen = seen_in(counts, view)
        if seen is None:
            return None
        outline, plane = seen
        level = Height(plane.centre_nm, np.zeros(2))

        def told(places_nm: Points) -> Points:
            above_nm = np.abs(places_nm[:, 2] - level.centre_nm[2]) - HEIGHT_NM / 2
            return np.asarray(np.maximum(above_nm, -outline.at(outline.depth_nm, places_nm)))

        return _along(outline, level, told, HEIGHT_NM / 2)


@dataclass(frozen=True)
class CircularInflation(Calibrated):
    """Otsu's mask of the sharpest plane, eroded, and inflated: the balls around its points that just fit into it.

    The sections of a tube come out circular; in a stack it leans as the light does. The number is that of nm that are
    eroded.
    """

    name = "Otsu + circular inflation"
    amounts = (0.0, 25.0, 50.0, 75.0, 100.0, 125.0, 150.0, 175.0, 200.0)
    amount: float = 80.0

    def seen(self, counts: Counts, view: View) -> Seen | None:
        return seen_in(counts, view)

    def solid(self, seen: Seen | None, view: View) -> SampledField | None:
        if seen is None:
            return None
        outline, plane = seen
        # Of a small shape that would be eroded away its innermost part is left.
        radius_nm = outline.depth_nm - min(self.amount, float(outline.depth_nm.max()) - LEAST_NM)
        height_nm2 = inflated(np.where(radius_nm > 0, radius_nm**2, -np.inf), outline.step_nm)

        def told(places_nm: Points) -> Points:
            above_nm = (places_nm[:, 2] - plane.z_nm(places_nm[:, :2])) / plane.stretch
            return np.asarray(above_nm**2 - outline.at(height_nm2, places_nm))

        return _along(outline, plane, told, float(radius_nm.max()) * plane.stretch)


def inflated(radius_nm2: Map, step_nm: float) -> Map:
    """Return how high the union of balls is, squared: the maximum over all points p of ``r_p^2 - |x - p|^2``.

    The parabolas part into one axis after the other, as in distance transforms (Felzenszwalb & Huttenlocher, Theory of
    Computing 8, 2012).

    Parameters
    ----------
    radius_nm2
        (rows, columns) squared radius of the ball about each point; minus infinity where there is none.
    step_nm
        Between the points.
    """
    for axis in (0, 1):
        count = radius_nm2.shape[axis]
        apart_nm2 = (step_nm * np.subtract.outer(np.arange(count), np.arange(count))) ** 2
        lines = np.moveaxis(radius_nm2, axis, -1)
        found = np.stack([(lines - row).max(axis=-1) for row in apart_nm2], axis=-1)
        radius_nm2 = np.moveaxis(found, -1, axis)
    return radius_nm2


def _along(outline: Silhouette, plane: Height, told: Told, half_nm: float) -> SampledField | None:
    """Return a solid about a plane, in the box of what is inside of an outline."""
    places_nm = np.column_stack([outline.xy_nm, plane.z_nm(outline.xy_nm)])
    height_nm = np.array([0.0, 0.0, half_nm])
    return solid(told, places_nm.min(axis=0) - height_nm, places_nm.max(axis=0) + height_nm)
