"""Error against CPU time as an SVG, both logarithmic: one panel for each modality, one colour for each package."""

from __future__ import annotations

import math
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, TOP, GAP = 560, 440, 60, 44, 76
PACKAGES = {
    "with_mishape": ("mishape", "#0072b2"),
    "by_hand": ("by hand", "#767676"),
    "with_microsim": ("microsim", "#d55e00"),
    "with_deeptrack": ("DeepTrack2", "#009e73"),
}
"""Name and colour (Okabe & Ito's, told apart by the colour-blind)."""


class Point(NamedTuple):
    """One way: where it lies, and what it is called."""

    modality: str
    package: str
    way: str
    cpu_ms: float
    error_percent: float


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


def plotted(points: list[Point]) -> str:
    """Return the picture as the text of an SVG file."""
    modalities = list(dict.fromkeys(point.modality for point in points))
    width = LEFT + len(modalities) * (WIDTH + GAP)
    panels = "".join(_panel(points, modality, LEFT + n * (WIDTH + GAP)) for n, modality in enumerate(modalities))
    legend = "".join(
        f'<circle cx="{LEFT + 8 + 130 * n}" cy="{TOP + HEIGHT + 58}" r="5" fill="{colour}"/>'
        f'<text x="{LEFT + 18 + 130 * n}" y="{TOP + HEIGHT + 62}">{name}</text>'
        for n, (name, colour) in enumerate(PACKAGES.values())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 76}" '
        'font-family="sans-serif" font-size="12" fill="#222">'
        f'<rect width="100%" height="100%" fill="white"/>{panels}{legend}</svg>\n'
    )


def _panel(points: list[Point], modality: str, left: float) -> str:
    across = _axis([point.cpu_ms for point in points], left, left + WIDTH)
    down = _axis([point.error_percent for point in points], TOP + HEIGHT, TOP)
    mine = [point for point in points if point.modality == modality]
    return (
        f'<text x="{left}" y="{TOP - 14}" font-size="15">{escape(modality)}</text>{_lines(across, down)}'
        f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">CPU time for one image, ms</text>'
        f'<text transform="translate({left - 46} {TOP + HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"largest error, % of the peak</text>{''.join(_marks(mine, across, down))}"
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
        parts.append(f'<text x="{x:.1f}" y="{down.start + 18}" text-anchor="middle">{10.0**power:g}</text>')
    for power in range(down.low, down.high + 1):
        y = down.at(10.0**power)
        parts.append(f'<path d="M{across.start} {y:.1f}H{across.stop}" stroke="#ddd"/>')
        parts.append(f'<text x="{across.start - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    return "".join(parts)


def _marks(points: list[Point], across: Axis, down: Axis) -> list[str]:
    """Return a dot and a name for each way; names that would lie on each other are moved down."""
    marks, taken = [], []
    for point in sorted(points, key=lambda point: -point.error_percent):
        name, colour = PACKAGES[point.package]
        x, y = across.at(point.cpu_ms), down.at(point.error_percent)
        text = point.way.removeprefix(f"{name}, ").removeprefix(f"{name}: ").removeprefix(f"{name} ")
        wide = 6.2 * len(text)
        right = x + 9 + wide < across.stop
        start = x + 9 if right else x - 9 - wide
        base = y + 4
        while any(abs(base - other) < 12 and start < end and begin < start + wide for begin, end, other in taken):
            base += 3
        taken.append((start, start + wide, base))
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        place = f'x="{x + 9:.1f}"' if right else f'x="{x - 9:.1f}" text-anchor="end"'
        marks.append(f'<text {place} y="{base:.1f}" fill="{colour}">{escape(text)}</text>')
    return marks
