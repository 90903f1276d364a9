"""Plots and heat pictures for a sheet: axes with ticks, smooth curves, marks, and a colour bar over decades."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from mishape.engine.types import Points
from mishape.plugins.reports.drawing import Colour, Picture, round_length_nm, text_width, write

INK: Colour = (24, 26, 32)
FAINT: Colour = (90, 96, 108)
GREY: Colour = (150, 156, 166)
GRID_LINE: Colour = (226, 229, 234)
BLUE: Colour = (0, 102, 178)
RUST: Colour = (200, 80, 0)
SHADE: Colour = (255, 236, 214)
TICK_PX, AXIS_PX = 15, 16
SMOOTH = 4
"""Curves are drawn this many times larger and shrunk."""
HEAT = np.array(
    [
        (0, 0, 4),
        (40, 11, 84),
        (101, 21, 110),
        (159, 42, 99),
        (212, 72, 66),
        (245, 125, 21),
        (250, 193, 39),
        (252, 255, 164),
    ]
)
"""From black over violet and orange to pale yellow, evenly in lightness."""


@dataclass(frozen=True)
class Axes:
    """Where a plot stands on a sheet, and what its edges mean.

    Parameters
    ----------
    left, top, width, height
        The frame, pixels.
    x, y
        Values at the left and right edges, and at the bottom and top.
    decades
        The vertical axis is logarithmic: `y` are powers of ten.
    """

    sheet: Image.Image
    left: int
    top: int
    width: int
    height: int
    x: tuple[float, float]
    y: tuple[float, float]
    decades: bool = False

    def across(self, value: float) -> float:
        """Return the sheet's column of a value."""
        return self.left + (value - self.x[0]) / (self.x[1] - self.x[0]) * self.width

    def down(self, value: float) -> float:
        """Return the sheet's row of a value."""
        level = math.log10(max(value, 1e-300)) if self.decades else value
        return self.top + (self.y[1] - level) / (self.y[1] - self.y[0]) * self.height

    def shade(self, low: float, high: float) -> None:
        """Tint the range between two values of x."""
        left, right = (round(self.across(float(np.clip(end, *self.x)))) for end in (low, high))
        ImageDraw.Draw(self.sheet).rectangle((left, self.top, right, self.top + self.height), fill=SHADE)

    def frame(self, x_label: str, y_ticks: Sequence[float]) -> None:
        """Draw grid lines, ticks, numbers and the horizontal axis' label."""
        draw, bottom, right = ImageDraw.Draw(self.sheet), self.top + self.height, self.left + self.width
        for value in y_ticks:
            row, text = round(self.down(value)), f"{value:g}".replace("e-0", "e-")
            draw.line((self.left, row, right, row), fill=GRID_LINE)
            write(draw, self.left - text_width(text, TICK_PX) - 7, row + 5, text, TICK_PX, FAINT)
        for value in ticks(*self.x):
            column, text = round(self.across(value)), f"{value:g}"
            draw.line((column, self.top, column, bottom + 5), fill=GRID_LINE)
            write(draw, column - text_width(text, TICK_PX) // 2, bottom + 20, text, TICK_PX, FAINT)
        draw.rectangle((self.left, self.top, right, bottom), outline=FAINT)
        middle = self.left + (self.width - text_width(x_label, AXIS_PX)) // 2
        write(draw, middle, bottom + 42, x_label, AXIS_PX, INK)

    def curve(self, x: Points, y: Points, colour: Colour, dashed: bool = False) -> None:
        """Draw a curve; what lies outside of the frame is cut off."""
        mask = Image.new("L", (self.width * SMOOTH, self.height * SMOOTH))
        pairs = np.stack([x, y], axis=1).tolist()
        places = [((self.across(a) - self.left) * SMOOTH, (self.down(b) - self.top) * SMOOTH) for a, b in pairs]
        draw = ImageDraw.Draw(mask)
        for part in _dashes(places, 9.0 * SMOOTH) if dashed else [places]:
            draw.line(part, fill=255, width=2 * SMOOTH + 1, joint="curve")
        small = mask.resize((self.width, self.height), Image.Resampling.BOX)
        self.sheet.paste(Image.new("RGB", small.size, colour), (self.left, self.top), small)

    def upright(self, value: float, colour: Colour) -> None:
        """Draw a dashed line at a value of x."""
        draw, column = ImageDraw.Draw(self.sheet), round(self.across(value))
        for row in range(self.top + 1, self.top + self.height, 8):
            draw.line((column, row, column, min(row + 4, self.top + self.height)), fill=colour)

    def beside(self, value: float, text: str, colour: Colour, line: int) -> None:
        """Write a text at the right of a value of x, or at its left, `line` lines below the top."""
        column, wide = round(self.across(value)), text_width(text, TICK_PX)
        fits = column + 6 + wide < self.left + self.width
        label(self.sheet, column + 6 if fits else column - 6 - wide, self.top + 20 + 20 * line, text, colour)

    def width_mark(self, low: float, high: float, y: float, text: str, colour: Colour) -> None:
        """Draw a double-ended bar from one value of x to another, and its length beside it."""
        draw, row = ImageDraw.Draw(self.sheet), round(self.down(y))
        left, right = round(self.across(low)), round(self.across(high))
        draw.line((left, row, right, row), fill=colour, width=2)
        for end in (left, right):
            draw.line((end, row - 6, end, row + 6), fill=colour, width=2)
        label(self.sheet, right + 8, row + 5, text, colour)


def label(sheet: Image.Image, left: int, base: int, text: str, colour: Colour) -> None:
    """Write a text on white, so that no line runs through it."""
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((left - 3, base - 14, left + text_width(text, TICK_PX) + 2, base + 4), fill="white")
    write(draw, left, base, text, TICK_PX, colour)


def ticks(low: float, high: float) -> list[float]:
    """Return round values between two, from three to seven or so."""
    step = round_length_nm((high - low) / 3)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * number, 12) for number in range(first, last + 1)]


def _dashes(places: list[tuple[float, float]], length: float) -> list[list[tuple[float, float]]]:
    """Return every second piece, of a length, of a line through places."""
    points = np.array(places)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    parts = []
    for start in np.arange(0, along[-1], 2 * length):
        at = np.linspace(start, min(start + length, along[-1]), 5)
        parts.append([(float(np.interp(s, along, points[:, 0])), float(np.interp(s, along, points[:, 1]))) for s in at])
    return parts


def heat(share: Points) -> Picture:
    """Show values from 0 to 1 by colour."""
    place = np.linspace(0, 1, len(HEAT))
    channels = [np.interp(np.clip(share, 0, 1), place, HEAT[:, channel]) for channel in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), dtype=np.uint8)


def heat_of_decades(values: Points, decades: int) -> Picture:
    """Show values on a logarithmic scale, from their largest down by some powers of ten."""
    floor = 10.0**-decades
    share = np.maximum(values / max(float(values.max()), 1e-300), floor)
    return heat(np.log10(share) / decades + 1)


def colour_bar(sheet: Image.Image, left: int, top: int, height: int, decades: int) -> None:
    """Draw the scale of `heat_of_decades` with a number at each power of ten."""
    draw, wide = ImageDraw.Draw(sheet), 16
    strip = np.repeat(np.linspace(1, 0, height)[:, None], wide, axis=1)
    sheet.paste(Image.fromarray(heat(strip)), (left, top))
    for power in range(decades + 1):
        row = top + round(power / decades * (height - 1))
        draw.line((left + wide, row, left + wide + 4, row), fill=FAINT)
        base = min(max(row + 5, top + 11), top + height)
        write(draw, left + wide + 8, base, f"{10.0**-power:g}", TICK_PX, FAINT)
