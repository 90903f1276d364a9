"""A mask over the picture that it was found in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mishape.plugins.reports.drawing import grey, outline, shown_range

LARGEST = 2048
"""Edge of an overlay, pixels; larger pictures are shown smaller."""
SMALLEST = 512
"""Edge up to which pictures are shown larger."""
FOUND, MISSED, FALSE = (255, 200, 0), (0, 220, 80), (255, 60, 60)


def overlay(
    picture: NDArray[np.float32], mask: NDArray[np.bool_], true: NDArray[np.bool_] | None = None
) -> Image.Image:
    """Return a picture with a mask's outline; with the true mask also what was missed, green, and what is false, red.

    Parameters
    ----------
    picture
        (H, W).
    mask, true
        (H, W) bool.
    """
    shown = grey(picture, *shown_range(picture))
    if true is not None:
        shown[true & ~mask] = MISSED
        shown[mask & ~true] = FALSE
    times = max(1, SMALLEST // max(shown.shape[:2]))
    larger = np.repeat(np.repeat(shown, times, 0), times, 1)
    if true is None:
        larger[outline(np.repeat(np.repeat(mask, times, 0), times, 1))] = FOUND
    image = Image.fromarray(larger)
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST))
    return image
