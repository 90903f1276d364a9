"""Files of pictures: what is in them, and how large their pixels say they are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
from numpy.typing import NDArray

from mishape.learn.pictures import PictureError, picture_of

MOST_PIXELS = 1 << 28
"""Of a picture: it is held several times over."""
TIFF = (".tif", ".tiff")
NM = {"nm": 1.0, "nanometer": 1.0, "um": 1e3, "µm": 1e3, "micron": 1e3, "micrometer": 1e3, "mm": 1e6, "pm": 1e-3}
"""Units that files name; others say nothing of a microscope's pixels."""


def read_picture(path: Path) -> tuple[NDArray[np.float32], float | None]:
    """Return a TIFF's or PNG's picture, (H, W) float32, and the size of its pixels, nm, if the file says it.

    Raises
    ------
    PictureError
        If it cannot be read, is too large, or no picture.
    """
    if not path.is_file():
        raise PictureError(f"picture {str(path)!r} does not exist: give the path of a TIFF or PNG file")
    try:
        array, pixel_nm = _of_tiff(path) if path.suffix.lower() in TIFF else (_of_other(path), None)
    except PictureError:
        raise
    except Exception as error:  # a stranger's file may fail in any way
        raise PictureError(f"picture {str(path)!r} cannot be read: {type(error).__name__}: {error}") from None
    return picture_of(array, f"picture {str(path)!r}"), pixel_nm


def _of_tiff(path: Path) -> tuple[NDArray[Any], float | None]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        _check_size(series.shape, path)
        if len(file.series) > 1:
            raise PictureError(f"picture {str(path)!r} holds {len(file.series)} series: give a file of one picture")
        return series.asarray(), _pixel_nm(file)


def _of_other(path: Path) -> NDArray[Any]:
    from PIL import Image

    with Image.open(path) as image:
        _check_size((image.height, image.width), path)
        if image.mode == "P":
            raise PictureError(f"picture {str(path)!r} has a palette of colours: save it as grey")
        return np.asarray(image.getchannel("L") if image.mode == "LA" else image)


def _check_size(shape: tuple[int, ...], path: Path) -> None:
    if math.prod(shape) > MOST_PIXELS:
        raise PictureError(f"picture {str(path)!r} has shape {shape}, more than {MOST_PIXELS} pixels: cut it in parts")


def _pixel_nm(file: Any) -> float | None:
    """Return the size of a TIFF's pixels, as OME or ImageJ say it; resolutions for print say nothing."""
    if file.ome_metadata:
        return _ome_nm(file.ome_metadata)
    unit = NM.get(str((file.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ"))
    tag = file.pages[0].tags.get("XResolution")
    if unit is None or tag is None or not tag.value[0]:
        return None
    return unit * float(tag.value[1] / tag.value[0])


def _ome_nm(text: str) -> float | None:
    import tifffile

    try:
        pixels = tifffile.xml2dict(text)["OME"]["Image"]
        pixels = (pixels[0] if isinstance(pixels, list) else pixels)["Pixels"]
        size, unit = float(pixels["PhysicalSizeX"]), str(pixels.get("PhysicalSizeXUnit", "µm"))
    except (KeyError, TypeError, ValueError, ParseError):
        return None
    return size * NM[unit] if unit in NM and size > 0 else None
