"""Small things to draw with: grey levels, colours of instances, outlines, text, scale bars."""

from __future__ import annotations

import base64
import io
import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
"""(rows, columns, 3) sRGB."""
Mask = NDArray[np.bool_]
Colour = tuple[int, int, int]

ORANGE: Colour = (255, 140, 26)
CYAN: Colour = (0, 190, 255)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
PAPER: Colour = (246, 246, 248)
FRAME: Colour = (255, 221, 64)
"""Around what another panel shows zoomed, and around that panel."""
INSTANCES: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Told apart by colour-blind readers too (Okabe & Ito 2008)."""
BAR_HEIGHT_PX, BAR_TEXT_PX, BAR_CAPITAL_PX = 4, 16, 12
VEIL = 0.65


def grey(image: NDArray[Any], low: float, high: float) -> Picture:
    """Show (rows, columns) values from `low` (black) to `high` (white)."""
    span = high - low if high > low else 1.0
    level = np.rint(np.clip((image - low) / span, 0, 1) * 255).astype(np.uint8)
    return np.repeat(level[..., None], 3, axis=-1)


def shown_range(values: NDArray[Any]) -> tuple[float, float]:
    """Return the 0.1 and 99.9 percentiles; where they hide a few bright pixels on a flat ground, the extremes."""
    low, high = np.percentile(values, [0.1, 99.9])
    return (float(low), float(high)) if high > low else (float(values.min()), float(values.max()))


def instance_colours(labels: NDArray[Any]) -> Picture:
    """Show (rows, columns) labels: 0 black, a mask of ones white, else each number's colour."""
    palette = np.array([WHITE] if labels.max(initial=0) <= 1 else INSTANCES, dtype=np.uint8)
    return np.where(labels[..., None] > 0, palette[(labels.astype(np.int64) - 1) % len(palette)], np.uint8(0))


def outline(mask: Mask) -> Mask:
    """Return the pixels of a mask that touch its outside; where it leaves the picture it stays open."""
    padded = np.pad(mask, 1, mode="edge")
    whole = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~whole)


def resized(
    picture: Picture,
    rows: int,
    columns: int,
    smooth: bool = False,
    box: tuple[float, float, float, float] | None = None,
) -> Picture:
    """Return a picture, or its part (left, top, right, bottom), of another size.

    Pixels stay squares when it grows and are averaged when it shrinks.
    """
    left, top, right, bottom = box or (0, 0, picture.shape[1], picture.shape[0])
    shrinks = rows < bottom - top or columns < right - left
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize((columns, rows), method, (left, top, right, bottom)))


def round_length_nm(most_nm: float) -> float:
    """Return the longest of 1, 2 or 5 times a power of ten that is not above `most_nm`."""
    decade = 10.0 ** math.floor(math.log10(most_nm) + 1e-9)
    return max(step * decade for step in (1, 2, 5) if step * decade <= most_nm * (1 + 1e-9))


def length_text(length_nm: float) -> str:
    """Return a length in the unit that reads best."""
    return f"{length_nm / 1000:g} µm" if length_nm >= 1000 else f"{length_nm:g} nm"


@cache
def font(size_px: int) -> Any:
    """Return the font that comes with pillow: the same picture on every machine."""
    return ImageFont.load_default(size=size_px)


def text_width(text: str, size_px: int) -> int:
    """Return the width of a line of text, pixels."""
    return int(np.ceil(font(size_px).getlength(text.replace("µ", "u"))))


def write(draw: Any, left: int, base: int, text: str, size_px: int, colour: Colour = BLACK) -> None:
    """Write a line of text on a base line. The font has no micro sign: a u gets its stem."""
    draw.text((left, base), text.replace("µ", "u"), fill=colour, font=font(size_px), anchor="ls")
    for position in (i for i, letter in enumerate(text) if letter == "µ"):
        stem = left + text_width(text[:position], size_px) + round(size_px * 0.06)
        draw.line([(stem, base - size_px // 4), (stem, base + round(size_px * 0.2))], fill=colour)


def with_frame(picture: Picture, left: float, top: float, right: float, bottom: float) -> Picture:
    """Draw a thin frame around a part of a picture, or along its edges."""
    image = Image.fromarray(picture)
    x0, y0 = round(max(left, 0)), round(max(top, 0))
    x1, y1 = round(min(right, image.width)) - 1, round(min(bottom, image.height)) - 1
    ImageDraw.Draw(image).rectangle((x0, y0, max(x1, x0), max(y1, y0)), outline=FRAME)
    return np.asarray(image)


def with_scale_bar(picture: Picture, nm_per_px: float, on_paper: bool = False) -> Picture:
    """Draw a bar of a round length, at most 20 % of the width, with its label, into the lower right corner."""
    rows, columns = picture.shape[:2]
    length_nm = round_length_nm(max(0.2 * columns, 1.0) * nm_per_px)
    length_px, edge, size = max(1, round(length_nm / nm_per_px)), min(8, rows // 8), BAR_TEXT_PX
    ink, ground = (BLACK, PAPER) if on_paper else (WHITE, BLACK)
    right, bottom = columns - edge - 1, rows - edge - 1
    bar = (right - length_px + 1, bottom - BAR_HEIGHT_PX + 1, right, bottom)
    label = length_text(length_nm)
    wide = text_width(label, size)
    left, base = bar[0] - wide - 6, bottom
    if left < 0:  # too narrow for both side by side
        left, base = right - wide, bar[1] - 5
    fits = left >= 0 and base >= size
    first, highest = (min(left, bar[0]), base - BAR_CAPITAL_PX) if fits else bar[:2]
    image = Image.fromarray(_veiled(picture, (first - 5, highest - 5, right + 6, bottom + 6), ground))
    draw = ImageDraw.Draw(image)
    draw.rectangle(bar, fill=ink)
    if fits:
        write(draw, left, base, label, size, ink)
    return np.asarray(image)


def _veiled(picture: Picture, box: tuple[int, int, int, int], ground: Colour) -> Picture:
    """Lay a translucent ground over a box, so that what is written on it is legible over anything."""
    left, top, right, bottom = (max(0, end) for end in box)
    veiled, part = picture.copy(), np.s_[top:bottom, left:right]
    veiled[part] = np.rint(picture[part] * (1 - VEIL) + np.array(ground) * VEIL)
    return veiled


def data_uri(image: Image.Image) -> str:
    """Return a picture as the text that a page shows without another file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
