"""Solids to learn from: a shape of a library with its distances everywhere, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mishape.engine.library import Entry
from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh, Points, Shape

NODES, ROOM = 96, 3
"""Steps along the longest edge of a lattice made for a shape that brings none, and around it."""
RIM = 2
"""Voxels at a volume's border that smoothing drew a cut shape's surface into."""


@dataclass(frozen=True)
class Everywhere:
    """A sampled field's distances, beyond its lattice too: there they grow by the way to it.

    Parameters
    ----------
    field
        Distances on a lattice.
    """

    field: SampledField

    def __call__(self, points_nm: Points) -> Points:
        """Return signed distances, (n,) nm, at (n, 3) points, nm."""
        end_nm = self.field.origin_nm + self.field.step_nm * (np.array(self.field.values.shape) - 1)
        beyond_nm = points_nm - points_nm.clip(self.field.origin_nm, end_nm)
        return np.asarray(self.field(points_nm) + np.sqrt(np.einsum("ij,ij->i", beyond_nm, beyond_nm)))


@dataclass(frozen=True)
class Solid:
    """A shape to learn from.

    Parameters
    ----------
    id, fold
        Of the library's entry.
    mesh
        Its surface, own frame, nm.
    distance_nm
        (n, 3) points of its own frame -> signed distance, nm, negative inside.
    seen_nm
        (2, 3) corners of the part of the own frame in which a border cuts it, beyond which it goes on; infinite of
        whole ones, around which there is nothing of them.
    weight
        How many shapes of its size it stands for: long ones are seldom whole in a small volume. 0 for one that no
        distribution is learned from, as it is cut, or made.
    licence, source
        The shape's.
    """

    id: str
    fold: str | None
    mesh: Mesh
    distance_nm: Callable[[Points], Points]
    seen_nm: Points
    weight: float
    licence: str = ""
    source: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it was found, and no border cuts it."""
        return self.weight > 0


def solid_of_entry(entry: Entry) -> Solid:
    """Return a library's shape as a solid."""
    if entry.fields.get("touches_border"):
        return solid_of(entry.shape(), _seen_nm(entry), weight=0.0)
    return solid_of(entry.shape(), weight=float(entry.fields.get("inclusion_weight") or 1.0))


def solid_of(shape: Shape, seen_nm: Points | None = None, weight: float = 1.0) -> Solid:
    """Return a shape as a solid, seen all around if nothing else is said."""
    field = Everywhere(distances(shape))
    seen = everywhere() if seen_nm is None else seen_nm
    return Solid(shape.id, shape.fold, shape.surface, field, seen, weight, shape.licence, shape.source)


def everywhere() -> Points:
    """Return what is seen of a shape that no border cuts."""
    return np.array([[-np.inf] * 3, [np.inf] * 3])


def _seen_nm(entry: Entry) -> Points | None:
    """Return the corners of the part of an entry's volume where its surface is its own, in its own frame."""
    about = entry.library.meta.get("volumes", {}).get(entry.fields.get("volume"))
    if about is None or "place_nm" not in entry.fields:
        return None
    voxel_nm, origin_nm = np.array(about["voxel_nm"]), np.array(about["origin_nm"], np.float64)
    voxels = np.array([np.full(3, RIM), np.array(about["shape"]) - RIM])
    return np.asarray(origin_nm + (voxels - 0.5) * voxel_nm - np.array(entry.place_nm))


def distances(shape: Shape) -> SampledField:
    """Return a shape's signed distances on a lattice; on that of its own sampled field, if it has one."""
    if shape.implicit is None or not isinstance(shape.implicit.field, SampledField):
        return sampled(shape, _resolving_nm(shape))
    own = shape.implicit.field
    values = euclidean(own.values < 0, own.step_nm)
    near = np.abs(values) < own.step_nm.mean()
    return SampledField(np.where(near, own.values, values).astype(np.float32), own.origin_nm, own.step_nm)


def sampled(shape: Shape, step_nm: float) -> SampledField:
    """Return a solid on a lattice of one step, with signed distances near its surface.

    A function of a solid is one of distances itself. Of a mesh they are told by the plane of the nearest triangle.
    """
    low, high = shape.surface.vertices_nm.min(axis=0), shape.surface.vertices_nm.max(axis=0)
    counts = np.ceil((high - low) / step_nm).astype(int) + 2 * ROOM + 1
    axes = [start + step_nm * (np.arange(count) - ROOM) for start, count in zip(low, counts.tolist(), strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    if shape.implicit is not None:
        values = shape.implicit.field(points)
    else:
        inside = shape.inside(points)
        values = euclidean(inside.reshape(counts), np.full(3, step_nm)).ravel()
        near = np.abs(values) < 2 * step_nm
        coarse = np.abs(values[near])
        fine = _from_planes(shape.surface, points[near]).clip(coarse - step_nm, coarse + step_nm)
        values[near] = np.where(inside[near], -1, 1) * np.maximum(fine, 0)
    return SampledField(
        values.reshape(counts).astype(np.float32), np.array([axis[0] for axis in axes]), np.full(3, step_nm)
    )


def _resolving_nm(shape: Shape) -> float:
    """Return a step that resolves a shape: of a long thin solid, its thickness."""
    step = float(np.ptp(shape.surface.vertices_nm, axis=0).max()) / NODES
    return step if shape.implicit is None else min(step, shape.implicit.step_nm)


def euclidean(inside: NDArray[np.bool_], step_nm: Points) -> Points:
    """Return Euclidean distances to the surface, nm, which lies about half a voxel before the other side."""
    from scipy.ndimage import distance_transform_edt

    step, half = step_nm.tolist(), float(step_nm.mean()) / 2
    outer, inner = (np.asarray(distance_transform_edt(part, sampling=step)) for part in (~inside, inside))
    return np.where(inside, half - inner, outer - half)


def _from_planes(mesh: Mesh, points: Points) -> Points:
    """Return unsigned distances of points to the planes of the triangles whose middles are nearest."""
    from scipy.spatial import cKDTree

    corners = mesh.vertices_nm[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(min=1e-300)
    middles = corners.mean(axis=1)
    nearest = cKDTree(middles).query(points)[1]
    return np.asarray(np.abs(np.einsum("ij,ij->i", points - middles[nearest], normals[nearest])))


def of_folds(solids: Iterable[Solid], folds: Iterable[str] | None = None, without: Iterable[str] = ()) -> list[Solid]:
    """Return those solids whose fold is one of some, and none of others."""
    wanted, unwanted = None if folds is None else {*folds}, {*without}
    return [solid for solid in solids if (wanted is None or solid.fold in wanted) and solid.fold not in unwanted]
