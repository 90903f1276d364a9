"""The contact sheet: one row per view, its panels aligned in columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from mishape.engine.execute import one_thread
from mishape.engine.types import Sample
from mishape.plugins.reports.drawing import Colour, text_width, write
from mishape.plugins.reports.field import Field
from mishape.plugins.reports.panels import MAX_PLANES, Panel, chosen_planes, panels_of

MARGIN, GAP = 20, 14
MAX_WIDTH_PX = 2000
TITLE_PX, HEAD_PX, LABEL_PX, NOTE_PX = 23, 20, 17, 15
TITLE_SPACE, HEAD_SPACE, LABEL_SPACE, LINE_SPACE, ROW_SPACE = 40, 32, 47, 12, 18
INK: Colour = (24, 26, 32)
FAINT: Colour = (90, 96, 108)
LINE: Colour = (205, 208, 214)
UNSPLIT = "all"
"""Name of the one split of a dataset that is not split."""
COLUMNS = (*(f"camera{slot}" for slot in range(MAX_PLANES)), "light", "mask", "instances", "xz", "surface")


@dataclass(frozen=True)
class Row:
    """One view's panels, with what stands above them."""

    head: str
    note: str
    panels: Mapping[str, Panel]


@dataclass(frozen=True)
class Columns:
    """Where each column of panels stands, the same for all views: its line, its left edge; and the width of all."""

    line: Mapping[str, int]
    left: Mapping[str, int]
    width: int

    def lines(self, row: Row) -> list[list[str]]:
        """Return the names of a row's panels, line by line."""
        numbers = sorted({self.line[name] for name in row.panels})
        return [[name for name in row.panels if self.line[name] == number] for number in numbers]


def contact_sheet(sample: Sample) -> Image.Image:
    """Draw a sample: per view the camera's planes, the noise-free light, masks, an XZ section and the surfaces."""
    rows = one_thread(_rows, sample)  # small products are no faster on more, and their last bits would differ
    columns = _columns(rows)
    texts = [(f"sample {sample.scene.sample}", TITLE_PX, _contents(sample))]
    texts += [(row.head, HEAD_PX, row.note) for row in rows]
    wide = [text_width(a, size) + 16 + text_width(b, LABEL_PX) + 2 * MARGIN for a, size, b in texts]
    height = MARGIN + TITLE_SPACE + sum(_height(row, columns) for row in rows)
    sheet = Image.new("RGB", (max([columns.width, *wide]), height), "white")
    _headline(ImageDraw.Draw(sheet), MARGIN + TITLE_PX, *texts[0])
    top = MARGIN + TITLE_SPACE
    for row in rows:
        _draw_row(sheet, top, row, columns)
        top += _height(row, columns)
    return sheet


def _rows(sample: Sample) -> list[Row]:
    return [_row(sample, name) for name in sample.scene.views]


def _height(row: Row, columns: Columns) -> int:
    return HEAD_SPACE + ROW_SPACE + sum(_line_height(row, names) for names in columns.lines(row))


def _line_height(row: Row, names: list[str]) -> int:
    return LABEL_SPACE + max(len(row.panels[name].picture) for name in names) + LINE_SPACE


def _draw_row(sheet: Image.Image, top: int, row: Row, columns: Columns) -> None:
    draw = ImageDraw.Draw(sheet)
    _headline(draw, top + HEAD_PX, row.head, HEAD_PX, row.note)
    top += HEAD_SPACE
    for names in columns.lines(row):
        for name in names:
            left, panel = columns.left[name], row.panels[name]
            write(draw, left, top + LABEL_PX, panel.label, LABEL_PX, INK)
            write(draw, left, top + LABEL_PX + NOTE_PX + 5, panel.note, NOTE_PX, FAINT)
            _frame(sheet, draw, left, top + LABEL_SPACE, Image.fromarray(panel.picture))
        top += _line_height(row, names)


def _frame(sheet: Image.Image, draw: Any, left: int, top: int, picture: Image.Image) -> None:
    sheet.paste(picture, (left, top))
    draw.rectangle((left - 1, top - 1, left + picture.width, top + picture.height), outline=LINE)


def _headline(draw: Any, base: int, text: str, size_px: int, note: str) -> None:
    write(draw, MARGIN, base, text, size_px, INK)
    write(draw, MARGIN + text_width(text, size_px) + 16, base, note, LABEL_PX, FAINT)


def _columns(rows: list[Row]) -> Columns:
    """Return where columns stand: in as few lines as keep the sheet below its largest width, evenly filled."""
    widths = {name: max(map(_width, found)) for name in COLUMNS if (found := [row.panels.get(name) for row in rows])}
    widths = {name: width for name, width in widths.items() if width}
    names = list(widths)
    for parts in range(1, len(names) + 1):
        count = -(-len(names) // parts)
        lines = [names[start : start + count] for start in range(0, len(names), count)]
        width = max(sum(widths[name] + GAP for name in line) for line in lines) - GAP + 2 * MARGIN
        if width <= MAX_WIDTH_PX:
            break
    left = {name: MARGIN + sum(widths[n] + GAP for n in line[:i]) for line in lines for i, name in enumerate(line)}
    return Columns({name: number for number, line in enumerate(lines) for name in line}, left, width)


def _width(panel: Panel | None) -> int:
    if panel is None:
        return 0
    texts = text_width(panel.label, LABEL_PX), text_width(panel.note, NOTE_PX)
    return max(int(panel.picture.shape[1]), *texts)


def _contents(sample: Sample) -> str:
    shapes = list(dict.fromkeys(shape.id for shape in sample.sources.values()))
    named = ", ".join(shapes[:3]) + (", ..." if len(shapes) > 3 else "")
    objects = f"{len(sample.shapes)} object{'' if len(sample.shapes) == 1 else 's'}"
    split = f"split {sample.scene.split};  " if sample.scene.split != UNSPLIT else ""
    return f"{split}{objects}{': ' if named else ''}{named};  {len(sample.emitters)} emitters"


def _row(sample: Sample, name: str) -> Row:
    field = Field(sample, name)
    view = field.view
    planes, rows, columns = view.grid.shape
    shown = len(chosen_planes(view.grid.centers_nm()[0]))
    tiles = f", montage of {view.montage[0]} x {view.montage[1]}" if view.tiles > 1 else ""
    low, high = field.shown_range(sample.images[name])
    bright = field.shown_range(sample.photons[name])[1]
    light = f"{bright:.0f}" if bright >= 100 else f"{bright:.3g}"
    rescaled = " (rescaled by sbr)" if getattr(view.noise, "rescales", False) else ""
    count = f"{planes} plane{'' if planes == 1 else 's'}" if shown == planes else f"{shown} of {planes} planes"
    size = f"{count} of {rows} x {columns} px{tiles}, {view.grid.pixel_nm:g} nm/px"
    scales = f"black to white: camera {low:.0f} to {high:.0f} counts, noise-free 0 to {light} photons{rescaled}"
    if (share := sample.record["views"][name]["saturated"]) > 0:
        scales += f";  {share:.2%} of the pixels are SATURATED"
    kinds = f"{view.microscope.kind}, {view.noise.kind}"
    return Row(name, f"{kinds};  {size};  {scales}", _centred(panels_of(field), sample))


def _centred(panels: dict[str, Panel], sample: Sample) -> dict[str, Panel]:
    """Put a view's few planes below the middle of another view's many."""
    most = max(len(chosen_planes(view.grid.centers_nm()[0])) for view in sample.scene.views.values())
    cameras = [panel for name, panel in panels.items() if name.startswith("camera")]
    first = (most - len(cameras)) // 2
    moved = {f"camera{first + slot}": panel for slot, panel in enumerate(cameras)}
    return {**moved, **{name: panel for name, panel in panels.items() if not name.startswith("camera")}}
