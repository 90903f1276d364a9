"""How far a found solid's surface lies from the true one, and how their sizes and topologies differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from mishape.engine.cells import Field, gradient
from mishape.engine.geometry import principal_axes, sample_surface
from mishape.engine.measures import measures
from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh, Points, Shape
from mishape.learn.lit import Posed

POINTS = 100_000
"""On each surface. A surface of area A sampled twice by n points lies sqrt(A / n) / 2 from itself."""
NORMAL_NM = 8.0
"""Half of the way over which a normal is measured."""


@dataclass(frozen=True)
class Apart:
    """Two surfaces, point by point.

    Parameters
    ----------
    to_true_nm, to_found_nm
        (points,) Euclidean distances from points of the found surface to the nearest of the true one, and back, nm.
    to_true_cos, to_found_cos
        (points,) cosines of the angles between the normals there, 0 to 1: the sides do not count.
    """

    to_true_nm: Points
    to_found_nm: Points
    to_true_cos: Points
    to_found_cos: Points

    @classmethod
    def of(cls, posed: Posed, field: SampledField, mesh: Mesh, points: int, rng: Generator) -> Apart:
        """Measure points on the true surface and on a field's, drawn by area."""
        from scipy.spatial import cKDTree

        true_nm = sample_surface(posed.solid.mesh.moved(posed.pose), points, rng)
        found_nm = sample_surface(mesh, points, rng)
        to_true_nm, there = cKDTree(true_nm).query(found_nm)
        to_found_nm, back = cKDTree(found_nm).query(true_nm)
        true_normal, found_normal = _normals(posed.distance_nm, true_nm), _normals(field, found_nm)
        return cls(
            np.asarray(to_true_nm),
            np.asarray(to_found_nm),
            np.abs(np.einsum("ij,ij->i", found_normal, true_normal[there])),
            np.abs(np.einsum("ij,ij->i", true_normal, found_normal[back])),
        )

    def f_score(self, within_nm: float) -> float:
        """Return the harmonic mean of how many points of either surface have the other within a distance.

        Tatarchenko et al., What Do Single-view 3D Reconstruction Networks Learn? (CVPR 2019).
        """
        precision, recall = (float((way < within_nm).mean()) for way in (self.to_true_nm, self.to_found_nm))
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def normal_consistency(self) -> float:
        """The mean of the cosines, half of it from either surface (Mescheder et al., CVPR 2019)."""
        return float(self.to_true_cos.mean() + self.to_found_cos.mean()) / 2

    @property
    def median_nm(self) -> float:
        """The median of the distances both ways."""
        return float(np.median(np.concatenate([self.to_true_nm, self.to_found_nm])))


@dataclass(frozen=True)
class Size:
    """How large a solid is, and of how many parts and handles.

    Parameters
    ----------
    volume, area, length
        In nm^3, nm^2 and nm; the length is that of the box along the principal axes.
    betti_0, betti_1
        Parts, and handles of all of them together; -1 where the surface is not closed.
    watertight
        Whether its surface is closed.
    """

    volume: float
    area: float
    length: float
    betti_0: int
    betti_1: int
    watertight: bool

    @classmethod
    def of(cls, mesh: Mesh, scale: float = 1.0) -> Size:
        """Measure what a surface encloses, scaled."""
        about = measures(Shape("", mesh))
        closed = about["watertight"]
        return cls(
            scale**3 * (about["volume_nm3"] if closed else np.nan),
            scale**2 * about["area_nm2"],
            scale * float(np.ptp(mesh.vertices_nm @ principal_axes(mesh)[0])),
            parts(mesh) if closed else -1,
            about["genus"] if closed else -1,
            closed,
        )

    def beyond(self, other: Size) -> tuple[float, float, float]:
        """Return by which share volume, area and length are larger than another's."""
        return self.volume / other.volume - 1, self.area / other.area - 1, self.length / other.length - 1


def parts(mesh: Mesh) -> int:
    """Return of how many parts the solid inside of a closed surface is; the surfaces of its cavities do not count.

    Surfaces that look outwards enclose a positive volume. With the Euler characteristic of all surfaces, which tells
    their handles (`mishape.engine.measures`), these are the first two Betti numbers: of a solid in space the second is
    the sum of its surfaces' genera.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.vertices_nm)
    start, end = mesh.faces[:, :2].ravel(), mesh.faces[:, 1:].ravel()
    graph = coo_array((np.ones(len(start), np.int8), (start, end)), shape=(count, count))
    part = connected_components(graph, directed=False)[1][mesh.faces[:, 0]]
    return int((np.bincount(part, mesh.triangles.cone_volumes_nm3(mesh.vertices_nm.mean(axis=0))) > 0).sum())


def _normals(distance_nm: Field, points_nm: Points) -> Points:
    """Return unit normals at points of a surface, from the distances about it."""
    slope = gradient(distance_nm, points_nm, NORMAL_NM)
    return np.asarray(slope / np.linalg.norm(slope, axis=1, keepdims=True).clip(min=1e-300))
