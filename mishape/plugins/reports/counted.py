"""What the records of a dataset say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counted:
    """What records say together.

    Parameters
    ----------
    samples
        How many, by split.
    shapes
        Ids of the shapes, by split.
    origins
        How many objects, by source and licence.
    objects
        How many, sample by sample.
    emitters
        How many, object by object.
    truncated
        How many objects reach beyond the field of a view.
    views
        By view, numbers of its records, sample by sample.
    """

    samples: Counter[str] = field(default_factory=Counter)
    shapes: dict[str, set[str]] = field(default_factory=dict)
    origins: Counter[tuple[str, str]] = field(default_factory=Counter)
    objects: list[int] = field(default_factory=list)
    emitters: list[int] = field(default_factory=list)
    truncated: int = 0
    views: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]]) -> Counted:
        """Count what records say."""
        counted = cls()
        for record in records:
            counted._add(record)
        return counted

    @property
    def distinct(self) -> int:
        """How many distinct shapes there are."""
        return len(set().union(*self.shapes.values()))

    def origin_rows(self) -> list[tuple[str, str, int]]:
        """Return sources, licences and how many objects are from there."""
        return [
            (source or "made for this dataset", licence, count)
            for (source, licence), count in sorted(self.origins.items())
        ]

    def _add(self, record: Mapping[str, Any]) -> None:
        self.samples[record["split"]] += 1
        self.objects.append(len(record["objects"]))
        for thing in record["objects"]:
            self.shapes.setdefault(record["split"], set()).add(thing["shape_id"])
            unsaid = "none needed" if thing["library"] is None else "none stated"
            self.origins[thing["source"], thing["licence"] or unsaid] += 1
            self.emitters.append(thing["emitters"])
            self.truncated += bool(thing["truncated"])
        for name, view in record["views"].items():
            numbers = self.views.setdefault(name, {})
            for key in ("photons", "photons_peak", "saturated", "dose"):
                numbers.setdefault(key, []).append(view[key])


def size_px(shape: Sequence[int], montage: Sequence[int]) -> str:
    """Word a view's size: planes, rows and columns of a (Z, Y, X) grid, and the fields of its montage."""
    down, across = montage
    planes, rows, columns = shape
    if down * across == 1:
        return f"{planes} x {rows} x {columns}"
    return f"{planes} x {down * rows} x {across * columns}, of {down} x {across} tiles"
