"""The page of a shape library: one HTML file that shows its shapes, where they come from, and how large they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mishape.em.volumes import Volume
from mishape.engine.execute import one_thread
from mishape.engine.files import disk_errors, write_whole
from mishape.engine.library import Entry, Library
from mishape.plugins.reports.drawing import Picture, data_uri
from mishape.plugins.reports.library_numbers import (
    SCALE,
    histograms,
    is_weighted,
    shown,
    statistics,
    values_of,
)
from mishape.plugins.reports.library_pictures import (
    ROW_PX,
    SURFACE_PX,
    Z_STEP_NM,
    Sections,
    planes_of,
    surface_picture,
)
from mishape.plugins.reports.look import spaced
from mishape.plugins.reports.page import facts, figure, heading, page, paragraph, prose, section, table, verbatim

NAME = "library.html"
MAX_SURFACES, MAX_SECTIONS, MAX_LINES = 24, 6, 100
VOLUME_COLUMNS = {
    "shape": "voxels",
    "voxel_nm": "voxel, nm",
    "level_nm": "worked at, nm",
    "smooth_nm": "smoothed by, nm",
}
READING = """\
objects:
  - shape: {kind: em_mesh, library: FOLDER}

import mishape
library = mishape.open_library("FOLDER")
for entry in library:
    print(entry.id, entry.fold, entry.volume_nm3, entry.scale_nm)
    shape = entry.shape()         # its mesh, and its sampled field where it has one"""


def write_library_page(library: Library, raws: Mapping[str, Volume] | None = None) -> Path:
    """Write ``library.html`` into a library's folder; nothing that shapes are read from changes.

    Parameters
    ----------
    library
        The library.
    raws
        Name of a label volume -> the raw images on the same voxels, to be shown beside the labels.

    Raises
    ------
    DatasetError
        If the disk cannot be written.
    VolumeError
        If a raw volume cannot be read.
    """
    path = library.folder / NAME
    with disk_errors(library.folder):
        write_whole(path, library_page(library, raws))
    return path


def library_page(library: Library, raws: Mapping[str, Volume] | None = None) -> str:
    """Return the page: a pure function of the library's content and the raw volumes, without dates and places."""
    parts = (_summary, _origin, _folds, _refused, _statistics, _surfaces, partial(_sections, raws=raws or {}), _use)
    body = [f"<h1>{prose(library.name)}</h1>", *(one_thread(part, library) for part in parts)]
    return page(f"{library.name}: shape library", body)


def _summary(library: Library) -> str:
    entries = list(library)
    scales = values_of(entries, SCALE).values
    folds = {entry.fold for entry in entries if entry.fold}
    pairs = [
        ("shapes", len(entries)),
        ("whole", _whole(entries)),
        ("folds", len(folds) or "each shape its own"),
        ("longest edge, µm", f"{shown(scales.min())} to {shown(scales.max())}"),
    ]
    if refused := library.meta.get("refused"):
        pairs.append(("refused", len(refused)))
    return facts(pairs)


def _whole(entries: Sequence[Entry]) -> str:
    """Return how many shapes do not reach the border of their volume, if that is known."""
    known = [entry.fields["touches_border"] for entry in entries if entry.fields.get("touches_border") is not None]
    return f"{known.count(False)} of {len(known)}" if known else "not known"


def _origin(library: Library) -> str:
    meta = library.meta
    rows = [(name, meta.get(name) or "not stated") for name in ("source", "licence", "citation")]
    parts = [table(["", "as stated"], rows)]
    if volumes := meta.get("volumes"):
        parts.append(heading("Volumes"))
        lines = [(name, *(_sizes(about[key]) for key in VOLUME_COLUMNS)) for name, about in sorted(volumes.items())]
        parts.append(table(["volume", *VOLUME_COLUMNS.values()], _some(lines)))
        parts.append(paragraph("Sizes along x, y, z; smoothing is the standard deviation of a Gaussian."))
    parts += [paragraph(f"Note: {note}.") for note in meta.get("notes", ())]
    return section("Source and licence", *parts)


def _sizes(sizes: Sequence[float]) -> str:
    return " x ".join(f"{size:g}" for size in sizes)


def _folds(library: Library) -> str:
    shapes: dict[str, list[Entry]] = {}
    for entry in library:
        shapes.setdefault(entry.fold or "", []).append(entry)
    rows = [(fold or "none: each its own", len(found), _whole(found)) for fold, found in sorted(shapes.items())]
    text = "Shapes of one fold never stand in two splits of a dataset. Whole shapes do not reach their volume's border."
    return section("Folds", table(["fold", "shapes", "whole"], _some(rows)), paragraph(text))


def _some(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield the first lines of a table, and how many more there are."""
    yield from islice(rows, MAX_LINES)
    if len(rows) > MAX_LINES:
        yield (f"and {len(rows) - MAX_LINES} more", *[""] * (len(rows[0]) - 1))


def _refused(library: Library) -> str:
    refused = library.meta.get("refused", ())
    if not refused:
        return ""
    rows = [(one["id"], one["why"]) for one in refused]
    return section("Refused", table(["instance", "why it has no shape"], _some(rows)))


def _statistics(library: Library) -> str:
    weighted = is_weighted(library)
    head = ["", "shapes", "smallest", "median", "largest", *(["whole shapes, weighted median"] if weighted else [])]
    text = (
        "A long shape is seldom whole in a small volume. So whole shapes count with one over the chance that a shape "
        "of their size lies wholly in their volume, in the last column and in the plots: their heights are sums of "
        "these weights, and cut shapes are not in them."
        if weighted
        else "Every shape counts once: no inclusion weights are known."
    )
    plots = f'<div class="plots">{histograms(library)}</div>'
    return section("Sizes", table(head, statistics(library)), paragraph(text), plots)


def _surfaces(library: Library) -> str:
    chosen = _spread(library, MAX_SURFACES)
    text = (
        f"{_how_many(len(chosen), library)}, from the largest to the smallest, as the objective sees them; each at a "
        "scale of its own."
    )
    figures = [_figure(surface_picture(entry.shape()), _about(entry)) for entry in chosen]
    return section("Shapes", paragraph(text), _grid(figures, SURFACE_PX))


def _spread(library: Library, most: int) -> list[Entry]:
    """Return at most so many shapes, evenly spread over the order of size, the largest first."""
    entries = sorted(library, key=lambda entry: (-entry.scale_nm, entry.id))
    return [entries[number] for number in spaced(len(entries), most)]


def _how_many(count: int, library: Library) -> str:
    return f"All {count} shapes" if count == len(library) else f"{count} of {len(library)} shapes, evenly by size"


def _about(entry: Entry) -> str:
    """Return a shape's id and what a caption says of it."""
    parts = [f"longest edge {shown(entry.scale_nm)} nm"]
    if entry.fields.get("thickness_nm") is not None:
        parts.append(f"{shown(entry.thickness_nm)} nm thick")
    if entry.fields.get("genus"):
        parts.append(f"genus {entry.genus}")
    if entry.fields.get("touches_border"):
        parts.append("cut by the border")
    return f"{entry.id}: {', '.join(parts)}"


def _sections(library: Library, raws: Mapping[str, Volume]) -> str:
    chosen = _spread(library, MAX_SECTIONS)
    raw = " the raw image with the section's outline;" if raws else ""
    text = (
        f"{_how_many(len(chosen), library)}, at planes every {Z_STEP_NM:g} nm. From left to right: the shape's section "
        f"in its sampled field (the smoothed label), or in its mesh where it has no field;{raw} the surface, orange "
        f"within {Z_STEP_NM / 2:g} nm of the plane; and the light that a widefield microscope (epi, preset epi1) sees "
        "of emitters on the surface when it is focused on the plane, without noise. All parts of a row have the scale "
        "of its bar; one grey scale holds for all light of a shape. z is counted from the origin of the shape's frame, "
        "away from the objective."
    )
    return section("Sections, surface and light", paragraph(text), *(_through(entry, raws) for entry in chosen))


def _through(entry: Entry, raws: Mapping[str, Volume]) -> str:
    shape, name = entry.shape(), entry.fields.get("volume", "")
    planes, every = planes_of(shape)
    origin = entry.library.meta.get("volumes", {}).get(name, {}).get("origin_nm", (0.0, 0.0, 0.0))
    pictures = Sections(entry, shape, planes, raws.get(name), origin).rows()
    parts = "section, raw image, surface, light" if name in raws else "section, surface, light"
    figures = [_figure(one, f"z = {z:.0f} nm: {parts}") for one, z in zip(pictures, planes.tolist(), strict=True)]
    count = f" ({len(planes)} of {every} planes)" if len(planes) < every else ""
    return heading(f"{_about(entry)}{count}") + _grid(figures, ROW_PX + 2)


def _figure(picture: Picture, caption: str) -> str:
    return figure(data_uri(Image.fromarray(np.ascontiguousarray(picture))), caption)


def _grid(figures: Sequence[str], least_px: int) -> str:
    """Return figures in as many columns of a least width as the page has room for."""
    columns = f"repeat(auto-fill, minmax(min({least_px}px, 100%), 1fr))"
    return f'<div style="display: grid; grid-template-columns: {columns}; gap: 0 1rem">{"".join(figures)}</div>'


def _use(library: Library) -> str:
    del library
    return section("Use and read", paragraph("In a scene, and in Python:"), verbatim(READING))
