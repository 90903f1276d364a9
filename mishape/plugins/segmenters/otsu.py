"""Segmentation by one threshold."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.component import Component, Real
from mishape.engine.needs import needs
from mishape.learn.segment import Segmentation


class Otsu(Component):
    """The threshold that parts a picture's histogram best (Otsu, IEEE Trans. SMC 9, 1979); nothing is learned.

    Chances are 0 and 1.
    """

    kind: Literal["otsu"] = "otsu"
    smooth_px: Real = Field(default=1.0, ge=0, le=100)
    """Standard deviation of a Gaussian filter before it; 0 to 100, default 1."""

    def segment(self, picture: NDArray[np.float32], pixel_nm: float) -> Segmentation:
        """Return what is above the threshold; nothing in a picture that is the same all over."""
        needs("skimage", "em")
        from scipy.ndimage import gaussian_filter
        from skimage.filters import threshold_otsu

        smooth = gaussian_filter(picture, self.smooth_px)
        mask = smooth > threshold_otsu(smooth) if smooth.min() < smooth.max() else np.zeros(picture.shape, bool)
        return Segmentation(mask.astype(np.float32), mask)
