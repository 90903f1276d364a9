"""How well labels that came with a mesh agree with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.em.exchange import Labels
from mishape.engine.columns import inside_mesh
from mishape.engine.library import Library
from mishape.engine.occupancy import unpacked_labels
from mishape.engine.types import Mesh, Points

BAND = 0.05
"""In units of the longest edge: how far from the surface an offset of the labels is looked for."""
FACES_TRIED = 16
"""Per point: the faces with the nearest middles, among which the nearest is sought."""


@dataclass(frozen=True)
class Agreement:
    """Labels against the mesh that they came with.

    Parameters
    ----------
    share
        Of all labels: those that say what the mesh says.
    offset
        How far the mesh's surface would have to be moved outwards for the labels to agree best, in the mesh's unit.
    share_at_offset
        The labels that agree then.
    """

    share: float
    offset: float
    share_at_offset: float


def agreement(mesh: Mesh, labels: Labels) -> Agreement:
    """Compare labels with their mesh, both in the file's unit."""
    points = labels.box.own(labels.points)
    said, inside = unpacked_labels(labels.inside, len(points)), inside_mesh(mesh, points)
    agree = said == inside
    near, distance = _distance_near(mesh, points, BAND * labels.box.scale)
    signed = np.where(inside[near], -distance, distance)
    offset, right = _best_offset(signed, said[near])
    return Agreement(float(agree.mean()), offset, float((agree[~near].sum() + right) / len(points)))


def _distance_near(mesh: Mesh, points: Points, reach: float) -> tuple[NDArray[np.bool_], Points]:
    """Return which points may lie within reach of a mesh, and the distance of those."""
    import trimesh
    from scipy.spatial import cKDTree

    corners = mesh.vertices_nm[mesh.faces]
    middles = corners.mean(axis=1)
    radius = float(np.linalg.norm(corners - middles[:, None], axis=2).max())
    tree = cKDTree(middles)
    near = np.isfinite(tree.query(points, distance_upper_bound=reach + radius)[0])
    tried = min(FACES_TRIED, len(middles))
    faces = np.asarray(tree.query(points[near], k=tried)[1]).reshape(-1)
    asked = np.repeat(points[near], tried, axis=0)
    triangles: Any = trimesh.triangles
    with np.errstate(divide="ignore", invalid="ignore"):  # faces without an area give NaN, which fmin passes over
        on_face = triangles.closest_point(corners[faces], asked)
    apart = np.linalg.norm(on_face - asked, axis=1)
    return near, np.fmin.reduce(apart.reshape(-1, tried), axis=1)


def _best_offset(signed: Points, said: NDArray[np.bool_]) -> tuple[float, int]:
    """Return the signed distance below which points are best called inside, and how many labels are right then.

    Midway between the two points where the number of right labels changes; of equal ones, that nearest to 0.
    """
    order = np.argsort(signed)
    signed, said = signed[order], said[order]
    right = np.concatenate([[0], np.cumsum(np.where(said, 1, -1))]) + np.count_nonzero(~said)
    if not len(signed):
        return 0.0, 0
    edges = np.concatenate([signed[:1], signed, signed[-1:]])
    best = np.flatnonzero(right == right.max())
    low, high = edges[best], edges[best + 1]
    offsets = np.where((low <= 0) & (high >= 0), 0.0, (low + high) / 2)
    return float(offsets[np.abs(offsets).argmin()]), int(right.max())


def agreement_text(library: Library) -> str | None:
    """Say how well the released labels of a library agree with its meshes; None if there are none."""
    found = [entry for entry in library if "label_agreement" in entry.fields]
    if not found:
        return None
    share, moved, offset_nm = (
        np.array([entry.fields[name] for entry in found])
        for name in ("label_agreement", "label_agreement_at_offset", "label_offset_nm")
    )
    unit_nm = library.meta["unit_nm"]
    return (
        f"released labels agree with the meshes at {share.mean():.3%} of the points (lowest {share.min():.3%}); at "
        f"{moved.mean():.3%} with the surface moved outwards by {np.median(offset_nm):.2f} nm "
        f"({np.median(offset_nm) / unit_nm:.3f} units)"
    )
