"""Triangles from a field: marching tetrahedra on the cells near the surface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from mishape.engine.cells import CORNERS, cells_near_surface, evaluate, gradient
from mishape.engine.errors import ShapeError
from mishape.engine.sampled import SampledField
from mishape.engine.types import Implicit, Mesh, Points

Indices = NDArray[np.int64]
POLISH = 0.2
"""Farthest that a vertex moves when it is drawn onto the surface, in steps; more could turn a face over."""


def mesh_of_field(field: SampledField) -> Mesh:
    """Return the surface of a sampled solid as a closed mesh on the field's own lattice.

    As `mesh_of_implicit` makes it, but that vertices lie where the field is zero along the lattice's edges.
    """
    lattice = _DenseLattice(field)
    edges, faces = np.unique(_march(lattice), return_inverse=True)
    return Mesh(lattice.vertices(edges), faces.reshape(-1, 3))


def mesh_of_implicit(implicit: Implicit) -> Mesh:
    """Return the surface of an implicit solid as a closed mesh.

    Parameters
    ----------
    implicit
        The solid; its `step_nm` is the edge of the cells.

    Returns
    -------
    Mesh
        Closed, manifold and looking outwards by construction; every part of the solid that a cell resolves is in it.

    Raises
    ------
    ShapeError
        If the field is nowhere negative, or the solid reaches out of its bounds.

    Notes
    -----
    Each cell is cut into the six tetrahedra around its diagonal (Freudenthal 1942), whose faces match those of the
    neighbouring cells, and each tetrahedron holds 0, 1 or 2 triangles (Doi & Koide 1991). A vertex belongs to a lattice
    edge and is made once. Cells are looked at only near the surface; where the surface leaves them it is followed.
    """
    lattice = _SparseLattice(implicit)
    edges, faces = np.unique(_march(lattice), return_inverse=True)
    faces = faces.reshape(-1, 3)
    return Mesh(_polished(implicit, lattice.vertices(edges), faces), faces)


class _Lattice(ABC):
    """Corners, numbered in C order, and the cells that hold the surface; a cell has its lowest corner's number."""

    cells: Indices

    def __init__(self, size: Indices, origin_nm: Points, step_nm: Points | float) -> None:
        self.size, self.origin_nm, self.step_nm = size, origin_nm, step_nm
        self.strides = np.array([size[1] * size[2], size[2], 1])
        self.offsets = CORNERS @ self.strides

    @abstractmethod
    def values_at(self, corners: Indices) -> Points:
        """Return the field at corners."""

    def positions(self, corners: Indices) -> Points:
        place = np.stack(np.unravel_index(corners, tuple(self.size)), axis=1)
        return np.asarray(self.origin_nm + place * self.step_nm)

    def vertices(self, edges: Indices) -> Points:
        """Return where the field crosses zero along lattice edges, taking it as linear; never on a corner itself."""
        low = edges >> 3
        high = low + self.offsets[edges & 7]
        start, end = self.values_at(low), self.values_at(high)
        share = np.clip(start / (start - end), 0.02, 0.98)[:, None]
        return np.asarray(self.positions(low) * (1 - share) + self.positions(high) * share)


class _DenseLattice(_Lattice):
    """All corners of a sampled field."""

    def __init__(self, field: SampledField) -> None:
        super().__init__(np.array(field.values.shape), field.origin_nm, field.step_nm)
        self._values = field.values.ravel()
        inside = (field.values < 0).view(np.uint8)
        sides = (slice(None, -1), slice(1, None))
        count = np.sum([inside[tuple(sides[side] for side in corner)] for corner in CORNERS], axis=0, dtype=np.uint8)
        self.cells = np.argwhere((count > 0) & (count < 8)) @ self.strides

    def values_at(self, corners: Indices) -> Points:
        return np.asarray(self._values[corners], np.float64)


class _SparseLattice(_Lattice):
    """Those corners of a lattice that are near an implicit solid's surface."""

    def __init__(self, implicit: Implicit) -> None:
        cells = cells_near_surface(implicit, implicit.step_nm)
        if not len(cells.index):
            raise ShapeError(f"the field has no surface in its bounds at a step of {implicit.step_nm:g} nm")
        # One more cell on every side, so that following the surface cannot leave the lattice unseen.
        first = cells.index.min(axis=0) - 1
        size = cells.index.max(axis=0) - first + 3
        super().__init__(size, cells.origin_nm + first * cells.size_nm, cells.size_nm)
        self.field = implicit.field
        self.cells = (cells.index - first) @ self.strides
        self.corners, self.values = np.empty(0, np.int64), np.empty(0)
        self._follow_the_surface()

    def values_at(self, corners: Indices) -> Points:
        return np.asarray(self.values[np.searchsorted(self.corners, corners)])

    def _follow_the_surface(self) -> None:
        """Add the neighbours that the surface passes into, until there are none."""
        fresh, kept = np.unique(self.cells), [np.empty(0, np.int64)]
        seen = fresh
        while len(fresh):
            self._add_corners(np.unique(fresh[:, None] + self.offsets))
            inside = self.values_at(fresh[:, None] + self.offsets) < 0
            mixed = inside.any(axis=1) & ~inside.all(axis=1)
            kept.append(fresh[mixed])
            fresh = np.setdiff1d(self._behind_faces(fresh[mixed], inside[mixed]), seen)
            seen = np.union1d(seen, fresh)
        self.cells = np.concatenate(kept)
        if not len(self.cells):
            step = f"{self.step_nm:g} nm"
            raise ShapeError(f"the field changes its sign nowhere at a step of {step}: use a smaller step_nm")

    def _behind_faces(self, cells: Indices, inside: NDArray[np.bool_]) -> Indices:
        """Return the neighbours behind those faces whose corners have both signs."""
        found = [np.empty(0, np.int64)]
        for axis in range(3):
            for side in (0, 1):
                face = inside[:, CORNERS[:, axis] == side]
                crossed = face.any(axis=1) & ~face.all(axis=1)
                found.append(cells[crossed] + (2 * side - 1) * self.strides[axis])
        return np.concatenate(found)

    def _add_corners(self, wanted: Indices) -> None:
        wanted = np.setdiff1d(wanted, self.corners, assume_unique=True)
        values = evaluate(self.field, self.positions(wanted))
        place = np.stack(np.unravel_index(wanted[values < 0], tuple(self.size)), axis=1)
        if np.any(place == 0) or np.any(place == self.size - 1):
            raise ShapeError("the solid reaches out of its bounds_nm: make them hold all points with a negative field")
        corners, values = np.concatenate([self.corners, wanted]), np.concatenate([self.values, values])
        order = np.argsort(corners)
        self.corners, self.values = corners[order], values[order]


def _tetrahedra() -> list[tuple[int, ...]]:
    """Return the corners of the six tetrahedra around a cell's diagonal, each of positive orientation."""
    found: list[tuple[int, ...]] = []
    for a, b, c in permutations((1, 2, 4)):
        path = (0, a, a + b, a + b + c)
        odd = np.linalg.det(CORNERS[list(path[1:])]) < 0
        found.append((path[0], path[2], path[1], path[3]) if odd else path)
    return found


def _cases() -> dict[tuple[bool, ...], list[tuple[tuple[int, int], ...]]]:
    """Return, for each choice of inside corners of a positive tetrahedron, its triangles as three edges each."""
    cases: dict[tuple[bool, ...], list[tuple[tuple[int, int], ...]]] = {}
    for i, j, k, m in permutations(range(4)):
        if np.linalg.det(np.eye(4)[[i, j, k, m]]) < 0:
            continue
        cases[tuple(n == i for n in range(4))] = [((i, j), (i, k), (i, m))]
        cases[tuple(n != i for n in range(4))] = [((j, i), (m, i), (k, i))]
        cases[tuple(n in (i, j) for n in range(4))] = [((i, k), (i, m), (j, m)), ((i, k), (j, m), (j, k))]
    return cases


def _triangles_by_code() -> tuple[Indices, Indices, Indices]:
    """Return the triangles of a cell for each choice of inside corners, a bit for each: all of them below each other.

    Returns
    -------
    corners, directions
        (n, 3) of each of a triangle's edges: its lower corner, and the direction that it takes from there.
    starts
        (257,) where the triangles of each choice begin, and the last ones end.
    """
    cases = _cases()
    found = [
        [
            [sorted((tetrahedron[a], tetrahedron[b])) for a, b in face]
            for tetrahedron in _tetrahedra()
            for face in cases.get(tuple(bool(code >> corner & 1) for corner in tetrahedron), ())
        ]
        for code in range(256)
    ]
    low, high = np.moveaxis(np.array([triangle for triangles in found for triangle in triangles]), -1, 0)
    return low, high - low, np.cumsum([0, *map(len, found)])


LOW_CORNERS, DIRECTIONS, STARTS = _triangles_by_code()


def _march(lattice: _Lattice) -> Indices:
    """Return triangles (m, 3) as numbers of lattice edges: lower corner times 8 plus the edge's direction."""
    inside = lattice.values_at(lattice.cells[:, None] + lattice.offsets) < 0
    code = np.packbits(inside, axis=1, bitorder="little")[:, 0]
    counts = np.diff(STARTS)[code]
    # Row by row: a cell's first triangle, and on from there.
    rows = np.repeat(STARTS[code] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    edges = (lattice.offsets[LOW_CORNERS] * 8 + DIRECTIONS)[rows]
    return np.asarray(edges + np.repeat(lattice.cells * 8, counts)[:, None])


def _polished(implicit: Implicit, vertices: Points, faces: Indices) -> Points:
    """Draw vertices onto the surface by one Newton step; where that would turn a face over they stay."""
    slope = gradient(implicit.field, vertices, implicit.step_nm * 1e-2)
    steepness = np.maximum(np.einsum("ij,ij->i", slope, slope), 1e-6)
    move = -slope * (evaluate(implicit.field, vertices) / steepness)[:, None]
    length = np.linalg.norm(move, axis=1, keepdims=True)
    moved = vertices + move * np.minimum(1, POLISH * implicit.step_nm / np.maximum(length, 1e-300))
    turned = np.einsum("ij,ij->i", _normals(vertices, faces), _normals(moved, faces)) <= 0
    stay = faces[turned].ravel()
    moved[stay] = vertices[stay]
    return np.asarray(moved)


def _normals(vertices: Points, faces: Indices) -> Points:
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return np.asarray(np.cross(b - a, c - a))
