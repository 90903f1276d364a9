"""What one view of a sample shows, and the windows through which pictures show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.scene import View
from mishape.engine.types import Emitters, Mesh, Points, Sample
from mishape.plugins.reports import drawing
from mishape.plugins.reports.drawing import Picture
from mishape.plugins.reports.rendering import Window, joined
from mishape.plugins.truths.masks_2d import shown_objects

SMALLEST_PX, LARGEST_PX = 200, 512
"""The longer side of a panel lies between these."""
ZOOM_BELOW = 1 / 2
"""Shapes that need less than this share of the field are shown zoomed."""
BLUR_NM = 400.0
"""Room for the light around zoomed shapes."""
RIM = 0.15
"""Room around the surfaces, as a share of their box."""


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
    def whole(self) -> Window:
        """One tile's part of a panel."""
        _, rows, columns = self.view.grid.shape
        down, across = self.view.montage
        longest = max(rows * down, columns * across)
        factor = max(1, -(-SMALLEST_PX // longest)) if longest <= LARGEST_PX else LARGEST_PX / longest
        return Window(max(1, round(rows * factor)), max(1, round(columns * factor)), self.view.grid.pixel_nm / factor)

    @property
    def size_px(self) -> tuple[int, int]:
        """Rows and columns of a panel."""
        return self.whole.rows * self.view.montage[0], self.whole.columns * self.view.montage[1]

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

    @cached_property
    def shown(self) -> Window:
        """The window of noise-free light and masks: about the shapes where these are small, else the whole field.

        The fields of a montage differ in where their shapes lie: they are shown whole.
        """
        near = self.whole if self._box_nm is None else self.whole.about(self._box_nm, BLUR_NM)
        return near if near.nm_per_px < ZOOM_BELOW * self.whole.nm_per_px else self.whole

    @property
    def zoomed(self) -> bool:
        """Whether light and masks show a part of the field."""
        return self.shown is not self.whole

    @cached_property
    def close_up(self) -> Window:
        """The window of the surfaces: as near as they allow; the whole field of a montage."""
        if self._box_nm is None:
            return self.whole
        return self.whole.about(self._box_nm, RIM * float(np.ptp(self._box_nm, axis=0).max()))

    def shown_range(self, values: NDArray[Any]) -> tuple[float, float]:
        """Return the values, of (Z, Y, X), shown black and white; small shapes are a small share of them, yet count."""
        low, high = drawing.shown_range(values)
        if self.zoomed:
            _, y, x = self.view.grid.centers_nm()
            first, last = self.shown.ends_nm()
            near = values[:, (y > first[1]) & (y < last[1])][:, :, (x > first[0]) & (x < last[0])]
            high = max(high, float(near.max(initial=high)))
        return low, high

    @cached_property
    def _box_nm(self) -> Points | None:
        """The lowest and highest xy, (2, 2), of what the shapes have within the field; none in a montage."""
        mesh = self.tiles[0][0]
        if self.view.tiles > 1 or not len(mesh.faces):
            return None
        half = np.array(self.view.grid.half_field_nm())
        box = np.stack([mesh.vertices_nm[:, :2].min(axis=0), mesh.vertices_nm[:, :2].max(axis=0)])
        box = np.clip(box, -half, half)
        return box if np.all(box[0] < box[1]) else None

    def picture(self, raster: Picture, window: Window) -> Picture:
        """Return what a window shows of a raster that covers the field, all tiles put together."""
        if self.view.tiles > 1:
            return drawing.resized(raster, *self.size_px)
        size = np.array(raster.shape[1::-1])
        field_nm = np.array([self.whole.columns, self.whole.rows]) * self.whole.nm_per_px
        ends = np.clip(window.ends_nm() / field_nm + 0.5, 0, 1) * size
        return drawing.resized(raster, window.rows, window.columns, box=tuple(ends.ravel().tolist()))

    def brightest(self) -> tuple[int, float, float]:
        """Return the number of the tile that holds the brightest pixel, and that pixel's x and y in it."""
        _, y, x = self.view.grid.centers_nm()
        light = self.sample.photons[self.name].max(axis=0)
        row, column = np.unravel_index(int(light.argmax()), light.shape)
        down, inner_row = divmod(int(row), len(y))
        across, inner_column = divmod(int(column), len(x))
        return down * self.view.montage[1] + across, float(x[inner_column]), float(y[inner_row])

    def put_together(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Lay the tiles' (rows, columns, ...) arrays out as the montage."""
        down, across = self.view.montage
        bands = [np.concatenate(parts[row * across : (row + 1) * across], axis=1) for row in range(down)]
        return np.concatenate(bands, axis=0)
