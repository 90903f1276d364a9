"""Parts of the report that compare: sizes with those of the library, samples and shapes with one another."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mishape.plugins.reports.look import Look
from mishape.plugins.reports.page import paragraph, section, table, warning

if TYPE_CHECKING:
    from mishape.engine.dataset import Dataset


def sizes(look: Look) -> str:
    """Compare the shapes that were used with the libraries that they come from."""
    rows = []
    for name, library in look.dataset.libraries().items():
        used = [thing["shape_id"] for thing in look.objects if thing["library"] == name]
        for measure, unit, nm in (("scale_nm", "longest edge, nm", 1.0), ("volume_nm3", "volume, um^3", 1e9)):
            there = {entry.id: (entry.fields[measure] or 0.0) / nm for entry in library}
            for whose, values in (("library", [*there.values()]), ("used", [there[id] for id in used])):
                low, middle, high = np.quantile(values or [0.0], (0.05, 0.5, 0.95))
                rows.append((name, unit, whose, len(values), f"{low:.4g}", f"{middle:.4g}", f"{high:.4g}"))
    if not rows:
        return ""
    head = ["library", "", "shapes", "number", "5 %", "median", "95 %"]
    text = f"Before any scale of the pose; each use counts. Used: in {look.basis}."
    return section("Sizes beside the library's", table(head, rows), paragraph(text))


def duplicates(look: Look) -> str:
    """Name samples with the same image, and shapes that are the same under two names."""
    numbers = [record["index"] for record in look.records]
    view = next(iter(look.scene.views))
    parts = [
        warning(f"samples {', '.join(map(str, same))} have the same image in {view}, to the bit.")
        for same in equal_samples(look.dataset, numbers, view)
    ]
    parts += [
        warning(f"shapes {one} and {other} have the same volume and area: it may stand in two splits.")
        for one, other in equal_shapes(look.dataset)
    ]
    found = "" if parts else "None. "
    text = f"{found}Images of {view} compared in {look.basis}; shapes of all libraries by their volume and area."
    return section("Duplicates", *parts, paragraph(text))


def equal_samples(dataset: Dataset, numbers: Sequence[int], view: str) -> list[list[int]]:
    """Return which of these samples have the same image to the bit."""
    found: dict[str, list[int]] = defaultdict(list)
    for number in numbers:
        found[hashlib.sha256(dataset[number][f"{view}.image"].tobytes()).hexdigest()].append(number)
    return [same for same in found.values() if len(same) > 1]


def equal_shapes(dataset: Dataset) -> list[tuple[str, str]]:
    """Return pairs of ids in one library whose meshes have the same volume and area to nine digits."""
    pairs = []
    for library in dataset.libraries().values():
        found: dict[tuple[str, str], str] = {}
        for entry in library:
            key = (f"{entry.volume_nm3 or 0:.9e}", f"{entry.area_nm2:.9e}")
            if key in found:
                pairs.append((found[key], str(entry.id)))
            found.setdefault(key, str(entry.id))
    return pairs
