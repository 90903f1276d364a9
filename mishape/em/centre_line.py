"""The centre line of a solid: its length, its thickness, how it branches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh, Points

SURFACE_POINTS = 4000
"""About how many of a surface's points tell how far it lies from the line."""
TANGENT_STEPS = 4
"""Points over which a line's direction at its end is measured."""
CUBIC = 1.25
"""Voxels whose sides differ by less count as cubic."""
NEIGHBOURS = 1.8
"""Voxels: what is nearer is next to each other on the line."""
STRAIGHTENING = 8
"""How often each point of a line is moved to the middle of its neighbours: about three voxels are averaged."""


@dataclass(frozen=True)
class CentreLine:
    """What the centre line of a solid says.

    Parameters
    ----------
    length_nm
        Of all branches together, to the surface at free ends.
    thickness_nm
        Twice the median distance from the line to the surface.
    branches
        Stretches between free ends and forks: 1 for a rod, 3 for a Y; rings count too.
    thickness_variation
        Standard deviation of that distance along the line, over its mean.
    """

    length_nm: float
    thickness_nm: float
    branches: int
    thickness_variation: float


def centre_line(field: SampledField, mesh: Mesh) -> CentreLine:
    """Measure the centre line of a sampled solid: its thinning (Lee et al. 1994), without twigs no longer than thick.

    Parameters
    ----------
    field
        The solid.
    mesh
        Its surface in the same frame.
    """
    from scipy.spatial import cKDTree

    surface = mesh.vertices_nm[:: 1 + len(mesh.vertices_nm) // SURFACE_POINTS]
    points, voxels = _thinned(field)
    radius = np.asarray(cKDTree(surface).query(points)[0])
    graph = _Graph(points, cKDTree(voxels).query_pairs(NEIGHBOURS, output_type="ndarray"))
    graph.prune(radius)
    beyond = _beyond_ends(points, graph, surface)
    along = radius[graph.alive]
    variation = float(along.std() / along.mean())
    return CentreLine(graph.straightened_nm() + beyond, 2 * float(np.median(along)), graph.branches, variation)


def _thinned(field: SampledField) -> tuple[Points, NDArray[np.int64]]:
    """Return points of a solid's centre line, nm, and the voxels that they lie in.

    Thinning knows nothing of voxels' sizes, and of cavities it makes shells: voxels are made cubic, cavities filled.
    """
    from scipy.ndimage import distance_transform_edt, zoom
    from skimage.morphology import skeletonize

    step_nm = float(field.step_nm.min())
    stretch = field.step_nm / step_nm
    values = field.values if stretch.max() < CUBIC else zoom(field.values, stretch, order=1)
    inside = _without_cavities(values < 0)
    ends = [np.flatnonzero(inside.any(axis=others))[[0, -1]] + (0, 1) for others in ((1, 2), (0, 2), (0, 1))]
    solid = inside[tuple(slice(*end) for end in ends)]
    voxels = np.argwhere(skeletonize(solid))
    if not len(voxels):
        # It takes away all of what is of even thickness on every side: one voxel less on a side of each axis.
        voxels = np.argwhere(skeletonize(solid[1:, 1:, 1:] & solid[:-1, :-1, :-1]))
    if not len(voxels):
        depth = distance_transform_edt(np.pad(solid, 1))
        voxels = np.array([np.unravel_index(int(depth.argmax()), depth.shape)]) - 1
    first = np.array([end[0] for end in ends])
    size_nm = field.step_nm * (np.array(field.values.shape) - 1) / np.maximum(np.array(values.shape) - 1, 1)
    return field.origin_nm + (voxels + first) * size_nm, voxels


def _without_cavities(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a solid with all outside that does not reach the border filled; the first corner is outside."""
    import cc3d

    outside = cc3d.connected_components(~inside, connectivity=6)
    return np.asarray(outside != outside[0, 0, 0])


def _beyond_ends(points: Points, graph: _Graph, surface: Points) -> float:
    """Return how far the solid goes on beyond the line's free ends: to the furthest point of the surface around each.

    Of a line of a single point it is the solid's width towards the surface's furthest point.
    """
    from scipy.spatial import cKDTree

    line = np.flatnonzero(graph.alive)
    away, nearest = map(np.asarray, cKDTree(points[line]).query(surface))
    if len(line) == 1:
        towards = surface[away.argmax()] - points[line[0]]
        return float(np.ptp(surface @ towards) / np.linalg.norm(towards))
    ends = np.flatnonzero(graph.degree[line] <= 1).tolist()
    return float(sum(_ahead(surface[nearest == end], graph, int(line[end])) for end in ends))


def _ahead(surface: Points, graph: _Graph, end: int) -> float:
    """Return how far points of the surface lie ahead of a free end, in the direction that its line comes from."""
    end_nm, before = graph.points[end], graph.points[graph.inwards(end, TANGENT_STEPS)]
    direction = (end_nm - before) / max(float(np.linalg.norm(end_nm - before)), 1e-300)
    return float(np.max((surface - end_nm) @ direction, initial=0.0))


class _Graph:
    """Points of a centre line, joined to their neighbours: a tree, and those joints that close a ring."""

    def __init__(self, points: Points, pairs: NDArray[np.int64]) -> None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import minimum_spanning_tree

        count = len(points)
        lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
        tree = minimum_spanning_tree(coo_array((lengths, (pairs[:, 0], pairs[:, 1])), shape=(count, count))).tocoo()
        self.points, self.alive = points, np.ones(count, np.bool_)
        self.neighbours: list[dict[int, float]] = [{} for _ in range(count)]
        for a, b, length in zip(tree.row.tolist(), tree.col.tolist(), tree.data.tolist(), strict=True):
            self._join(a, b, length)
        for (a, b), length in zip(pairs.tolist(), lengths.tolist(), strict=True):
            # A ring, not a corner that is cut: its ends are far apart along the tree.
            if b not in self.neighbours[a] and not self._near(a, b, 4):
                self._join(a, b, length)

    def inwards(self, end: int, steps: int) -> int:
        """Return the point so many steps from a free end, or the line's other end or first fork."""
        path = [end]
        while len(path) <= steps and (onwards := [p for p in self.neighbours[path[-1]] if p not in path[-2:]]):
            path.append(onwards[0])
        return path[-1]

    def straightened_nm(self) -> float:
        """Return the length of all branches without the zigzag that a line of voxels has."""
        place = self.points.copy()
        for _ in range(STRAIGHTENING):
            before = place.copy()
            for point in np.flatnonzero(self.degree == 2).tolist():
                first, second = self.neighbours[point]
                place[point] = (before[first] + 2 * before[point] + before[second]) / 4
        pairs = [(a, b) for a, joined in enumerate(self.neighbours) for b in joined if a < b]
        starts, ends = np.array(pairs, np.int64).reshape(-1, 2).T
        return float(np.linalg.norm(place[starts] - place[ends], axis=1).sum())

    def _join(self, a: int, b: int, length: float) -> None:
        self.neighbours[a][b] = self.neighbours[b][a] = length

    def _near(self, start: int, end: int, steps: int) -> bool:
        reached = {start}
        for _ in range(steps):
            reached |= {next for place in reached for next in self.neighbours[place]}
            if end in reached:
                return True
        return False

    @property
    def degree(self) -> NDArray[np.int64]:
        return np.array([len(joined) for joined in self.neighbours])

    @property
    def branches(self) -> int:
        degree = self.degree
        forks = int(degree[degree != 2].sum())
        # Forks that lie side by side are one: joints between them are no branches.
        inner = sum(degree[a] > 2 and degree[b] > 2 for a, joined in enumerate(self.neighbours) for b in joined)
        return int(max((forks - inner) // 2, 1))

    def prune(self, radius: Points) -> None:
        """Remove branches with a free end that are shorter than the solid is thick where they begin."""
        while True:
            twigs = [twig for end in np.flatnonzero(self.degree == 1).tolist() if (twig := self._twig(end, radius))]
            if not twigs:
                return
            for place in min(twigs, key=len):
                self.alive[place] = False
                for joined in self.neighbours[place]:
                    del self.neighbours[joined][place]
                self.neighbours[place] = {}

    def _twig(self, end: int, radius: Points) -> list[int]:
        """Return the points of a twig, without the fork that it begins at; nothing for a branch."""
        path, length = [end], 0.0
        while len(self.neighbours[path[-1]]) <= 2:
            onwards = [place for place in self.neighbours[path[-1]] if place not in path[-2:]]
            if not onwards:
                return []
            length += self.neighbours[path[-1]][onwards[0]]
            path.append(onwards[0])
        return path[:-1] if length < radius[path[-1]] * 1.5 else []
