"""What the report shows of many samples at once: a gallery by the seed, and shapes by perspective."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mishape.engine.execute import one_thread
from mishape.engine.scene import View
from mishape.engine.seeding import Stage, stream
from mishape.engine.simulate import simulate
from mishape.plugins.reports import drawing
from mishape.plugins.reports.rendering import Window, depth_nm, shaded
from mishape.plugins.truths.in_focus import in_focus_band_nm

if TYPE_CHECKING:
    from mishape.engine.dataset import Dataset

SHOWN, ACROSS, THUMB_PX, GAP_PX = 32, 8, 144, 6
MAX_SHAPES, CELL_PX, HEAD_PX, SIDE_PX = 4, 128, 22, 150
ROOM_NM = 250.0
"""For the light around a shape."""


def gallery(dataset: Dataset, view: str) -> tuple[Image.Image, list[int]]:
    """Return thumbnails of a view, drawn by the dataset seed, each from black to white; and the samples shown."""
    records = {record["index"] for record in dataset.records()}
    rng = stream(dataset.manifest.seed, 0, Stage.TRUTH, "gallery")
    drawn = [int(n) for n in rng.permutation(len(dataset)) if int(n) in records][:SHOWN]
    chosen = sorted(drawn)
    pictures = [_thumbnail(dataset[n][f"{view}.image"]) for n in chosen]
    return _tiled(pictures, ACROSS, THUMB_PX), chosen


def _thumbnail(image: NDArray[Any]) -> drawing.Picture:
    plane = np.asarray(image[len(image) // 2], np.float64)
    low, high = drawing.shown_range(plane)
    factor = THUMB_PX / max(plane.shape)
    rows, columns = (max(1, round(side * factor)) for side in plane.shape)
    return drawing.resized(drawing.grey(plane, low, high), rows, columns)


def _tiled(pictures: Sequence[drawing.Picture], across: int, cell_px: int) -> Image.Image:
    down = -(-len(pictures) // across)
    size = (min(across, len(pictures)) * (cell_px + GAP_PX) - GAP_PX, down * (cell_px + GAP_PX) - GAP_PX)
    sheet = Image.new("RGB", size, "white")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, across)
        sheet.paste(Image.fromarray(picture), (column * (cell_px + GAP_PX), row * (cell_px + GAP_PX)))
    return sheet


def perspectives(dataset: Dataset) -> Image.Image | None:
    """Return a figure of shapes by rotations: each view's image, and the surface with what is in focus in orange.

    As Fig. 6 of the MiShape paper. There is none where samples do not show single shapes in perspectives that repeat.
    """
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for record in dataset.records():
        if len(record["objects"]) != 1:
            return None
        rotation = record["scene"]["objects"][0].get("pose", {}).get("rotation")
        if not isinstance(rotation, str) or rotation in ("uniform", "flat"):
            return None
        groups[record["objects"][0]["shape_id"]].setdefault(rotation, record["index"])
    rotations = [*max(groups.values(), key=len)]
    shown = {id: numbers for id, numbers in sorted(groups.items()) if numbers.keys() >= {*rotations}}
    if len(rotations) < 2:
        return None
    return _figure(dataset, dict([*shown.items()][:MAX_SHAPES]), rotations)


def _figure(dataset: Dataset, shapes: dict[str, dict[str, int]], rotations: Sequence[str]) -> Image.Image:
    lines = len(dataset.manifest.views) + 1
    width = SIDE_PX + len(rotations) * (CELL_PX + GAP_PX)
    height = HEAD_PX + len(shapes) * (lines * (CELL_PX + GAP_PX) + GAP_PX)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, rotation in enumerate(rotations):
        drawing.write(draw, SIDE_PX + column * (CELL_PX + GAP_PX), HEAD_PX - 6, rotation, 14)
    top = HEAD_PX
    for id, numbers in shapes.items():
        drawing.write(draw, 0, top + 16, id[:18], 14)
        for line, name in enumerate([*dataset.manifest.views, "surface"]):
            drawing.write(draw, 0, top + line * (CELL_PX + GAP_PX) + 36, name, 13, drawing.BLACK)
        for column, rotation in enumerate(rotations):
            for line, picture in enumerate(_cells(dataset, numbers[rotation])):
                place = (SIDE_PX + column * (CELL_PX + GAP_PX), top + line * (CELL_PX + GAP_PX))
                sheet.paste(Image.fromarray(picture), place)
        top += lines * (CELL_PX + GAP_PX) + GAP_PX
    return sheet


def _cells(dataset: Dataset, number: int) -> list[drawing.Picture]:
    """Return each view's image about the shape, and the surface as the first view has it in focus, at one scale."""
    scene, device = dataset.spec.scene(number), dataset.manifest.device
    sample = one_thread(lambda one: simulate(one, describe=False, device=device), scene)
    (shape,) = sample.shapes.values()
    half_nm = float(np.ptp(shape.surface.vertices_nm, axis=0).max()) * 0.6 + ROOM_NM
    window = Window(CELL_PX, CELL_PX, 2 * half_nm / CELL_PX)
    view = next(iter(sample.scene.views.values()))
    bands = [in_focus_band_nm(view.microscope, float(z)) for z in view.grid.centers_nm()[0]]
    fine = window.finer(2)
    surface = shaded(depth_nm(shape.surface, fine), fine.nm_per_px, bands)
    pictures = [
        _about_middle(dataset[number][f"{name}.image"], sample.scene.views[name], window) for name in scene.views
    ]
    last = drawing.resized(surface, CELL_PX, CELL_PX)
    return [*pictures, drawing.with_scale_bar(last, window.nm_per_px, on_paper=True)]


def _about_middle(image: NDArray[Any], view: View, window: Window) -> drawing.Picture:
    """Return the part of the image in focus that a window about the field's middle shows."""
    _, rows, columns = view.grid.shape
    plane = image[int(np.argmin(np.abs(view.grid.centers_nm()[0])))]
    half_px = window.rows * window.nm_per_px / view.grid.pixel_nm / 2
    left, right = (min(max(columns / 2 + side * half_px, 0), columns) for side in (-1, 1))
    top, bottom = (min(max(rows / 2 + side * half_px, 0), rows) for side in (-1, 1))
    part = plane[int(top) : math.ceil(bottom), int(left) : math.ceil(right)]
    picture = drawing.grey(plane, float(part.min()), float(part.max()))
    return drawing.resized(picture, window.rows, window.columns, box=(left, top, right, bottom))
