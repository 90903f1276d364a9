"""What an image shows of a shape's outline: the mask of its sharpest plane, on finer pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.methods.otsu import otsu
from benchmarks.reconstruction.baseline import Counts
from mishape.engine.scene import View
from mishape.engine.types import Points
from mishape.learn.solids import euclidean

FINER = 5
"""Parts that a pixel is cut into along each axis."""
ROOM = 4
"""Fine pixels that are kept around an outline."""
SMOOTHED_PX = 1.0
"""Standard deviation of the Gaussian filter before Otsu's threshold: of a shape that fills 1 % of a field, the noise of
the rest would be parted in two."""
Map = NDArray[np.float64]


@dataclass(frozen=True)
class Silhouette:
    """An outline, and the light in it, in the part of the field that holds it.

    Parameters
    ----------
    depth_nm
        (rows, columns) distance to the outline, positive inside.
    light
        (rows, columns) of the plane, less the background.
    cut
        Which of the field's fine pixels these are.
    low_nm
        (2,) x and y of the first fine pixel's centre.
    step_nm
        Size of the fine pixels.
    focus_nm
        World z of the plane.
    """

    depth_nm: Map
    light: Map
    cut: tuple[slice, slice]
    low_nm: Points
    step_nm: float
    focus_nm: float

    @property
    def xy_nm(self) -> Points:
        """Where the fine pixels inside of the outline are, (n, 2)."""
        rows, columns = np.nonzero(self.depth_nm > 0)
        return np.asarray(self.low_nm + self.step_nm * np.stack([columns, rows], axis=1))

    def at(self, values: Map, places_nm: Points) -> Points:
        """Return what a map of fine pixels says at x and y of (n, 3) places, linear between them."""
        columns, rows = (places_nm[:, :2] - self.low_nm).T / self.step_nm
        return np.asarray(ndimage.map_coordinates(values, [rows, columns], order=1, mode="nearest"))


def sharpest(counts: Counts) -> int:
    """Return the number of the plane that has the brightest light."""
    return int(
        ndimage.gaussian_filter(counts.astype(np.float64), (0, SMOOTHED_PX, SMOOTHED_PX)).max(axis=(1, 2)).argmax()
    )


def background(counts: Counts) -> float:
    """Return the counts without light: the median, as a shape fills less than half of its field."""
    return float(np.median(counts))


def silhouette(counts: Counts, view: View) -> Silhouette | None:
    """Return the largest part of what is brighter than Otsu's threshold, its holes filled; None of an even image."""
    number = sharpest(counts)
    plane = counts[number].astype(np.float64) - background(counts)
    if plane.max() == plane.min():
        return None
    _, y, x = view.grid.centers_nm()
    fine = finer(ndimage.gaussian_filter(plane, SMOOTHED_PX))
    parts, _ = ndimage.label(fine > otsu(fine)[0])
    inside = ndimage.binary_fill_holes(parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:])))
    step_nm = view.grid.pixel_nm / FINER
    rows, columns = (
        slice(max(part.start - ROOM, 0), part.stop + ROOM) for part in ndimage.find_objects(inside.astype(int))[0]
    )
    first_nm = np.array([x[0], y[0]]) - (view.grid.pixel_nm - step_nm) / 2
    return Silhouette(
        -euclidean(inside, np.full(2, step_nm))[rows, columns],
        finer(plane)[rows, columns],
        (rows, columns),
        first_nm + step_nm * np.array([columns.start, rows.start]),
        step_nm,
        float(view.focus_in_sample_nm()[number]),
    )


def finer(plane: Map) -> Map:
    """Return a plane on finer pixels, by cubic splines."""
    axes = [(np.arange(FINER * count) - (FINER - 1) / 2) / FINER for count in plane.shape]
    return np.asarray(ndimage.map_coordinates(plane, np.meshgrid(*axes, indexing="ij"), order=3, mode="nearest"))
