"""Mitometer: a diffuse background taken off, a slight Gaussian filter, and a threshold.

A. E. Y. T. Lefebvre, D. Ma, K. Kessenbrock, D. A. Lawson, M. A. Digman, Nature Methods 18 (2021),
doi 10.1038/s41592-021-01234-z. The background of a pixel is the smallest of its own value and the medians of discs of
all radii from 0.3 to 1 um; Otsu's threshold is used where it explains more than 80 % of the variance; elsewhere
thresholds and filters are searched; components from 0.3 to 200 um2 are kept.

Ours differs: the original searches for the threshold and filter that give much the same number and areas of components
in all images of a time series, and many components. In one image nothing varies over time, so what is left is the
largest number of components of the sizes kept. Images are stretched to 8 bits, which the original does to 16-bit ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import rank
from skimage.morphology import disk

from benchmarks.methods.method import NEIGHBOURS, Image, Mask, Segmenter, sized
from benchmarks.methods.otsu import otsu

Grey = NDArray[np.uint8]
SIGMAS_PX = np.arange(0.33, 0.505, 0.01)
"""Standard deviations of Gaussian filters of 3 x 3 pixels: no effect below, no longer a Gaussian above."""
LEAST_GREY = 2
"""Lowest grey level that is tried as a threshold."""


@dataclass(frozen=True)
class Mitometer(Segmenter):
    """What stands out of its surroundings by more than a threshold.

    Parameters
    ----------
    radii_nm
        Smallest and largest radius of the discs.
    areas_um2
        Smallest and largest area of the components that are kept.
    effective
        Otsu's effectiveness from which on his threshold is taken.
    """

    radii_nm: tuple[float, float] = (300.0, 1000.0)
    areas_um2: tuple[float, float] = (0.3, 200.0)
    effective: float = 0.8

    def _mask(self, unit: Image, pixel_nm: float) -> Mask:
        grey = np.round(255 * unit).astype(np.uint8)
        clear = grey - background(grey, *(radius / pixel_nm for radius in self.radii_nm))
        least, most = (area * (1000 / pixel_nm) ** 2 for area in self.areas_um2)
        if clear.max() == clear.min():
            return np.zeros(clear.shape, bool)
        sigma_px, threshold = _best(clear, [*self._thresholds(clear)], least, most)
        return sized(smoothed(clear, sigma_px) > threshold, least, most)

    def _thresholds(self, clear: Grey) -> Iterator[float]:
        threshold, effectiveness = otsu(clear)
        if effectiveness > self.effective:
            yield threshold
        else:
            yield from range(LEAST_GREY, max(LEAST_GREY, int(np.quantile(clear[clear > 0], 0.8))) + 1)


def background(grey: Grey, least_px: float, most_px: float) -> Grey:
    """Return the smallest of each pixel's value and the medians of discs around it, radii in steps of a pixel."""
    first = round(max(2.0, least_px))
    found = grey
    for radius in range(first, max(first, round(most_px)) + 1):
        mirrored = np.pad(grey, radius, mode="symmetric")
        median = rank.median(mirrored, disk(radius))[radius:-radius, radius:-radius]
        found = np.minimum(found, median)
    return found


def smoothed(clear: Grey, sigma_px: float) -> NDArray[np.float32]:
    """Return an image after a Gaussian filter of 3 x 3 pixels."""
    return np.asarray(ndimage.gaussian_filter(clear.astype(np.float32), sigma_px, radius=1))


def _best(clear: Grey, thresholds: list[float], least_px: float, most_px: float) -> tuple[float, float]:
    """Return the filter and the threshold that give most components of those sizes, without outliers."""
    filters = [smoothed(clear, sigma_px) for sigma_px in SIGMAS_PX]
    masks = (sized(image > level, least_px, most_px) for image, level in product(filters, thresholds))
    counts = [ndimage.label(mask, NEIGHBOURS)[1] for mask in masks]
    steady = ndimage.median_filter(np.reshape(counts, (len(filters), len(thresholds))), 3)
    i, j = (int(np.median(places)) for places in np.nonzero(steady == steady.max()))
    return float(SIGMAS_PX[i]), float(thresholds[j])
