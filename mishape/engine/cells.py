"""The cubes of a lattice that a solid's surface, or the solid, passes through: found from coarse to fine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.errors import ShapeError
from mishape.engine.types import Implicit, Mesh, Points, Shape

LIPSCHITZ = 1.5
"""How fast a field may grow per nm; `Implicit.field` promises about 1, the rest is margin."""
COARSE_CELLS = 4096
MAX_CELLS = 20_000_000
POINTS_PER_CALL = 1 << 18
FACES_PER_CALL = 4096
Field = Callable[[Points], Points]


@dataclass(frozen=True)
class Cells:
    """Some cubes of a lattice.

    Parameters
    ----------
    index
        (n, 3) int64: number of each cube along x, y, z.
    origin_nm
        (3,): lowest corner of cube (0, 0, 0).
    size_nm
        Edge of a cube.
    """

    index: NDArray[np.int64]
    origin_nm: Points
    size_nm: float

    @property
    def centers_nm(self) -> Points:
        """Middles of the cubes, (n, 3)."""
        return self.origin_nm + (self.index + 0.5) * self.size_nm

    @property
    def volume_nm3(self) -> float:
        """Volume of all cubes together."""
        return float(len(self.index) * self.size_nm**3)

    def sample(self, n: int, rng: Generator) -> Points:
        """Return (n, 3) points, uniform in the cubes' union."""
        chosen = self.index[rng.integers(len(self.index), size=n)]
        return np.asarray(self.origin_nm + (chosen + rng.random((n, 3))) * self.size_nm)


def evaluate(field: Field, points_nm: Points) -> Points:
    """Return a field's values at (n, 3) points, asked in blocks so that memory stays bounded."""
    blocks = range(0, len(points_nm), POINTS_PER_CALL)
    values = [np.asarray(field(points_nm[i : i + POINTS_PER_CALL]), np.float64) for i in blocks]
    return np.concatenate(values) if values else np.empty(0)


def gradient(field: Field, points_nm: Points, step_nm: float) -> Points:
    """Return a field's gradient at (n, 3) points by central differences over ``2 * step_nm``."""
    parts = []
    for axis in np.eye(3) * step_nm:
        parts.append((evaluate(field, points_nm + axis) - evaluate(field, points_nm - axis)) / (2 * step_nm))
    return np.stack(parts, axis=1)


def cells_near_surface(implicit: Implicit, size_nm: float, margin_nm: float = 0.0) -> Cells:
    """Return the cubes that may hold a point within `margin_nm` of the surface (some others, but none missing)."""
    return _refine(implicit, size_nm, lambda values, reach: np.abs(values) <= LIPSCHITZ * (reach + margin_nm))


def cells_of_solid(shape: Shape, size_nm: float) -> Cells:
    """Return the cubes that may hold a point of the solid (some others, but none missing)."""
    if shape.implicit is not None:
        return _refine(shape.implicit, size_nm, lambda values, reach: values <= LIPSCHITZ * reach)
    return _cells_of_mesh(shape.surface, shape.inside, size_nm)


def _refine(implicit: Implicit, size_nm: float, keep: Callable[[Points, float], NDArray[np.bool_]]) -> Cells:
    """Keep cubes by the field's value in their middle, from large cubes down to the wanted size, eight for one."""
    low, high = np.asarray(implicit.bounds_nm, np.float64)
    count = np.ceil((high - low) / size_nm).astype(np.int64) + 2
    halvings = int(max(0.0, np.ceil(np.log2(np.prod(count.astype(np.float64)) / COARSE_CELLS) / 3)))
    count = -(-count // 2**halvings)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in count), indexing="ij"), axis=-1).reshape(-1, 3)
    origin = (low + high - count * 2**halvings * size_nm) / 2
    for level in range(halvings, -1, -1):
        cells = Cells(index, origin, size_nm * 2**level)
        values = evaluate(implicit.field, cells.centers_nm)
        index = index[keep(values, cells.size_nm * np.sqrt(3) / 2)]
        if len(index) * 8 > MAX_CELLS:
            raise ShapeError(f"a step of {size_nm:g} nm cuts this solid into too many cells: use a larger step_nm")
        if level:
            index = (index[:, None] * 2 + CORNERS).reshape(-1, 3)
    return Cells(index, origin, size_nm)


CORNERS = (np.arange(8)[:, None] >> np.arange(3)) & 1
"""Offsets (8, 3) of a cube's corners: bit 0 is x, bit 1 is y, bit 2 is z."""


def ragged(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for runs of these lengths laid end to end, each item's run and its place in the run."""
    run = np.repeat(np.arange(len(counts)), counts)
    return run, np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts)


def _cells_of_mesh(mesh: Mesh, inside: Callable[[Points], NDArray[np.bool_]], size_nm: float) -> Cells:
    """Keep cubes that touch a face's box, and cubes whose middle lies inside."""
    origin = mesh.vertices_nm.min(axis=0)
    count = (np.ptp(mesh.vertices_nm, axis=0) / size_nm).astype(np.int64) + 1
    if np.prod(count.astype(np.float64)) > MAX_CELLS:
        raise ShapeError(f"cells of {size_nm:g} nm are too many for a box of {count * size_nm} nm: use larger cells")
    corners = mesh.vertices_nm[mesh.faces] - origin
    first = (corners.min(axis=1) / size_nm).astype(np.int64)
    span = (corners.max(axis=1) / size_nm).astype(np.int64) - first + 1
    kept = np.zeros(count, np.bool_)
    for start in range(0, len(first), FACES_PER_CALL):
        low, sides = first[start : start + FACES_PER_CALL], span[start : start + FACES_PER_CALL]
        face, place = ragged(sides.prod(axis=1))
        sides = sides[face]
        offset = np.stack(
            [place // (sides[:, 1] * sides[:, 2]), place // sides[:, 2] % sides[:, 1], place % sides[:, 2]]
        )
        kept[tuple(low[face].T + offset)] = True
    rest = Cells(np.argwhere(~kept), origin, size_nm)
    kept[tuple(rest.index[inside(rest.centers_nm)].T)] = True
    return Cells(np.argwhere(kept), origin, size_nm)
