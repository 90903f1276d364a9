"""Shapes and light as a camera does not show them: shaded surfaces, and sections along the optical axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mishape.engine.columns import crossings
from mishape.engine.grid import Grid
from mishape.engine.protocols import Microscope
from mishape.engine.types import Emitters, Mesh, Points
from mishape.plugins.reports.drawing import ORANGE, PAPER, Picture

LIGHT = np.array([-0.45, -0.55, -0.7]) / np.linalg.norm([-0.45, -0.55, -0.7])
"""Where the light comes from: the upper left, on the camera's side."""
GREY = np.array([176.0, 180.0, 188.0])
SECTION_EMITTERS = 4000
SECTION_REACH_NM, SECTION_STEP_NM, SECTION_DEPTH_NM = 4000.0, 20.0, 50.0


@dataclass(frozen=True)
class Window:
    """A part of a field as a picture: unlike a `Grid` it may lie off the centre, and its pixels may be of any size."""

    rows: int
    columns: int
    nm_per_px: float
    x_nm: float = 0.0
    y_nm: float = 0.0

    def centers_nm(self) -> tuple[Points, Points]:
        """Return the centres of rows and columns, nm."""
        y = np.arange(self.rows, dtype=np.float64) - (self.rows - 1) / 2
        x = np.arange(self.columns, dtype=np.float64) - (self.columns - 1) / 2
        return y * self.nm_per_px + self.y_nm, x * self.nm_per_px + self.x_nm

    def ends_nm(self) -> Points:
        """Return the lowest and highest xy, (2, 2)."""
        half = np.array([self.columns, self.rows]) * self.nm_per_px / 2
        return np.array([self.x_nm, self.y_nm]) + np.stack([-half, half])

    def about(self, box_nm: Points, margin_nm: float) -> Window:
        """Return a window of the same number of pixels that lies in this one, about a box and a margin."""
        low, high = self.ends_nm()
        share = min(1.0, float(((np.ptp(box_nm, axis=0) + 2 * margin_nm) / (high - low)).max()))
        room = (high - low) * share / 2
        x, y = np.clip(box_nm.mean(axis=0), low + room, high - room)
        return replace(self, nm_per_px=self.nm_per_px * share, x_nm=float(x), y_nm=float(y))

    def finer(self, times: int) -> Window:
        """Return the same part with smaller pixels."""
        return replace(self, rows=self.rows * times, columns=self.columns * times, nm_per_px=self.nm_per_px / times)


def joined(meshes: Iterable[Mesh]) -> Mesh:
    """Return one mesh of the triangles of all."""
    parts = list(meshes)
    if not parts:
        return Mesh(np.empty((0, 3)), np.empty((0, 3), np.int64))
    starts = np.cumsum([0, *(len(part.vertices_nm) for part in parts)])
    faces = [part.faces + start for part, start in zip(parts, starts[:-1], strict=True)]
    return Mesh(np.concatenate([part.vertices_nm for part in parts]), np.concatenate(faces))


def depth_nm(mesh: Mesh, window: Window) -> Points:
    """Return, (Y, X), the z at which a closed surface is first met from the objective's side; inf where it is not.

    A solid is entered through a face that looks at the objective: the others are left out.
    """
    depth = np.full((window.rows, window.columns), np.inf)
    if not len(mesh.faces):
        return depth
    a, b, c = np.moveaxis(mesh.vertices_nm[mesh.faces, :2], 1, 0)
    (x_b, y_b), (x_c, y_c) = (b - a).T, (c - a).T
    towards = x_b * y_c < y_b * x_c
    low, high = mesh.vertices_nm.min(axis=0), mesh.vertices_nm.max(axis=0)
    y, x = window.centers_nm()
    under_y, under_x = (y >= low[1]) & (y <= high[1]), (x >= low[0]) & (x <= high[0])
    columns, rows = np.meshgrid(x[under_x], y[under_y])
    front = Mesh(mesh.vertices_nm, mesh.faces[towards])
    line, z, _ = crossings(front, np.stack([columns.ravel(), rows.ravel()], axis=1))
    first = np.full(columns.size, np.inf)
    np.minimum.at(first, line, z)
    depth[np.ix_(under_y, under_x)] = first.reshape(columns.shape)
    return depth


def shaded(depth: Points, pixel_nm: float, bands_nm: Sequence[tuple[float, float]]) -> Picture:
    """Render a surface given by its depth: lit from the upper left, darker with distance, orange within the bands."""
    met = np.isfinite(depth)
    if not met.any():
        return np.broadcast_to(PAPER, (*depth.shape, 3)).astype(np.uint8)
    near, far = depth[met].min(), depth[met].max()
    solid = np.where(met, depth, far)
    slope_y, slope_x = np.gradient(solid, pixel_nm)
    normal = np.stack([slope_x, slope_y, np.full_like(solid, -1.0)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = (0.42 + 0.58 * np.clip(normal @ LIGHT, 0, 1)) * (1 - 0.25 * (solid - near) / max(far - near, 1.0))
    sharp = np.any([(depth >= low) & (depth <= high) for low, high in bands_nm], axis=0)
    colour = np.where(sharp[..., None], np.array(ORANGE, dtype=np.float64), GREY) * light[..., None] * 1.08
    return np.clip(np.where(met[..., None], colour, PAPER), 0, 255).astype(np.uint8)


def xz_section(microscope: Microscope, emitters: Emitters, x_nm: Points, z_nm: Points, y_nm: float) -> Points:
    """Return the expected light of a row of pixels as the focus moves through z: (len(z_nm), len(x_nm)), any unit.

    A picture, not a measurement: a PSF microscope is asked for its PSF at the pixels' centres, emitters count as
    lying on planes 50 nm apart, and of more than 4000 emitters an even choice stands for all. Any other microscope
    is asked for images of a single row.
    """
    stride = max(1, -(-len(emitters) // SECTION_EMITTERS))
    xyz, photons = emitters.xyz_nm[::stride], emitters.photons[::stride]
    if not len(photons):
        return np.zeros((len(z_nm), len(x_nm)))
    if not hasattr(microscope, "psf"):
        grid = Grid((len(z_nm), 1, len(x_nm)), float(x_nm[1] - x_nm[0]), planes_nm=tuple(z_nm.tolist()))
        middle = [float(x_nm.mean()), y_nm, 0.0]
        return np.asarray(microscope.image(Emitters(xyz - middle, photons), grid)[:, 0])
    depths, level = np.unique(np.rint(xyz[:, 2] / SECTION_DEPTH_NM), return_inverse=True)
    distance = np.hypot(x_nm[None, :] - xyz[:, :1], y_nm - xyz[:, 1:2])
    radii = np.arange(0.0, min(SECTION_REACH_NM, float(distance.max()) + SECTION_STEP_NM), SECTION_STEP_NM)
    index = np.minimum(distance / SECTION_STEP_NM, len(radii)).astype(np.int64)
    section = np.empty((len(z_nm), len(x_nm)))
    for row, focus in enumerate(z_nm):
        table = np.pad(microscope.psf(radii, depths * SECTION_DEPTH_NM, float(focus)), ((0, 0), (0, 1)))
        section[row] = photons @ table[level[:, None], index]
    return section
