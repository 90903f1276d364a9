"""Shapes and light as a camera does not show them: shaded surfaces, and sections along the optical axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mishape.engine.geometry import crossings
from mishape.engine.protocols import Microscope
from mishape.engine.types import Emitters, Grid, Mesh, Points
from mishape.plugins.reports.drawing import ORANGE, Picture

LIGHT = np.array([-0.45, -0.55, -0.7]) / np.linalg.norm([-0.45, -0.55, -0.7])
"""Where the light comes from: the upper left, on the camera's side."""
GREY = np.array([176.0, 180.0, 188.0])
PAPER = np.array([246.0, 246.0, 248.0])
SECTION_EMITTERS = 4000
SECTION_REACH_NM, SECTION_STEP_NM, SECTION_DEPTH_NM = 4000.0, 20.0, 50.0


def joined(meshes: Iterable[Mesh]) -> Mesh:
    """Return one mesh of the triangles of all."""
    parts = list(meshes)
    if not parts:
        return Mesh(np.empty((0, 3)), np.empty((0, 3), np.int64))
    starts = np.cumsum([0, *(len(part.vertices_nm) for part in parts)])
    faces = [part.faces + start for part, start in zip(parts, starts[:-1], strict=True)]
    return Mesh(np.concatenate([part.vertices_nm for part in parts]), np.concatenate(faces))


def depth_nm(mesh: Mesh, grid: Grid) -> Points:
    """Return, (Y, X), the z at which the surface is first met from the objective's side; inf where it is not."""
    _, y, x = grid.centers_nm()
    columns, rows = np.meshgrid(x, y)
    line, z, _ = crossings(mesh, np.stack([columns.ravel(), rows.ravel()], axis=1))
    depth = np.full(columns.size, np.inf)
    np.minimum.at(depth, line, z)
    return depth.reshape(columns.shape)


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
    radii = np.arange(0.0, SECTION_REACH_NM, SECTION_STEP_NM)
    distance = np.hypot(x_nm[None, :] - xyz[:, :1], y_nm - xyz[:, 1:2])
    index = np.minimum(distance / SECTION_STEP_NM, len(radii)).astype(np.int64)
    section = np.empty((len(z_nm), len(x_nm)))
    for row, focus in enumerate(z_nm):
        table = np.pad(microscope.psf(radii, depths * SECTION_DEPTH_NM, float(focus)), ((0, 0), (0, 1)))
        section[row] = photons @ table[level[:, None], index]
    return section
