"""Solids and their poses: rotations, measures, watertightness, points on a surface."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.cells import CORNERS
from mishape.engine.errors import ShapeError
from mishape.engine.types import Implicit, Mesh, Points

PERSPECTIVES = MappingProxyType(
    {
        "0": (0.0, 0.0, 0.0),
        "x90": (90.0, 0.0, 0.0),
        "x180": (180.0, 0.0, 0.0),
        "y90": (0.0, 90.0, 0.0),
        "y180": (0.0, 180.0, 0.0),
        "z90": (0.0, 0.0, 90.0),
    }
)
"""The six named views: angles (alpha, beta, gamma) about x, y, z in degrees."""


def rotation_matrix(alpha_deg: float, beta_deg: float, gamma_deg: float) -> Points:
    """Return Rz(gamma) Ry(beta) Rx(alpha), (3, 3): first about x, then about y, then about z (eq. 4 of the paper).

    Angles are in degrees, counter-clockwise seen against the axis; multiples of 90 degrees give exact entries.
    """
    (ca, cb, cg), (sa, sb, sg) = _cos_sin(np.array([alpha_deg, beta_deg, gamma_deg], np.float64))
    about_x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_z = np.array([[cg, -sg, 0], [sg, cg, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _cos_sin(angles_deg: Points) -> tuple[Points, Points]:
    quarter, rest = np.divmod(angles_deg, 90.0)
    turns = quarter.astype(np.int64) % 4
    cos, sin = np.cos(np.deg2rad(rest)), np.sin(np.deg2rad(rest))
    return np.choose(turns, [cos, -sin, -cos, sin]), np.choose(turns, [sin, cos, -sin, -cos])


def random_rotation(rng: Generator) -> Points:
    """Return a rotation matrix (3, 3), uniform on SO(3): a normal 4-vector's direction as a unit quaternion."""
    q = rng.standard_normal(4)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def flat_rotation(mesh: Mesh, tilt_deg: float, rng: Generator) -> Points:
    """Return a random rotation that lays a shape's long axis within `tilt_deg` of the image plane.

    Parameters
    ----------
    mesh
        The shape's surface; its long axis is the first principal axis of the surface's area.
    tilt_deg
        Largest angle between the long axis and the image plane, 0 to 90 degrees.
    rng
        Source of the axis's direction (uniform on that band of the sphere) and the spin about it (uniform).

    Returns
    -------
    (3, 3) rotation matrix. With 90 degrees it is uniform on SO(3).
    """
    z = rng.uniform(-1, 1) * np.sin(np.deg2rad(tilt_deg))
    azimuth = rng.uniform(0, 2 * np.pi)
    wanted = np.array([np.cos(azimuth) * np.sqrt(1 - z * z), np.sin(azimuth) * np.sqrt(1 - z * z), z])
    spin = random_rotation(rng)
    return np.asarray(_shortest_turn(spin @ principal_axes(mesh)[0], wanted) @ spin)


def principal_axes(mesh: Mesh) -> Points:
    """Return the principal axes of the surface's area, the longest first: the rows of a (3, 3) rotation.

    A triangle's second moment about the surface's middle is A / 12 * (sum of v v^T over its corners + 9 m m^T), with m
    their mean: exact, so the axis does not depend on how the surface is cut into triangles.
    """
    areas, corners = mesh.triangles.areas_nm2, mesh.vertices_nm[mesh.faces]
    corners = corners - np.average(corners.mean(axis=1), axis=0, weights=areas)
    points = np.concatenate([*np.moveaxis(corners, 1, 0), 3 * corners.mean(axis=1)])
    axes = np.linalg.eigh((points * np.tile(areas, 4)[:, None]).T @ points)[1][:, ::-1].T
    return np.asarray(axes * np.array([1, 1, np.linalg.det(axes)])[:, None])


def _shortest_turn(start: Points, end: Points) -> Points:
    """Return the smallest rotation that takes one unit vector to another (two reflections)."""
    middle = start + end
    norm = middle @ middle
    if norm < 1e-20:  # opposite: the axis is free; no random draw gets here
        raise ShapeError("two opposite directions have no smallest rotation")
    half_turn = 2 * np.outer(middle, middle) / norm - np.eye(3)
    return np.asarray(half_turn @ (2 * np.outer(start, start) - np.eye(3)))


def move_implicit(implicit: Implicit, rotation: Points, offset_nm: Points, scale: float = 1.0) -> Implicit:
    """Return an implicit solid scaled and rotated about its own origin by a (3, 3) matrix, then shifted by (3,) nm.

    The new bounds are the box of the rotated box, so they hold the solid but need not be tight.
    """
    rotation, offset_nm = np.asarray(rotation, np.float64), np.asarray(offset_nm, np.float64)

    def field(points_nm: Points) -> Points:
        return scale * implicit.field((points_nm - offset_nm) @ rotation / scale)

    corners = np.where(CORNERS, implicit.bounds_nm[1], implicit.bounds_nm[0]) @ (scale * rotation.T) + offset_nm
    return Implicit(field, np.stack([corners.min(axis=0), corners.max(axis=0)]), scale * implicit.step_nm)


def centered(mesh: Mesh) -> Mesh:
    """Return the mesh shifted so that its solid's centroid is the origin."""
    return Mesh(mesh.vertices_nm - centroid(mesh), mesh.faces)


def mesh_area_nm2(mesh: Mesh) -> float:
    """Return the surface's area, nm^2."""
    if mesh.moved_from is None:
        return float(mesh.triangles.areas_nm2.sum())
    own, pose = mesh.moved_from
    return pose.scale**2 * mesh_area_nm2(own)


def mesh_volume_nm3(mesh: Mesh) -> float:
    """Return the signed volume of a closed mesh, nm^3: positive if its faces look outwards (divergence theorem)."""
    return float(mesh.triangles.cone_volumes_nm3(_middle_nm(mesh)).sum())


def centroid(mesh: Mesh) -> Points:
    """Return the centroid of the solid inside a closed mesh, (3,) nm."""
    middle = _middle_nm(mesh)
    volumes = mesh.triangles.cone_volumes_nm3(middle)
    return np.asarray(middle + mesh.triangles.cone_centroids_nm(middle) @ volumes / volumes.sum())


def _middle_nm(mesh: Mesh) -> Points:
    """Return the mean of the vertices: a tip near the surface keeps its cones small, and their sum exact."""
    return np.asarray(np.ascontiguousarray(mesh.vertices_nm.T).mean(axis=1))


def oriented_outward(mesh: Mesh) -> Mesh:
    """Return the mesh with a positive volume: all faces flipped if it was inside out, else the same mesh."""
    return mesh if mesh_volume_nm3(mesh) >= 0 else Mesh(mesh.vertices_nm, np.ascontiguousarray(mesh.faces[:, ::-1]))


def check_watertight(mesh: Mesh, name: str) -> None:
    """Raise unless a mesh is the closed, consistently oriented, outward-looking surface of a solid.

    Raises
    ------
    ShapeError
        Names the mesh and the reason: no faces, vertices that are not finite, faces that refer to a missing vertex or
        use one twice, open edges, edges of more than two faces, faces of mixed orientation, or inside out.
    """
    reason = _why_not_watertight(mesh)
    if reason:
        raise ShapeError(f"mesh {name!r} is not the closed surface of a solid: {reason}")


def _why_not_watertight(mesh: Mesh) -> str:
    faces, count = mesh.faces, len(mesh.vertices_nm)
    if not len(faces):
        return "it has no faces"
    if not np.isfinite(mesh.vertices_nm).all():
        bad = int((~np.isfinite(mesh.vertices_nm)).any(axis=1).sum())
        return f"{bad} of its {count} vertices are not finite numbers"
    if faces.min() < 0 or faces.max() >= count:
        return f"a face refers to vertex {faces.max()} but there are {count} vertices"
    twice = int((faces == np.roll(faces, 1, axis=1)).any(axis=1).sum())
    if twice:
        return f"{twice} faces use a vertex twice: remove degenerate faces"
    return _why_edges_are_wrong(mesh) or _why_volume_is_wrong(mesh)


def _why_edges_are_wrong(mesh: Mesh) -> str:
    edges, turned = _edges(mesh.faces, len(mesh.vertices_nm))
    # A closed surface runs along each edge once up and once down; sorting numbers alone tells that in no time.
    both = np.sort(2 * edges + turned)
    if (
        len(both) % 2 == 0
        and (both[::2] % 2 == 0).all()
        and (np.diff(both)[::2] == 1).all()
        and (np.diff(both) > 0).all()
    ):
        return ""
    _, inverse, uses = np.unique(edges, return_inverse=True, return_counts=True)
    once, many = int((uses == 1).sum()), int((uses > 2).sum())
    if once:
        return f"it has {once} open edges: close its holes, or merge vertices that lie at the same place"
    if many:
        return f"{many} edges belong to more than two faces (non-manifold): separate the parts that touch there"
    both_ways = np.bincount(inverse, weights=turned) == 1
    if not both_ways.all():
        bad = int((~both_ways).sum())
        return f"its faces are oriented inconsistently across {bad} edges: make them all look outwards"
    return ""


def _why_volume_is_wrong(mesh: Mesh) -> str:
    volume = mesh_volume_nm3(mesh)
    if volume == 0:
        return "it encloses no volume"
    return "it is inside out: flip all of its faces (oriented_outward does)" if volume < 0 else ""


def _edges(faces: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a number for the edge of each side of each face, and whether that side runs downwards in index order."""
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    return np.minimum(start, end) * count + np.maximum(start, end), start > end


def sample_surface(mesh: Mesh, n: int, rng: Generator) -> Points:
    """Return (n, 3) points, uniform by area on a mesh, nm: drawn on the mesh that it was moved from, then moved."""
    if mesh.moved_from is None:
        return np.ascontiguousarray(mesh.triangles.sample(n, rng))
    own, pose = mesh.moved_from
    return pose.of(own.triangles.sample(n, rng))
