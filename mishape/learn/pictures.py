"""Pictures that are segmented: what is one, and how bright it is made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import MishapeError

DARK, BRIGHT = 1.0, 99.8
"""Percentiles of a picture that become 0 and 1."""


class PictureError(MishapeError):
    """A picture cannot be segmented."""


def picture_of(array: NDArray[Any], name: str = "picture") -> NDArray[np.float32]:
    """Return an array as one picture, (H, W) float32: axes of length 1 in front are left out.

    Raises
    ------
    PictureError
        If it has colours or planes, holds nothing, or what is no number.
    """
    shape = array.shape
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[2] in (3, 4):
        raise PictureError(f"{name} has colours, shape {shape}: give one channel, as (rows, columns)")
    if array.ndim != 2:
        raise PictureError(f"{name} has shape {shape}: a picture is (rows, columns); of a stack give one plane")
    if array.size == 0 or array.dtype.kind not in "buif":
        raise PictureError(f"{name} has shape {shape} of {array.dtype}: numbers are expected")
    picture = array.astype(np.float32)
    if not np.isfinite(picture).all():
        count = int((~np.isfinite(picture)).sum())
        raise PictureError(f"{name} has {count} pixel(s) that are no number (NaN, infinite): replace them first")
    return picture


def normalised(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture whose percentiles 1 and 99.8 are 0 and 1; one that is the same all over becomes 0."""
    dark, bright = np.percentile(picture, (DARK, BRIGHT))
    if bright <= dark:
        return np.zeros_like(picture)
    return np.asarray((picture - dark) / (bright - dark), np.float32)


def fitted_shape(shape: tuple[int, ...], factor: float) -> tuple[int, ...]:
    """Return the shape of a picture whose pixels are made smaller by a factor."""
    return tuple(max(1, round(edge * factor)) for edge in shape)


def resized(picture: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a picture of the same field with other pixels: linear between those given, their mean where it shrinks."""
    if picture.shape == shape:
        return picture
    from PIL import Image

    # Pillow's bilinear filter widens with the step, so that no pixel is passed over.
    rows, columns = shape
    return np.asarray(Image.fromarray(picture, "F").resize((columns, rows), Image.Resampling.BILINEAR), np.float32)
