"""Derivatives of images at a scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def blurred(image: NDArray[Any], scale_px: float) -> NDArray[Any]:
    """Return an image after a Gaussian filter of that standard deviation, mirrored at its edges."""
    return np.asarray(ndimage.gaussian_filter(image, scale_px))


def hessian_eigenvalues(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the smaller and the larger eigenvalue of the second derivatives by central differences, each (H, W)."""
    y, x = np.gradient(image)
    (yy, yx), xx = np.gradient(y), np.gradient(x, axis=1)
    mean, spread = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    return mean - spread, mean + spread
