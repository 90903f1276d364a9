"""Where vertical lines cross a mesh: one routine under inside tests, silhouettes, voxels and slabs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mishape.engine.cells import LIPSCHITZ, evaluate, ragged
from mishape.engine.grid import Grid
from mishape.engine.types import Mesh, Points, Shape

PAIRS_PER_CHUNK = 1 << 20
"""Candidate (triangle, line) pairs looked at together; bounds the memory to about 200 MB."""
BLOCK = 4
"""Edge, in voxels, of the blocks in which a field is asked first."""
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


def crossings(mesh: Mesh, xy_nm: Points) -> tuple[Indices, Points, Indices]:
    """Find where vertical lines cross a mesh.

    Parameters
    ----------
    mesh
        A triangle mesh.
    xy_nm
        (n, 2) positions of the lines, nm.

    Returns
    -------
    line, z_nm, sign
        One row per crossing, in no particular order: the line's number, the height in nm, and +1 where the line leaves
        the solid upwards or -1 where it enters it.

    Notes
    -----
    A line crosses a triangle as often as the triangle's projected outline winds around the line's foot. The winding is
    the sum over the outline's edges that pass the foot on its right; whether one does is decided from the edge's two
    vertices in the order of their numbers, and a foot exactly on an edge or vertex counts as moved by (eps, eps^2)
    (Edelsbrunner & Muecke 1990, doi 10.1145/77635.77639). So the two faces of an edge always agree, the signs along
    each line of a closed mesh sum to exactly 0, and no rounding can let a line slip through between two faces.
    """
    parts = [_cross(mesh, xy_nm, face, line) for face, line in _candidates(mesh, xy_nm)]
    if not parts:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
    line, z, sign = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return line, z, sign


def _candidates(mesh: Mesh, xy: Points) -> Iterator[tuple[Indices, Indices]]:
    """Yield chunks of (face, line) pairs whose boxes overlap.

    Lines are sorted into square cells, row by row; the lines near a face are then one contiguous run per row of cells.
    """
    if not len(xy) or not len(mesh.faces):
        return
    corners = mesh.vertices_nm[mesh.faces, :2]
    low, high = corners.min(axis=1), corners.max(axis=1)
    origin, extent = xy.min(axis=0), np.ptp(xy, axis=0)
    side = int(np.clip(np.sqrt(len(xy)), 1, 2048))
    scale = side / np.where(extent > 0, extent * (1 + 1e-9), 1.0)
    cell = ((xy - origin) * scale).astype(np.int64)
    keys = cell[:, 1] * side + cell[:, 0]
    order = np.argsort(keys, kind="stable")
    starts = np.searchsorted(keys[order], np.arange(side * side + 1))

    faces = np.flatnonzero(np.all((high >= origin) & (low <= origin + extent), axis=1))
    first = np.clip((low[faces] - origin) * scale, 0, side - 1).astype(np.int64)
    last = np.clip((high[faces] - origin) * scale, 0, side - 1).astype(np.int64)
    which, step = ragged(last[:, 1] - first[:, 1] + 1)
    row = (first[which, 1] + step) * side
    begin, end = starts[row + first[which, 0]], starts[row + last[which, 0] + 1]
    total = np.cumsum(end - begin)
    cuts = np.searchsorted(total, np.arange(PAIRS_PER_CHUNK, total[-1] if len(total) else 0, PAIRS_PER_CHUNK))
    for start, stop in pairwise([0, *cuts.tolist(), len(which)]):
        run, step = ragged(end[start:stop] - begin[start:stop])
        face, line = faces[which[start:stop][run]], order[begin[start:stop][run] + step]
        near = np.all((xy[line] >= low[face]) & (xy[line] <= high[face]), axis=1)
        yield face[near], line[near]


def _cross(mesh: Mesh, xy: Points, face: Indices, line: Indices) -> tuple[Indices, Points, Indices]:
    faces, foot = mesh.faces[face], xy[line]
    winding = np.zeros(len(face), np.int64)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        winding += _passes_right(mesh.vertices_nm, faces[:, start], faces[:, end], foot)
    hit = np.flatnonzero(winding)
    z = _height(mesh.vertices_nm[faces[hit]], foot[hit])
    return line[hit], z, winding[hit]


def _passes_right(vertices: Points, start: Indices, end: Indices, foot: Points) -> Indices:
    """Return +1 or -1 where the edge passes the foot on its right (larger x) upwards or downwards in y, else 0."""
    turned = start > end
    a, b = vertices[np.where(turned, end, start)], vertices[np.where(turned, start, end)]
    above_a, above_b = a[:, 1] > foot[:, 1], b[:, 1] > foot[:, 1]
    side = (b[:, 0] - a[:, 0]) * (foot[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (foot[:, 0] - a[:, 0])
    left = foot[:, 0] < np.minimum(a[:, 0], b[:, 0])  # the edge's box decides first: `_candidates` relies on it
    between = ~left & (foot[:, 0] < np.maximum(a[:, 0], b[:, 0]))
    upwards = above_b & ~above_a & (left | (between & (side > 0)))
    downwards = above_a & ~above_b & (left | (between & (side < 0)))
    passes = upwards.astype(np.int64) - downwards.astype(np.int64)
    return np.where(turned, -passes, passes)


def _height(corners: Points, foot: Points) -> Points:
    """Return z of the plane of each triangle (n, 3, 3) above its foot, kept between its lowest and highest corner."""
    a = corners[:, 0]
    u, v, w = corners[:, 1] - a, corners[:, 2] - a, foot - a[:, :2]
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    area = np.where(area == 0, 1.0, area)  # rounding can let a line hit an upright face: the clip below decides
    share_u = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / area
    share_v = (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / area
    z = a[:, 2] + share_u * u[:, 2] + share_v * v[:, 2]
    return np.clip(z, corners[:, :, 2].min(axis=1), corners[:, :, 2].max(axis=1))


def inside_mesh(mesh: Mesh, points_nm: Points) -> Mask:
    """Tell which of (n, 3) points lie inside a closed mesh: where its winding number is above 0.

    Overlapping closed parts count as their union; a part turned inside out within another one is a cavity.
    """
    line, z, sign = crossings(mesh, points_nm[:, :2])
    above = z > points_nm[line, 2]
    return np.bincount(line[above], weights=sign[above], minlength=len(points_nm)) > 0.5


def silhouette(mesh: Mesh, grid: Grid, finer: int = 1) -> Mask:
    """Return the mesh's silhouette along z, (Y, X) bool.

    A pixel is set where the solid covers one of `finer` x `finer` places evenly in it: by default its centre.
    """
    shape, (_, y, x) = grid.shape[1:], grid.centers_nm()
    offsets = grid.pixel_nm * ((np.arange(finer) + 0.5) / finer - 0.5)
    window, columns = _columns(mesh, *((axis[:, None] + offsets).ravel() for axis in (y, x)))
    line, _, _ = crossings(mesh, columns)
    covered = np.bincount(line, minlength=len(columns)) > 0
    image = _image((shape[0] * finer, shape[1] * finer), window, covered)
    return np.asarray(image.reshape(shape[0], finer, shape[1], finer).any(axis=(1, 3)))


def overlaps_slab(mesh: Mesh, grid: Grid, low_nm: float, high_nm: float) -> Mask:
    """Return where the solid has material at heights `low_nm` to `high_nm` above a pixel's centre, (Y, X) bool."""
    window, columns = _columns(mesh, *grid.centers_nm()[1:])
    line, z, sign = crossings(mesh, columns)
    above = z > low_nm
    covered = np.bincount(line[above], weights=sign[above], minlength=len(columns)) > 0.5
    starts = np.bincount(line[above & (z <= high_nm)], minlength=len(columns)) > 0
    return _image(grid.shape[1:], window, covered | starts)


def _image(shape: tuple[int, int], window: tuple[slice, slice], values: Mask) -> Mask:
    image = np.zeros(shape, np.bool_)
    image[window] = values.reshape(image[window].shape)
    return image


def _columns(mesh: Mesh, y: Points, x: Points) -> tuple[tuple[slice, slice], Points]:
    """Return the window of rows y and columns x under the mesh's box, and its places (n, 2) row by row."""
    low, high = mesh.vertices_nm.min(axis=0), mesh.vertices_nm.max(axis=0)
    window = _range(y, low[1], high[1]), _range(x, low[0], high[0])
    columns, rows = np.meshgrid(x[window[1]], y[window[0]])
    return window, np.stack([columns.ravel(), rows.ravel()], axis=1)


def _range(centers: Points, low: float, high: float) -> slice:
    return slice(int(np.searchsorted(centers, low)), int(np.searchsorted(centers, high, side="right")))


def voxelise(shape: Shape, grid: Grid) -> Mask:
    """Return which voxels' centres lie inside a shape, (Z, Y, X) bool.

    A shape with an implicit function is asked through it, any other through its mesh. Only voxels in the shape's box
    are looked at.
    """
    z, y, x = grid.centers_nm()
    voxels = np.zeros(grid.shape, np.bool_)
    order = np.argsort(z, kind="stable")  # listed planes may come in any order
    low, high = shape.bounds_nm
    planes, rows, columns = (_range(c, a, b) for c, a, b in zip((z[order], y, x), low[::-1], high[::-1], strict=True))
    fill = _fill_from_mesh if shape.implicit is None else _fill_from_field
    inside = fill(shape, z[order][planes], y[rows], x[columns])
    voxels[order[planes], rows, columns] = inside
    return voxels


def _fill_from_mesh(shape: Shape, z: Points, y: Points, x: Points) -> Mask:
    columns = np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=1)
    line, height, sign = crossings(shape.surface, columns)
    winding = np.zeros((len(z) + 1, len(columns)), np.int16)
    np.add.at(winding, (np.searchsorted(z, height), line), sign.astype(np.int16))
    # A plane's winding number is the sum of the signs above it.
    above = np.cumsum(winding[:0:-1], axis=0, dtype=np.int16)[::-1]
    return (above > 0).reshape(len(z), len(y), len(x))


def _fill_from_field(shape: Shape, z: Points, y: Points, x: Points) -> Mask:
    """Ask the field block by block: a block far from the surface takes the sign of its middle."""
    assert shape.implicit is not None
    axes, size = (z, y, x), (len(z), len(y), len(x))
    if 0 in size:
        return np.zeros(size, np.bool_)
    starts = [np.arange(0, n, BLOCK) for n in size]
    low = _mesh_of_axes([a[i] for a, i in zip(axes, starts, strict=True)])
    high = _mesh_of_axes([a[np.minimum(i + BLOCK, len(a)) - 1] for a, i in zip(axes, starts, strict=True)])
    values = evaluate(shape.implicit.field, ((low + high) / 2).reshape(-1, 3)).reshape(low.shape[:3])
    near = np.abs(values) <= LIPSCHITZ * np.linalg.norm(high - low, axis=-1) / 2
    inside, near = _enlarged(values < 0, size), _enlarged(near, size)
    points = np.stack([a[i] for a, i in zip(axes, np.nonzero(near), strict=True)][::-1], axis=1)
    inside[near] = evaluate(shape.implicit.field, points) < 0
    return inside


def _mesh_of_axes(axes: list[Points]) -> Points:
    """Return the points of a grid of (z, y, x) positions as (Z, Y, X, 3) xyz."""
    return np.stack(np.meshgrid(*axes, indexing="ij")[::-1], axis=-1)


def _enlarged(blocks: Mask, size: tuple[int, int, int]) -> Mask:
    for axis, count in enumerate(size):
        blocks = np.repeat(blocks, BLOCK, axis=axis).take(np.arange(count), axis=axis)
    return blocks
