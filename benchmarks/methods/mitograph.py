"""MitoGraph: tubes by a multiscale Hessian, then where the gradient of this vesselness converges.

M. P. Viana, S. Lim, S. M. Rafelski, Methods in Cell Biology 125 (2015), doi 10.1016/bs.mcb.2014.10.003; vesselness as
in Frangi et al., MICCAI 1998, doi 10.1007/BFb0056195. Scales, constants and the threshold of 1/6 are the program's own.

Ours differs: it works on one plane, where the original works on stacks (its version 3 puts a plane between empty ones).
So there is one ratio of eigenvalues, not two, and the plane counts as the middle of a stack, in focus: what comes in
from above and below does so fully. The image is stretched to 0 to 255, as there, but not rounded; edges are mirrored,
not cleared; holes are not filled. Scales are pixels, as there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.derivatives import blurred, hessian_eigenvalues
from benchmarks.methods.method import Image, Mask, Segmenter, sized

Field = NDArray[np.float64]
BLOB, STRENGTH = 0.5, 500.0
"""Frangi's constants: how round a line may be, and how strong its second derivatives should be, in grey levels."""
OFF_PLANE = 2
"""Neighbours above and below, whose gradients count as pointing inwards."""
REACH = 2
"""Pixels between where it is judged whether gradients converge and where they are read."""


@dataclass(frozen=True)
class MitoGraph(Segmenter):
    """Places on which the vesselness converges.

    Parameters
    ----------
    scales_px
        Standard deviations of the Gaussian filters.
    threshold
        Convergence above which a pixel is foreground.
    least_px
        Smallest component that is kept.
    """

    scales_px: tuple[float, ...] = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)
    threshold: float = 1 / 6
    least_px: int = 6

    def _mask(self, unit: Image, pixel_nm: float) -> Mask:
        grey = 255 * unit.astype(np.float64)
        vessels = np.max([vesselness(blurred(grey, scale)) for scale in self.scales_px], axis=0)
        return sized(convergence(vessels) > self.threshold, self.least_px)


def vesselness(image: Field) -> Field:
    """Return how much each pixel of an image at one scale is of a bright line, (H, W) from 0 to 1.

    Second derivatives weaker than the root of the strongest count as noise.
    """
    low, high = hessian_eigenvalues(image)
    strength = np.hypot(low, high)
    line = (low < 0) & (low + high < 0) & (strength >= np.sqrt(strength.max()))
    ratio = np.divide(high, low, out=np.zeros_like(low), where=line)
    found = np.exp(-(ratio**2) / (2 * BLOB**2)) * -np.expm1(-(strength**2) / (2 * STRENGTH**2))
    return np.where(line, found, 0.0)


def convergence(vessels: Field) -> Field:
    """Return how far gradients point inwards, (H, W): the mean over six neighbours, of which two lie off the plane.

    It is 1 where all do, and 0 where there is no vesselness.
    """
    slopes = np.gradient(vessels)
    steep = np.hypot(*slopes)
    units = [np.divide(slope, steep, out=np.zeros_like(slope), where=steep > 0) for slope in slopes]
    inwards = sum(_difference(unit, axis) for axis, unit in enumerate(units))
    return np.where(vessels > 0, (OFF_PLANE + inwards) / 6, 0.0)


def _difference(values: Field, axis: int) -> Field:
    """Return the value before each pixel less the value after it, along an axis."""
    wide = np.pad(values, [(REACH, REACH) if along == axis else (0, 0) for along in (0, 1)], mode="edge")
    before, after = np.arange(values.shape[axis]), np.arange(values.shape[axis]) + 2 * REACH
    return np.asarray(wide.take(before, axis) - wide.take(after, axis))
