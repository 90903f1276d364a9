"""The contact sheet: one row per view, its panels aligned in columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from mishape.engine.execute import one_thread
from mishape.engine.types import Sample
from mishape.plugins.reports.drawing import Colour, shown_range, text_width, write
from mishape.plugins.reports.panels import MAX_PLANES, Panel, panels_of

MARGIN, GAP = 20, 14
TITLE_PX, HEAD_PX, LABEL_PX = 23, 20, 17
TITLE_SPACE, HEAD_SPACE, LABEL_SPACE, ROW_SPACE = 40, 34, 25, 26
INK: Colour = (24, 26, 32)
FAINT: Colour = (90, 96, 108)
LINE: Colour = (205, 208, 214)
COLUMNS = (*(f"camera{slot}" for slot in range(MAX_PLANES)), "light", "mask", "instances", "xz", "surface")


@dataclass(frozen=True)
class Row:
    """One view's panels, with what stands above them."""

    head: str
    note: str
    panels: Mapping[str, Panel]

    @property
    def height(self) -> int:
        """Rows of pixels of the tallest panel."""
        return max(len(panel.picture) for panel in self.panels.values())


def contact_sheet(sample: Sample) -> Image.Image:
    """Draw a sample: per view the camera's planes, the noise-free light, masks, an XZ section and the surfaces."""
    rows = one_thread(_rows, sample)  # small products are no faster on more, and their last bits would differ
    lefts, width = _columns(rows)
    title, note = f"sample {sample.scene.sample}", _contents(sample)
    texts = [(title, TITLE_PX, note), *((row.head, HEAD_PX, row.note) for row in rows)]
    width = max([width, *(text_width(a, size) + 16 + text_width(b, LABEL_PX) + 2 * MARGIN for a, size, b in texts)])
    height = MARGIN + TITLE_SPACE + sum(HEAD_SPACE + LABEL_SPACE + row.height + ROW_SPACE for row in rows)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    _headline(draw, MARGIN + TITLE_PX, *texts[0])
    top = MARGIN + TITLE_SPACE
    for row in rows:
        _headline(draw, top + HEAD_PX, row.head, HEAD_PX, row.note)
        for name, panel in row.panels.items():
            write(draw, lefts[name], top + HEAD_SPACE + LABEL_PX, panel.label, LABEL_PX, INK)
            _frame(sheet, draw, lefts[name], top + HEAD_SPACE + LABEL_SPACE, Image.fromarray(panel.picture))
        top += HEAD_SPACE + LABEL_SPACE + row.height + ROW_SPACE
    return sheet


def _rows(sample: Sample) -> list[Row]:
    return [_row(sample, name) for name in sample.scene.views]


def _frame(sheet: Image.Image, draw: Any, left: int, top: int, picture: Image.Image) -> None:
    sheet.paste(picture, (left, top))
    draw.rectangle((left - 1, top - 1, left + picture.width, top + picture.height), outline=LINE)


def _headline(draw: Any, base: int, text: str, size_px: int, note: str) -> None:
    write(draw, MARGIN, base, text, size_px, INK)
    write(draw, MARGIN + text_width(text, size_px) + 16, base, note, LABEL_PX, FAINT)


def _columns(rows: list[Row]) -> tuple[dict[str, int], int]:
    """Return where each column of panels starts, and the sheet's width."""
    lefts, left = {}, MARGIN
    for name in COLUMNS:
        panels = [row.panels[name] for row in rows if name in row.panels]
        if panels:
            lefts[name] = left
            left += GAP + max(max(p.picture.shape[1], text_width(p.label, LABEL_PX)) for p in panels)
    return lefts, left - GAP + MARGIN


def _contents(sample: Sample) -> str:
    shapes = list(dict.fromkeys(shape.id for shape in sample.sources.values()))
    named = ", ".join(shapes[:3]) + (", ..." if len(shapes) > 3 else "")
    objects = f"{len(sample.shapes)} object{'' if len(sample.shapes) == 1 else 's'}"
    return f"split {sample.scene.split};  {objects}{': ' if named else ''}{named};  {len(sample.emitters)} emitters"


def _row(sample: Sample, name: str) -> Row:
    view = sample.scene.views[name]
    planes, rows, columns = view.grid.shape
    tiles = f", montage of {view.montage[0]} x {view.montage[1]}" if view.tiles > 1 else ""
    low, high = shown_range(sample.images[name])
    bright = shown_range(sample.photons[name])[1]
    light = f"{bright:.0f}" if bright >= 100 else f"{bright:.3g}"
    size = f"{planes} plane{'' if planes == 1 else 's'} of {rows} x {columns} px{tiles}, {view.grid.pixel_nm:g} nm/px"
    scales = f"black to white: camera {low:.0f} to {high:.0f} counts, noise-free 0 to {light} photons"
    kinds = f"{view.microscope.kind}, {view.noise.kind}"
    return Row(name, f"{kinds};  {size};  {scales}", _centred(panels_of(sample, name), sample))


def _centred(panels: dict[str, Panel], sample: Sample) -> dict[str, Panel]:
    """Put a view's few planes below the middle of another view's many."""
    most = max(min(view.grid.shape[0], MAX_PLANES) for view in sample.scene.views.values())
    cameras = [panel for name, panel in panels.items() if name.startswith("camera")]
    first = (most - len(cameras)) // 2
    moved = {f"camera{first + slot}": panel for slot, panel in enumerate(cameras)}
    return {**moved, **{name: panel for name, panel in panels.items() if not name.startswith("camera")}}
