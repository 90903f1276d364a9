"""The panels of a view: its light, masks and surfaces, each as a picture with a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.scene import View
from mishape.engine.types import Emitters, Grid, Mesh, Raster, Sample
from mishape.plugins.reports import drawing
from mishape.plugins.reports.drawing import CYAN, ORANGE, Mask, Picture
from mishape.plugins.reports.rendering import depth_nm, joined, shaded, xz_section
from mishape.plugins.truths.in_focus import in_focus_band_nm
from mishape.plugins.truths.masks_2d import shown_objects

SMALLEST_PX, LARGEST_PX = 200, 512
"""The longer side of a panel lies between these."""
MAX_PLANES = 5
BEYOND_PLANES_NM = 1000.0
MAX_SECTION_COLUMNS, MAX_SECTION_PLANES = 128, 40
CLOSEST = 1.3
"""Width of the surface's panel over that of the shapes."""


@dataclass(frozen=True)
class Panel:
    """One picture of the sheet, its label, and the size of its pixels (0: it has none)."""

    label: str
    picture: Picture
    nm_per_px: float = 0.0


@dataclass(frozen=True)
class Field:
    """What one view of a sample shows, and the size at which it is drawn."""

    sample: Sample
    name: str

    @cached_property
    def view(self) -> View:
        """The view."""
        return self.sample.scene.views[self.name]

    @cached_property
    def tile_grid(self) -> Grid:
        """The pixels of one tile's part of a panel, on one plane."""
        _, rows, columns = self.view.grid.shape
        down, across = self.view.montage
        longest = max(rows * down, columns * across)
        factor = max(1, -(-SMALLEST_PX // longest)) if longest <= LARGEST_PX else LARGEST_PX / longest
        size = max(1, round(rows * factor)), max(1, round(columns * factor))
        return Grid((1, *size), self.view.grid.pixel_nm / factor)

    @property
    def size_px(self) -> tuple[int, int]:
        """Rows and columns of a panel."""
        return self.tile_grid.shape[1] * self.view.montage[0], self.tile_grid.shape[2] * self.view.montage[1]

    @cached_property
    def tiles(self) -> list[tuple[Mesh, Emitters]]:
        """Each tile's shown meshes as one, and the emitters with the photons that reach the view."""
        shown = set(shown_objects(self.sample, self.name))
        return [self._tile(tile, shown) for tile in range(self.view.tiles)]

    def _tile(self, tile: int, shown: set[int]) -> tuple[Mesh, Emitters]:
        things, emitters = self.sample.scene.objects, self.sample.emitters
        weights = np.array([self.view.weight(thing.channel) * (thing.tile == tile) for thing in things] or [0.0])
        photons = emitters.photons * weights[emitters.owner]
        seen = Emitters(emitters.xyz_nm[photons > 0], photons[photons > 0])
        return joined(self.sample.shapes[n].surface for n in sorted(shown) if things[n].tile == tile), seen

    def covered(self, grid: Grid) -> Mask:
        """Return where shapes cover pixels' centres, all tiles put together."""
        return self.put_together([np.isfinite(depth_nm(mesh, grid)) for mesh, _ in self.tiles])

    def brightest_nm(self) -> list[tuple[float, float]]:
        """Return, per tile, x and y of the brightest pixel."""
        _, y, x = self.view.grid.centers_nm()
        down, across = self.view.montage
        light = self.sample.photons[self.name].max(axis=0).reshape(down, len(y), across, len(x))
        flat = light.swapaxes(1, 2).reshape(self.view.tiles, -1).argmax(axis=1)
        return [(float(x[pixel % len(x)]), float(y[pixel // len(x)])) for pixel in flat]

    def put_together(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Lay the tiles' (rows, columns, ...) arrays out as the montage."""
        down, across = self.view.montage
        bands = [np.concatenate(parts[row * across : (row + 1) * across], axis=1) for row in range(down)]
        return np.concatenate(bands, axis=0)


def panels_of(sample: Sample, view_name: str) -> dict[str, Panel]:
    """Return the panels of one view: ``camera0`` and on, ``light``, ``mask``, ``instances``, ``xz``, ``surface``."""
    field = Field(sample, view_name)
    panels = {**_camera(field), "light": _light(field), "mask": _mask(field)}
    instances = sample.truths.get(f"{view_name}.masks_3d")
    if isinstance(instances, Raster):
        picture = drawing.instance_colours(instances.data.max(axis=0))
        panels["instances"] = _on_field(field, "3D masks, max over z", picture)
    return {**panels, "xz": _section(field), "surface": _surface(field)}


def _on_field(field: Field, label: str, picture: Picture) -> Panel:
    return _measured(label, drawing.resized(picture, *field.size_px), field.tile_grid.pixel_nm)


def _measured(label: str, picture: Picture, nm_per_px: float) -> Panel:
    return Panel(label, drawing.with_scale_bar(picture, nm_per_px), nm_per_px)


def _camera(field: Field) -> dict[str, Panel]:
    image, planes = field.sample.images[field.name], field.view.grid.centers_nm()[0]
    low, high = drawing.shown_range(image)
    chosen = np.unique(np.rint(np.linspace(0, len(planes) - 1, min(len(planes), MAX_PLANES))).astype(int))
    return {
        f"camera{slot}": _on_field(field, f"camera, z {planes[plane]:g} nm", drawing.grey(image[plane], low, high))
        for slot, plane in enumerate(chosen)
    }


def _light(field: Field) -> Panel:
    """The noise-free light of the plane nearest to z = 0, under the outlines of the silhouettes."""
    planes, photons = field.view.grid.centers_nm()[0], field.sample.photons[field.name]
    plane = int(np.argmin(np.abs(planes)))
    picture = drawing.resized(drawing.grey(photons[plane], 0, drawing.shown_range(photons)[1]), *field.size_px)
    border = drawing.outline(field.covered(field.tile_grid))
    marked = np.where(border[..., None], np.array(CYAN, np.uint8), picture)
    return _measured(f"noise-free, z {planes[plane]:g} nm, outline", marked, field.tile_grid.pixel_nm)


def _mask(field: Field) -> Panel:
    mask = field.sample.truths.get(f"{field.name}.masks_2d")
    if isinstance(mask, Raster):
        return _on_field(field, "2D masks", drawing.instance_colours(mask.data[0]))
    grid = Grid((1, *field.view.grid.shape[1:]), field.view.grid.pixel_nm)
    return _on_field(field, "silhouette", drawing.instance_colours(field.covered(grid)))


def _section(field: Field) -> Panel:
    """Light along the optical axis, through each tile's brightest pixel; the focal planes are dashed.

    A field much wider than the section is high is cut about that pixel.
    """
    planes, (_, _, columns) = field.view.grid.centers_nm()[0], field.tile_grid.shape
    field_nm = columns * field.tile_grid.pixel_nm
    height_nm = min(float(np.ptp(planes)) + 2 * BEYOND_PLANES_NM, 2 * field_nm)
    width_nm = min(field_nm, 4 * height_nm)
    nm_per_px, top_nm = width_nm / columns, (planes.min() + planes.max() + height_nm) / 2
    rows = max(1, round(height_nm / nm_per_px))
    across = max(2, min(columns, MAX_SECTION_COLUMNS))
    down = max(2, min(round(rows * across / columns), MAX_SECTION_PLANES))
    x = ((np.arange(across) + 0.5) / across - 0.5) * width_nm
    z = top_nm - (np.arange(down) + 0.5) / down * height_nm
    most = (field_nm - width_nm) / 2
    light = [
        xz_section(field.view.microscope, seen, x + np.clip(middle_nm, -most, most), z, y_nm)
        for (_, seen), (middle_nm, y_nm) in zip(field.tiles, field.brightest_nm(), strict=True)
    ]
    most_light = float(np.max(light))
    pictures = [drawing.resized(drawing.grey(part, 0, most_light), rows, columns, smooth=True) for part in light]
    lines = np.floor((top_nm - planes) / nm_per_px).astype(int)
    marked = [_dashed(picture, lines) for picture in pictures]
    return _measured("XZ, brightest pixel, z up", field.put_together(marked), nm_per_px)


def _dashed(picture: Picture, lines: NDArray[np.int64]) -> Picture:
    """Draw dashed lines along the rows of those numbers that the picture has."""
    rows, columns = picture.shape[:2]
    dashed = np.zeros((rows, columns, 1), dtype=bool)
    dashed[lines[(lines >= 0) & (lines < rows)]] = (np.arange(columns) % 12 < 4)[:, None]
    return np.where(dashed, np.array(ORANGE, np.uint8), picture)


def _surface(field: Field) -> Panel:
    """The surfaces from the objective's side, drawn as large as the panel allows; orange is in focus in some plane."""
    bands = [in_focus_band_nm(field.view.microscope, float(z)) for z in field.view.grid.centers_nm()[0]]
    grid, moved = _closer(field.tile_grid, [mesh for mesh, _ in field.tiles])
    finer = 2 if max(field.size_px) < LARGEST_PX else 1
    fine = Grid((1, finer * grid.shape[1], finer * grid.shape[2]), grid.pixel_nm / finer)
    pictures = [shaded(depth_nm(mesh, fine), fine.pixel_nm, bands) for mesh in moved]
    smooth = [drawing.resized(picture, *grid.shape[1:]) for picture in pictures]
    return _measured("surface, orange: in focus", field.put_together(smooth), grid.pixel_nm)


def _closer(grid: Grid, meshes: list[Mesh]) -> tuple[Grid, list[Mesh]]:
    """Return a grid of smaller pixels that the largest mesh still fits, and the meshes moved into its middle."""
    boxes = [
        np.array([part.vertices_nm.min(axis=0), part.vertices_nm.max(axis=0)]) for part in meshes if len(part.faces)
    ]
    if not boxes:
        return grid, meshes
    field_nm = np.array([grid.shape[2], grid.shape[1]]) * grid.pixel_nm
    share = CLOSEST * max(float((np.ptp(box, axis=0)[:2] / field_nm).max()) for box in boxes)
    if share >= 1:
        return grid, meshes
    middles = iter([[*box.mean(axis=0)[:2], 0.0] for box in boxes])
    moved = [
        replace(part, vertices_nm=part.vertices_nm - next(middles)) if len(part.faces) else part for part in meshes
    ]
    return replace(grid, pixel_nm=grid.pixel_nm * share), moved
