"""The panels of a view: its light, masks and surfaces, each as a picture with a label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mishape.engine.types import Points, Raster
from mishape.plugins.reports import drawing
from mishape.plugins.reports.drawing import CYAN, ORANGE, Picture
from mishape.plugins.reports.field import LARGEST_PX, Field
from mishape.plugins.reports.rendering import Window, depth_nm, shaded, xz_section
from mishape.plugins.truths.in_focus import in_focus_band_nm

MAX_PLANES = 3
BEYOND_PLANES_NM = 1000.0
MAX_SECTION_COLUMNS, SECTION_PLANE_NM, MAX_SECTION_PLANES = 128, 100.0, 32


@dataclass(frozen=True)
class Panel:
    """One picture of the sheet: what it shows, how, its pixels, and their size."""

    label: str
    note: str
    picture: Picture
    nm_per_px: float


def panels_of(field: Field) -> dict[str, Panel]:
    """Return the panels of one view: ``camera0`` and on, ``light``, ``mask``, ``instances``, ``xz``, ``surface``."""
    panels = {**_camera(field), "light": _light(field), "mask": _mask(field)}
    instances = field.sample.truths.get(f"{field.name}.masks_3d")
    if isinstance(instances, Raster):
        panels["instances"] = _instances(field, instances)
    return {**panels, "xz": _section(field), "surface": _surface(field)}


def chosen_planes(planes_nm: Points) -> list[int]:
    """Return the numbers of the planes to show, by height: at most the lowest, the one nearest z = 0, the highest."""
    order = [int(plane) for plane in np.argsort(planes_nm, kind="stable")]
    if len(order) <= MAX_PLANES:
        return order
    return list(dict.fromkeys([order[0], _nearest_focus(planes_nm), order[-1]]))


def _nearest_focus(planes_nm: Points) -> int:
    return int(np.argmin(np.abs(planes_nm)))


def _camera(field: Field) -> dict[str, Panel]:
    image, planes = field.sample.images[field.name], field.view.grid.centers_nm()[0]
    low, high = field.shown_range(image)
    panels = {}
    for slot, plane in enumerate(chosen_planes(planes)):
        picture = field.picture(drawing.grey(image[plane], low, high), field.whole)
        note = f"z {planes[plane]:g} nm"
        if field.zoomed:
            ends = field.shown.ends_nm() / field.whole.nm_per_px + np.array([field.whole.columns, field.whole.rows]) / 2
            picture, note = drawing.with_frame(picture, *ends.ravel().tolist()), f"{note}, frame: zoomed"
        shown = drawing.with_scale_bar(picture, field.whole.nm_per_px)
        panels[f"camera{slot}"] = Panel("camera", note, shown, field.whole.nm_per_px)
    return panels


def _shown(field: Field, label: str, note: str, picture: Picture) -> Panel:
    """Return a panel of what the field's window shows, framed like its place in the camera's panel."""
    nm_per_px = field.shown.nm_per_px
    measured = drawing.with_scale_bar(picture, nm_per_px)
    if not field.zoomed:
        return Panel(label, note, measured, nm_per_px)
    rows, columns = picture.shape[:2]
    return Panel(f"{label}, zoomed", note, drawing.with_frame(measured, 0, 0, columns, rows), nm_per_px)


def _light(field: Field) -> Panel:
    """The noise-free light of the plane nearest to z = 0, under the outlines of the silhouettes."""
    planes, photons = field.view.grid.centers_nm()[0], field.sample.photons[field.name]
    plane = _nearest_focus(planes)
    picture = field.picture(drawing.grey(photons[plane], 0, field.shown_range(photons)[1]), field.shown)
    border = drawing.outline(_covered(field, field.shown))
    marked = np.where(border[..., None], np.array(CYAN, np.uint8), picture)
    return _shown(field, "noise-free", f"z {planes[plane]:g} nm, outline", marked)


def _covered(field: Field, window: Window) -> drawing.Mask:
    """Return where shapes cover pixels' centres, all tiles put together."""
    return field.put_together([np.isfinite(depth_nm(mesh, window)) for mesh, _ in field.tiles])


def _mask(field: Field) -> Panel:
    mask = field.sample.truths.get(f"{field.name}.masks_2d")
    if isinstance(mask, Raster):
        label, labels = "2D mask", mask.data[0]
    else:
        _, rows, columns = field.view.grid.shape
        label, labels = "silhouette", _covered(field, Window(rows, columns, field.view.grid.pixel_nm))
    return _shown(field, label, "camera pixels", field.picture(drawing.instance_colours(labels), field.shown))


def _instances(field: Field, mask: Raster) -> Panel:
    at_planes = mask.data.shape == field.sample.images[field.name].shape
    where = "at the planes" if at_planes else f"{mask.grid.pixel_nm:g} nm voxels"
    picture = field.picture(drawing.instance_colours(mask.data.max(axis=0)), field.shown)
    return _shown(field, "3D mask", f"{where}, max over z", picture)


def _section(field: Field) -> Panel:
    """Light along the optical axis, through the brightest pixel; the focal planes are dashed.

    A field much wider than the section is high is cut about that pixel; shapes shown zoomed need no more than a square.
    """
    planes, (_, columns) = field.view.grid.centers_nm()[0], field.size_px
    field_nm = field.whole.columns * field.whole.nm_per_px
    height_nm = min(float(np.ptp(planes)) + 2 * BEYOND_PLANES_NM, 2 * field_nm)
    shown_nm = field.shown.columns * field.shown.nm_per_px
    width_nm = min(field_nm, max(shown_nm, height_nm) if field.zoomed else 4 * height_nm)
    nm_per_px, top_nm = width_nm / columns, (planes.min() + planes.max() + height_nm) / 2
    rows = max(1, round(height_nm / nm_per_px))
    tile, x_nm, y_nm = field.brightest()
    most = (field_nm - width_nm) / 2
    x = _centres(max(2, min(columns, MAX_SECTION_COLUMNS)), width_nm) + np.clip(x_nm, -most, most)
    down = int(np.clip(height_nm / SECTION_PLANE_NM, 2, MAX_SECTION_PLANES))
    z = (planes.min() + planes.max()) / 2 - _centres(down, height_nm)
    light = xz_section(field.view.microscope, field.tiles[tile][1], x, z, y_nm)
    picture = drawing.resized(drawing.grey(light, 0, float(light.max())), rows, columns, smooth=True)
    marked = _dashed(picture, np.floor((top_nm - planes) / nm_per_px).astype(int))
    label = f"XZ{' of one field' if field.view.tiles > 1 else ''}{', zoomed' if width_nm < field_nm else ''}"
    return Panel(label, "brightest pixel, z up", drawing.with_scale_bar(marked, nm_per_px), nm_per_px)


def _centres(count: int, length_nm: float) -> Points:
    """Return the centres of equal parts of a length about 0."""
    return ((np.arange(count) + 0.5) / count - 0.5) * length_nm


def _dashed(picture: Picture, lines: NDArray[np.int64]) -> Picture:
    """Draw dashed lines along the rows of those numbers that the picture has."""
    rows, columns = picture.shape[:2]
    dashed = np.zeros((rows, columns, 1), dtype=bool)
    dashed[lines[(lines >= 0) & (lines < rows)]] = (np.arange(columns) % 12 < 4)[:, None]
    return np.where(dashed, np.array(ORANGE, np.uint8), picture)


def _surface(field: Field) -> Panel:
    """The surfaces from the objective's side, drawn as large as the panel allows; orange is in focus in some plane."""
    bands = [in_focus_band_nm(field.view.microscope, float(z)) for z in field.view.grid.centers_nm()[0]]
    window = field.close_up
    fine = window.finer(2 if max(field.size_px) < LARGEST_PX else 1)
    pictures = [shaded(depth_nm(mesh, fine), fine.nm_per_px, bands) for mesh, _ in field.tiles]
    smooth = [drawing.resized(picture, window.rows, window.columns) for picture in pictures]
    measured = drawing.with_scale_bar(field.put_together(smooth), window.nm_per_px, on_paper=True)
    zoomed = window.nm_per_px < field.whole.nm_per_px
    return Panel(f"surface{', zoomed' if zoomed else ''}", "orange: in focus", measured, window.nm_per_px)
