"""Numbers that say what a solid looks like, whatever its size and pose."""

from __future__ import annotations

import math

import numpy as np

from mishape.em.centre_line import centre_line
from mishape.engine.geometry import principal_axes
from mishape.engine.measures import measures
from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh, Shape

SCALE_FREE = ("sphericity", "elongation", "flatness", "thickness_variation", "curvature", "branches", "genus")
SIZES = ("volume_um3", "length_nm", "thickness_nm")


def descriptors(shape: Shape) -> dict[str, float]:
    """Return what a shape looks like.

    Parameters
    ----------
    shape
        A closed solid with a sampled field.

    Returns
    -------
    dict
        ``sphericity``: area of the ball of its volume over its own. ``elongation``: longest edge of its principal box
        over the middle one; ``flatness``: that over the shortest. ``thickness_variation``: deviation of the distance
        from the centre line to the surface, over its mean. ``curvature``: integral of the mean curvature over that of
        the ball of its area, 1 for a ball. ``branches`` of the centre line and ``genus``; and of its size
        ``volume_um3``, ``length_nm`` and ``thickness_nm``.
    """
    assert shape.implicit is not None
    assert isinstance(shape.implicit.field, SampledField)
    mesh = shape.surface
    known, line = measures(shape), centre_line(shape.implicit.field, mesh)
    volume, area = known["volume_nm3"], known["area_nm2"]
    longest, middle, shortest = np.sort(np.ptp(mesh.vertices_nm @ principal_axes(mesh).T, axis=0))[::-1].tolist()
    return {
        "sphericity": math.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area,
        "elongation": longest / middle,
        "flatness": middle / shortest,
        "thickness_variation": line.thickness_variation,
        "curvature": mean_curvature_nm(mesh) / math.sqrt(4 * math.pi * area),
        "branches": float(line.branches),
        "genus": float(known["genus"]),
        "volume_um3": volume / 1e9,
        "length_nm": line.length_nm,
        "thickness_nm": line.thickness_nm,
    }


def mean_curvature_nm(mesh: Mesh) -> float:
    """Return the integral of the mean curvature over a closed mesh, nm: half of each edge's length times its angle.

    Angles are positive where the solid is convex (Steiner's formula for polyhedra); 4 pi r for a ball of radius r.
    """
    corners = mesh.vertices_nm[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(min=1e-300)
    start, end = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()
    face = np.repeat(np.arange(len(mesh.faces)), 3)
    count = len(mesh.vertices_nm)
    # Each edge runs once in each direction: sorted by its two ends, a face stands beside the one across.
    along, across = np.argsort(start * count + end), np.argsort(end * count + start)
    one, other = face[along], face[across]
    edges = mesh.vertices_nm[end[along]] - mesh.vertices_nm[start[along]]
    lengths = np.linalg.norm(edges, axis=1)
    turn = np.einsum("ij,ij->i", np.cross(normals[one], normals[other]), edges) / lengths.clip(min=1e-300)
    angles = np.arctan2(turn, np.einsum("ij,ij->i", normals[one], normals[other]))
    # Every edge was counted from both sides.
    return float((lengths * angles).sum() / 4)
