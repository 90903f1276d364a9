"""Files of pictures: what is in them, and how large their pixels say they are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.inputs import read_stack
from mishape.learn.pictures import PictureError, picture_of

MOST_PIXELS = 1 << 27
"""Of a picture: it is held several times over."""
TIFF = (".tif", ".tiff")
SQUARE = 0.01
"""Relative difference of a pixel's edges below which it is square."""


def read_picture(path: Path) -> tuple[NDArray[np.float32], float | None]:
    """Return a TIFF's or PNG's picture, (H, W) float32, and the size of its pixels, nm, if the file says it.

    Raises
    ------
    MishapeError
        If it cannot be read, is too large, or no picture of square pixels.
    """
    name = f"picture {str(path)!r}"
    if not path.is_file():
        raise PictureError(f"{name} does not exist: give the path of a TIFF or PNG file")
    if path.suffix.lower() not in TIFF:
        return picture_of(_of_other(path), name), None
    stack = read_stack(path)
    height, width = stack.pixel_nm or (0.0, 0.0)
    if abs(height - width) > SQUARE * width:
        raise PictureError(f"{name} has pixels of {height:g} x {width:g} nm: resample it, square ones are expected")
    return picture_of(stack.data, name), width or None


def _of_other(path: Path) -> NDArray[Any]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if math.prod(image.size) > MOST_PIXELS:
                raise PictureError(f"picture {str(path)!r} has more than {MOST_PIXELS} pixels: cut it in parts")
            if image.mode == "P":
                raise PictureError(f"picture {str(path)!r} has a palette of colours: save it as grey")
            return np.asarray(image.getchannel("L") if image.mode == "LA" else image)
    except PictureError:
        raise
    except Exception as error:  # a stranger's file may fail in any way
        raise PictureError(f"picture {str(path)!r} cannot be read: {type(error).__name__}: {error}") from None
