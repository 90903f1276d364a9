"""Error against CPU time as an SVG, both logarithmic: one panel for each modality, one colour for each package."""

from __future__ import annotations

import math
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, TOP, GAP = 560, 440, 60, 44, 76
LETTER, LINE = 6.9, 12.0
"""Size of a letter."""
SERIES = {
    "mishape, core": ("#0072b2", False),
    "mishape, fast": ("#0072b2", True),
    "by hand": ("#767676", True),
    "microsim": ("#d55e00", True),
    "microsim, its convolution alone": ("#d55e00", False),
    "DeepTrack2": ("#009e73", True),
}
"""Colour (Okabe & Ito's, told apart by the colour-blind), and whether its dots are full or rings."""


class Point(NamedTuple):
    """One way: "series: name", and where it lies."""

    modality: str
    way: str
    cpu_ms: float
    error_percent: float

    @property
    def series(self) -> str:
        """Return the series it belongs to."""
        return self.way.partition(": ")[0]

    @property
    def name(self) -> str:
        """Return its name in the series."""
        return self.way.partition(": ")[2]


class Axis(NamedTuple):
    """A logarithmic axis: powers of ten from `low` to `high` lie between two places."""

    low: int
    high: int
    start: float
    stop: float

    def at(self, value: float) -> float:
        """Return a value's place."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)


class Box(NamedTuple):
    """What a dot or a name covers."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Return whether two boxes overlap."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def plotted(points: list[Point]) -> str:
    """Return the picture as the text of an SVG file."""
    modalities = list(dict.fromkeys(point.modality for point in points))
    width = LEFT + len(modalities) * (WIDTH + GAP)
    panels = "".join(_panel(points, modality, LEFT + n * (WIDTH + GAP)) for n, modality in enumerate(modalities))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 76}" '
        'font-family="sans-serif" font-size="12" fill="#222">'
        f'<rect width="100%" height="100%" fill="white"/>{panels}{_legend(points)}</svg>\n'
    )


def _legend(points: list[Point]) -> str:
    shown = [series for series in SERIES if any(point.series == series for point in points)]
    parts, left = [], float(LEFT)
    for series in shown:
        parts.append(_dot(left + 8, TOP + HEIGHT + 58, series))
        parts.append(f'<text x="{left + 18:.1f}" y="{TOP + HEIGHT + 62}">{series}</text>')
        left += 45 + LETTER * len(series)
    return "".join(parts)


def _dot(x: float, y: float, series: str) -> str:
    colour, full = SERIES[series]
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" stroke="{colour}" fill="{colour if full else "white"}"/>'


def _panel(points: list[Point], modality: str, left: float) -> str:
    across = _axis([point.cpu_ms for point in points], left, left + WIDTH)
    down = _axis([point.error_percent for point in points], TOP + HEIGHT, TOP)
    mine = [point for point in points if point.modality == modality]
    return (
        f'<text x="{left}" y="{TOP - 14}" font-size="15">{escape(modality)}</text>{_lines(across, down)}'
        f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">CPU time for one image, ms</text>'
        f'<text transform="translate({left - 46} {TOP + HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"largest error, % of the peak</text>{_marks(mine, across, down)}"
    )


def _axis(values: list[float], start: float, stop: float) -> Axis:
    logs = [math.log10(value) for value in values]
    return Axis(math.floor(min(logs)), math.ceil(max(logs)), start, stop)


def _lines(across: Axis, down: Axis) -> str:
    """Return a line and a number at each power of ten."""
    parts = []
    for power in range(across.low, across.high + 1):
        x = across.at(10.0**power)
        parts.append(f'<path d="M{x:.1f} {down.start}V{down.stop}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{down.start + 18}" text-anchor="middle">{10**power:,}</text>')
    for power in range(down.low, down.high + 1):
        y = down.at(10.0**power)
        parts.append(f'<path d="M{across.start} {y:.1f}H{across.stop}" stroke="#ddd"/>')
        parts.append(f'<text x="{across.start - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    return "".join(parts)


def _marks(points: list[Point], across: Axis, down: Axis) -> str:
    """Return a dot and a name for each way."""
    places = [(across.at(point.cpu_ms), down.at(point.error_percent)) for point in points]
    taken = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    marks = []
    for point, (x, y) in zip(points, places, strict=True):
        box = _room(x, y, LETTER * len(point.name), across, taken)
        taken.append(box)
        colour, _ = SERIES[point.series]
        marks.append(_dot(x, y, point.series))
        marks.append(f'<text x="{box.left:.1f}" y="{box.bottom - 2:.1f}" fill="{colour}">{escape(point.name)}</text>')
    return "".join(marks)


def _room(x: float, y: float, wide: float, across: Axis, taken: list[Box]) -> Box:
    """Return where a name may stand: beside its dot, above or below it, wherever nothing else stands."""
    right, left = (x + 8, y - LINE / 2), (x - 8 - wide, y - LINE / 2)
    rows = [y - 7 - LINE, y + 7, y - 9 - 2 * LINE, y + 9 + LINE]
    corners = [right, left, *((x - share * wide, row) for row in rows for share in (0.5, 0.1, 0.9))]
    boxes = [Box(start, top, start + wide, top + LINE) for start, top in corners]
    inside = [box for box in boxes if across.start < box.left and box.right < across.stop]
    free = [box for box in inside if not any(box.meets(other) for other in taken)]
    return (free or inside or boxes)[0]
