"""Histograms as inline SVG: no script, no file, legible on a light and on a dark page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 24
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 190, 52, 34, 26, 40


def histogram(
    title: str,
    values: Sequence[float] | NDArray[Any],
    unit: str,
    logarithmic: bool = False,
    weights: Sequence[float] | NDArray[Any] | None = None,
) -> str:
    """Return a histogram of some numbers as an SVG element.

    Parameters
    ----------
    title
        What is counted; any text.
    values
        The numbers; none gives an empty frame.
    unit
        Name of the horizontal axis.
    logarithmic
        Draw the bars' heights as the logarithm of 1 + count: an empty bin has none, a bin of one a low bar.
    weights
        How much each number counts, 1 or more; 1 by default.
    """
    numbers = np.asarray(values, dtype=np.float64)
    low, high = _ends(numbers)
    counts = np.histogram(numbers, bins=BINS, range=(low, high), weights=weights)[0]
    most = max(counts.max().item(), 1)
    heights = np.log1p(counts) / math.log1p(most) if logarithmic else counts / most
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    bars = "".join(
        f'<rect x="{LEFT + i * plot_width / BINS:.1f}" y="{TOP + plot_height * (1 - height):.1f}" '
        f'width="{plot_width / BINS - 1:.1f}" height="{plot_height * height:.1f}"/>'
        for i, height in enumerate(heights.tolist())
        if height
    )
    base = TOP + plot_height
    ticks = "".join(_tick(low + (high - low) * share, LEFT + plot_width * share, base) for share in (0, 0.5, 1))
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'<text class="name" x="{LEFT}" y="14">{escape(title)}</text>{bars}'
        f'<path d="M{LEFT} {TOP}V{base}H{WIDTH - RIGHT}"/>{ticks}'
        f"{_levels(most, logarithmic)}"
        f'<text x="{LEFT + plot_width / 2}" y="{HEIGHT - 5}" text-anchor="middle">{escape(unit)}</text></svg>'
    )


def _levels(most: float, logarithmic: bool) -> str:
    """Return the ticks of the counts: 0 and the highest bar, on a logarithmic axis some powers of ten between."""
    powers = [10**n for n in range(1, len(str(int(most)))) if 2 * 10**n < most] if logarithmic else []
    levels = [0, *powers[:: -(-len(powers) // 4) or 1], most]
    shares = np.log1p(levels) / math.log1p(most) if logarithmic else np.array(levels) / most
    heights = TOP + (HEIGHT - TOP - BOTTOM) * (1 - shares)
    return "".join(
        f'<path d="M{LEFT} {y:.1f}h-4"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_shown(level)}</text>'
        for level, y in zip(levels, heights.tolist(), strict=True)
    )


def _ends(numbers: NDArray[np.float64]) -> tuple[float, float]:
    """Return round ends that hold all numbers: whole steps of 1, 2 or 5 times a power of ten."""
    if not len(numbers):
        return 0.0, 1.0
    low, high = float(numbers.min()), float(numbers.max())
    spread = (high - low) or abs(high) or 1.0
    decade = 10.0 ** math.floor(math.log10(spread / 4))
    step = next(times * decade for times in (1, 2, 5, 10) if times * decade >= spread / 4)
    start, stop = math.floor(low / step) * step, math.ceil(high / step) * step
    return (start, stop) if stop > start else (start, start + step)


def _tick(value: float, x: float, base: float) -> str:
    return f'<path d="M{x:.1f} {base}v4"/><text x="{x:.1f}" y="{base + 16}" text-anchor="middle">{_shown(value)}</text>'


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
