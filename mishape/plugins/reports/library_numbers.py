"""The numbers of a shape library: medians, ranges and distributions of what its index says of each shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mishape.engine.library import Entry, Library
from mishape.engine.types import Points
from mishape.plugins.reports.svg import histogram


@dataclass(frozen=True)
class Measure:
    """A number that a library's index may hold of each shape.

    Parameters
    ----------
    field
        Its name in the index.
    name, unit
        In words; no unit for plain numbers.
    per_unit
        How many of the index's units are one of these.
    """

    field: str
    name: str
    unit: str = ""
    per_unit: float = 1.0

    @property
    def label(self) -> str:
        """The name with its unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


VOLUME = Measure("volume_nm3", "volume", "µm³", 1e9)
PLOTTED = (
    VOLUME,
    Measure("length_nm", "length of the centre line", "µm", 1e3),
    Measure("thickness_nm", "thickness", "nm"),
    Measure("sphericity", "sphericity"),
    Measure("branches", "branches"),
    Measure("genus", "genus"),
)
SCALE = Measure("scale_nm", "longest edge of the box", "µm", 1e3)
MEASURES = (SCALE, *PLOTTED[:1], Measure("area_nm2", "area", "µm²", 1e6), *PLOTTED[1:])


@dataclass(frozen=True)
class Values:
    """What a library knows of one measure.

    Parameters
    ----------
    values
        (n,) in the measure's unit, of the shapes that have it.
    weights
        (n,) how much each counts: its inclusion weight.
    """

    measure: Measure
    values: Points
    weights: Points

    @property
    def median(self) -> float:
        """The value with half of the weight on either side; between two such, their mean."""
        order = np.argsort(self.values, kind="stable")
        share = np.cumsum(self.weights[order]) / self.weights.sum()
        middle = np.searchsorted(share, [0.5 - 1e-12, 0.5 + 1e-12]).clip(max=len(order) - 1)
        return float(self.values[order[middle]].mean())


def values_of(entries: Sequence[Entry], measure: Measure, weighted: bool = False) -> Values:
    """Return a measure of all shapes that have it; weighted, of those whose inclusion weight is known too."""
    known = [one for one in entries if number_of(one, measure) is not None]
    if weighted:
        known = [one for one in known if one.fields.get("inclusion_weight") is not None]
    weights = [one.fields["inclusion_weight"] if weighted else 1.0 for one in known]
    return Values(measure, np.array([number_of(one, measure) for one in known], float), np.array(weights, float))


def number_of(entry: Entry, measure: Measure) -> float | None:
    """Return a measure of a shape in the measure's unit, or nothing where the index does not say it."""
    value = entry.fields.get(measure.field)
    return None if value is None else value / measure.per_unit


def is_weighted(library: Library) -> bool:
    """Tell whether the inclusion weight of any shape is known."""
    return any(entry.fields.get("inclusion_weight") is not None for entry in library)


def statistics(library: Library) -> Iterator[tuple[Any, ...]]:
    """Yield a row per measure: its name, of how many shapes it is known, the least, median and largest value.

    Where inclusion weights are known, the weighted median of the whole shapes follows.
    """
    entries, weighted = list(library), is_weighted(library)
    for measure in MEASURES:
        found = values_of(entries, measure)
        if not len(found.values):
            continue
        ends = float(found.values.min()), found.median, float(found.values.max())
        whole = values_of(entries, measure, weighted=True)
        last = [shown(whole.median) if len(whole.values) else "not known"] if weighted else []
        yield (measure.label, len(found.values), *map(shown, ends), *last)


def histograms(library: Library) -> str:
    """Return the distributions as SVG elements: of the whole shapes by their weights where these are known."""
    weighted = is_weighted(library)
    found = [values_of(list(library), measure, weighted) for measure in PLOTTED]
    return "".join(
        histogram(one.measure.name, one.values, one.measure.label, weights=one.weights if weighted else None)
        for one in found
        if len(one.values)
    )


def shown(value: float) -> str:
    """Return a number to three digits, whole numbers whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
