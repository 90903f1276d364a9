"""Pictures of a library's shapes: their surfaces, and sections through them beside the light of a microscope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mishape.em.volumes import Volume
from mishape.engine import geometry
from mishape.engine.grid import Grid
from mishape.engine.library import Entry
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Emitters, Points, Shape
from mishape.plugins.labelers.surface import Surface
from mishape.plugins.microscopes.epi import Epi
from mishape.plugins.reports import drawing
from mishape.plugins.reports.drawing import CYAN, Mask, Picture
from mishape.plugins.reports.look import spaced
from mishape.plugins.reports.raw_volumes import section
from mishape.plugins.reports.rendering import Window, depth_nm, shaded

SURFACE_PX, ROW_PX, GAP_PX = 220, 548, 4
RIM = 0.15
"""Room around a surface, as a share of its box."""
BLUR_NM = 400.0
"""Room for light around a section."""
Z_STEP_NM, MAX_PLANES = 192.0, 10
PIXEL_NM, MAX_PIXELS = 40.0, 256
"""Of the light: pixels are larger where more than so many would be needed across."""
MOST_EMITTERS, EMITTERS_PER_UM2 = 50_000, 2000.0


def surface_picture(shape: Shape) -> Picture:
    """Render a shape as seen from the objective, with a scale bar."""
    window = _window(shape, SURFACE_PX, RIM * float(np.ptp(shape.bounds_nm, axis=0)[:2].max()))
    fine = window.finer(2)
    picture = shaded(depth_nm(shape.surface, fine), fine.nm_per_px, [])
    smooth = drawing.resized(picture, SURFACE_PX, SURFACE_PX)
    return drawing.with_scale_bar(smooth, window.nm_per_px, on_paper=True)


def planes_of(shape: Shape) -> tuple[Points, int]:
    """Return the z of planes every 192 nm about a shape's middle that cut it, at most ten; and how many there are."""
    low, high = shape.bounds_nm[:, 2] / Z_STEP_NM
    numbers = np.arange(np.floor(low) + 1, np.ceil(high))
    every = (numbers if len(numbers) else np.array([(low + high) / 2])) * Z_STEP_NM
    return every[spaced(len(every), MAX_PLANES)], len(every)


@dataclass(frozen=True)
class Sections:
    """Sections through a shape.

    Parameters
    ----------
    entry
        The shape in its library.
    shape
        The same, read.
    planes_nm
        Their z in the shape's frame.
    raw
        The images that its labels were drawn on, if given.
    origin_nm
        (3,) where the middle of the raw volume's first voxel lies.
    """

    entry: Entry
    shape: Shape
    planes_nm: Points
    raw: Volume | None = None
    origin_nm: Sequence[float] = (0.0, 0.0, 0.0)

    def rows(self) -> list[Picture]:
        """Return a picture per plane, its parts side by side: section, raw image if given, surface, light.

        The surface is orange within half a step of the plane. All light, and all raw images, share one grey scale.
        """
        labels = [self._label(z) for z in self.planes_nm.tolist()]
        raws = [] if self.raw is None else [self._raws(self.raw, labels)]
        parts = zip(map(self._filled, labels), *raws, self._surfaces(), self._light(), strict=True)
        return [_beside(row) for row in parts]

    @cached_property
    def window(self) -> Window:
        """What each part shows: the shape and the light around it."""
        parts = 3 if self.raw is None else 4
        return _window(self.shape, (ROW_PX - GAP_PX * (parts - 1)) // parts, BLUR_NM)

    def _label(self, z_nm: float) -> Mask:
        """Return where the shape's field, or else its mesh, is cut by a plane."""
        y, x = self.window.centers_nm()
        columns, rows = np.meshgrid(x, y)
        points = np.stack([columns.ravel(), rows.ravel(), np.full(columns.size, z_nm)], axis=1)
        return self.shape.inside(points).reshape(columns.shape)

    def _filled(self, label: Mask) -> Picture:
        picture = np.where(label[..., None], np.array(CYAN, np.uint8), np.uint8(0))
        return drawing.with_scale_bar(picture, self.window.nm_per_px)

    def _surfaces(self) -> list[Picture]:
        fine = self.window.finer(2)
        depth, half = depth_nm(self.shape.surface, fine), Z_STEP_NM / 2
        pictures = [shaded(depth, fine.nm_per_px, [(z - half, z + half)]) for z in self.planes_nm.tolist()]
        return [drawing.resized(picture, self.window.rows, self.window.columns) for picture in pictures]

    def _light(self) -> list[Picture]:
        """Return what a widefield microscope sees, focused on each plane, without noise."""
        width_nm = self.window.columns * self.window.nm_per_px
        pixels = min(int(np.ceil(width_nm / PIXEL_NM)), MAX_PIXELS)
        grid = Grid((len(self.planes_nm), pixels, pixels), width_nm / pixels, planes_nm=tuple(self.planes_nm.tolist()))
        middle = [self.window.x_nm, self.window.y_nm, 0.0]
        emitters = _emitters(self.shape)
        light = Epi.model_validate({"preset": "epi1"}).image(Emitters(emitters.xyz_nm - middle, emitters.photons), grid)
        bright = float(light.max())
        size = self.window.rows, self.window.columns
        return [drawing.resized(drawing.grey(plane, 0, bright), *size, smooth=True) for plane in light]

    def _raws(self, raw: Volume, labels: list[Mask]) -> list[Picture]:
        """Return the raw images at the planes, with the label's outline."""
        voxel_nm, place_nm = np.array(self.entry.voxel_nm), np.array(self.entry.place_nm) - self.origin_nm
        ends = self.window.ends_nm()
        corners = [[np.append(end, z) for end in ends] for z in self.planes_nm.tolist()]
        found = [section(raw, *((corner + place_nm) / voxel_nm for corner in pair)) for pair in corners]
        values = np.concatenate([cut[np.isfinite(cut)] for cut, _ in found])
        low, high = drawing.shown_range(values) if len(values) else (0.0, 1.0)
        pictures = []
        for (cut, box), label in zip(found, labels, strict=True):
            shown = drawing.grey(np.nan_to_num(cut, nan=low), low, high)
            picture = drawing.resized(shown, self.window.rows, self.window.columns, box=box)
            pictures.append(np.where(drawing.outline(label)[..., None], np.array(CYAN, np.uint8), picture))
        return pictures


def _window(shape: Shape, size_px: int, margin_nm: float) -> Window:
    """Return a square window about a shape and a margin."""
    low, high = shape.bounds_nm[:, :2]
    middle = (low + high) / 2
    width_nm = float((high - low).max()) + 2 * margin_nm
    return Window(size_px, size_px, width_nm / size_px, float(middle[0]), float(middle[1]))


def _emitters(shape: Shape) -> Emitters:
    """Return emitters on a shape's surface, fewer per area on large ones; the same each time."""
    density = min(EMITTERS_PER_UM2, MOST_EMITTERS / (geometry.mesh_area_nm2(shape.surface) / 1e6))
    return Surface(density_per_um2=density).label(shape, stream(0, 0, Stage.LABEL, shape.id))


def _beside(parts: Sequence[Picture]) -> Picture:
    """Lay pictures of one size side by side on white."""
    gap = np.full((len(parts[0]), GAP_PX, 3), 255, np.uint8)
    spaced_out = [piece for part in parts for piece in (gap, part)][1:]
    return np.concatenate(spaced_out, axis=1)
