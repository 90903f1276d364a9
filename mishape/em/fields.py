"""From an instance's filled voxels to a smooth signed field of the same volume, in one part."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.em.blocks import Cut, read_piece
from mishape.em.instances import Instance
from mishape.engine.cells import CORNERS
from mishape.engine.errors import ShapeError
from mishape.engine.geometry import mesh_area_nm2, mesh_volume_nm3
from mishape.engine.meshing import mesh_of_field
from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh, Points

Filled = NDArray[np.float32]
EDGES = np.zeros((3, 3, 3), np.uint8)
"""Neighbours along the edges of a lattice's tetrahedra."""
for _corner in CORNERS:
    EDGES[tuple(1 + _corner)] = EDGES[tuple(1 - _corner)] = 1
MAX_PATHS = 200
"""Joints of what thinning tore, at most: what needs more is not made of thicker parts."""
EMPTY = 1e-3
"""How full an empty voxel counts where a path is looked for."""
KEPT = 0.75
"""How full a voxel of a structure thinner than a voxel counts."""
FAR = 1.8
"""Voxels: what is further from all that is kept would be lost; a solid's corners, which are rounded, are nearer."""
TRIES = ((1.0, 1), (0.5, 1), (0.3, 2))
"""Parts of the smoothing that are tried, until the instance stays in one part, and how much finer the lattice is."""
LEAST_SIGMA = 0.3
"""Voxels: a field smoothed by less rises too steeply to be a distance."""
FULL = 1e-3
"""How full smoothed voxels are beyond RANGE, or how empty."""
RANGE = 3.0
"""Standard deviations of the smoothing within which the field is a distance."""
LEVELS, VOLUME_WITHIN = 4, 5e-3
"""How often the level is moved at most, until the surface holds its volume to this part."""
VOXEL_VARIANCE = 1 / 12
"""Of a voxel's own width, in voxels^2."""


def filled_voxels(instance: Instance, cut: Cut, folder: Path, max_voxels: int) -> tuple[Filled, NDArray[np.int64]]:
    """Return how full each coarse voxel of an instance's box is, and the box's first voxel of the volume.

    Raises
    ------
    ShapeError
        If the box holds more than `max_voxels` coarse voxels.
    """
    factor = np.array(cut.factor)
    start, stop = np.array(instance.box.low) // factor, -(-np.array(instance.box.high) // factor)
    shape = stop - start
    if math.prod(shape.tolist()) > max_voxels:
        raise ShapeError(
            f"its box has {' x '.join(map(str, shape.tolist()))} voxels, more than {max_voxels}: prepare it at a "
            "coarser level, or raise --max-voxels"
        )
    filled = np.zeros(shape, np.float32)
    for part in instance.parts:
        low, high = np.array(part.box.low) // factor, -(-np.array(part.box.high) // factor)
        a, b, c = (high - low).tolist()
        place = tuple(slice(i, j) for i, j in zip(low - start, high - start, strict=True))
        filled[place] += read_piece(folder, part.block, part.place, (a, b, c), cut.factor)
    return filled, start * factor


def largest_part(filled: Filled) -> Filled:
    """Return the instance's largest connected part; voxels that share a corner are connected."""
    import cc3d

    numbers, count = cc3d.connected_components(filled > 0, connectivity=26, return_N=True)
    if count == 1:
        return filled
    light = np.bincount(numbers.ravel(), weights=filled.ravel())
    return np.where(numbers == 1 + int(light[1:].argmax()), filled, np.float32(0))


def thin_kept(filled: Filled) -> Filled:
    """Return voxels filled as given, but what majority would lose or tear counts as filled along its fullest path.

    A voxel counts as the instance's where it is at least half full. A thread or a sheet thinner than half a voxel is
    nowhere half full: from each such place that lies further than 1.8 voxels from what is kept, the path through the
    fullest voxels that leads there is kept too, one voxel wide; then what is still in several parts, or meets at
    corners alone, is joined in the same way.

    Raises
    ------
    ShapeError
        If that would take more than MAX_PATHS paths.
    """
    from scipy.ndimage import label

    kept = filled >= 0.5
    if not kept.any():
        kept[np.unravel_index(filled.argmax(), filled.shape)] = True
    paths = _keep_what_is_far(filled, kept)
    numbers, count = label(kept)
    while count > 1:
        paths += 1
        if paths > MAX_PATHS:
            raise ShapeError("most of it is thinner than the level's voxels: prepare it at a finer level")
        smallest = numbers == 1 + int(np.bincount(numbers.ravel())[1:].argmin())
        route, cost = _fullest_routes(filled, smallest)
        nearest = np.where(kept & ~smallest, cost, np.inf).argmin()
        kept[_along(route, np.array(np.unravel_index(nearest, filled.shape)))] = True
        numbers, count = label(kept)
    return np.where(kept & (filled < 0.5), np.float32(KEPT), filled)


def _keep_what_is_far(filled: Filled, kept: NDArray[np.bool_]) -> int:
    """Keep a path to each voxel further than FAR from all that is kept; return how many paths that took."""
    from scipy.ndimage import distance_transform_edt
    from scipy.spatial import cKDTree

    lost = (filled > 0) & ~kept
    lost &= distance_transform_edt(~kept) > FAR if lost.any() else False
    places, paths = np.argwhere(lost), 0
    if not len(places):
        return 0
    route, cost = _fullest_routes(filled, kept)
    near, waiting = cKDTree(places), np.ones(len(places), np.bool_)
    # The furthest first: its path covers most of what lies on the way.
    for number in np.argsort(-cost[lost]).tolist():
        if waiting[number]:
            path = _along(route, places[number])
            kept[path] = True
            paths += 1
            for covered in near.query_ball_point(np.stack(path, axis=1), FAR):
                waiting[covered] = False
    return paths


def _fullest_routes(filled: Filled, start: NDArray[np.bool_]) -> tuple[Any, NDArray[np.float64]]:
    """Return what finds the paths through the fullest voxels from any of a set, and what each voxel's costs."""
    from scipy.ndimage import binary_erosion
    from skimage.graph import MCP

    # From face to face, as what meets at corners alone would be torn again; through empty voxels where it must.
    route = MCP(1 / np.maximum(filled, EMPTY), fully_connected=False)
    border = np.argwhere(start & ~binary_erosion(start))
    cost, _ = route.find_costs([tuple(place) for place in border.tolist()])
    return route, cost


def _along(route: Any, end: NDArray[np.integer]) -> tuple[NDArray[np.intp], ...]:
    """Return the voxels of a path as an index."""
    return tuple(np.array(route.traceback(tuple(end.tolist())), np.intp).T)


@dataclass(frozen=True)
class Smoothed:
    """A smooth signed field of voxels, in one part.

    Parameters
    ----------
    field
        Its origin is that of the voxels' first centre at 0.
    share
        The part of the smoothing that was used: less than 1 where more would have torn the instance.
    filled
        The voxels that the field has: all that were given, but for parts that hang on by corners alone.
    """

    field: SampledField
    share: float
    filled: Filled


def smooth_field(filled: Filled, step_nm: Points, smooth_nm: Points) -> Smoothed:
    """Return a smooth signed field of the volume that voxels have, in one part.

    Parameters
    ----------
    filled
        (nx, ny, nz) how full each voxel is.
    step_nm
        (3,) the voxels' size.
    smooth_nm
        (3,) standard deviation of the smoothing along each axis.

    Notes
    -----
    A flat border smoothed by a Gaussian falls as the normal distribution does, so its inverse makes a signed distance
    of the smoothed voxels; it holds to RANGE standard deviations and is cut off there. The level is moved so that the
    volume is that of the voxels, as smoothing shrinks what is round.
    """
    for share, finer in TRIES:
        fine = filled if finer == 1 else filled.repeat(finer, axis=0).repeat(finer, axis=1).repeat(finer, axis=2)
        fine_nm = step_nm / finer
        values, pad = _smoothed(fine, fine_nm, share * smooth_nm)
        numbers, count = _parts(values)
        if count == 1:
            origin_nm = (fine_nm - step_nm) / 2 - pad * fine_nm
            return Smoothed(SampledField(values.astype(np.float32), origin_nm, fine_nm), share, filled)
    # The finer lattice's largest part, each of whose voxels holds one point of it in its lowest corner.
    largest = numbers == 1 + int(np.bincount(numbers.ravel())[1:].argmax())
    inner = largest[tuple(slice(n, -n, finer) for n in pad.tolist())]
    return smooth_field(np.where(inner, filled, np.float32(0)), step_nm, smooth_nm)


def surface_of(field: SampledField, volume_nm3: float) -> tuple[Mesh, SampledField]:
    """Return a field's surface, and the field itself, at the level where the surface holds this volume.

    The level that the field has is off by a percent where it is bent as strongly as its voxels are large: it is moved
    by what is missing over the surface's area.
    """
    field = _stored(field)
    mesh = mesh_of_field(field)
    for _ in range(LEVELS):
        missing_nm3 = volume_nm3 - mesh_volume_nm3(mesh)
        level_nm, end_nm = missing_nm3 / mesh_area_nm2(mesh), 0.9 * float(field.values.max())
        if abs(missing_nm3) <= VOLUME_WITHIN * volume_nm3 or abs(level_nm) > end_nm:
            break
        field = _stored(replace(field, values=field.values - np.float32(level_nm)))
        mesh = mesh_of_field(field)
    return mesh, field


def _stored(field: SampledField) -> SampledField:
    """Return a field with the precision of a library's, so that mesh and field stay one."""
    return replace(field, values=field.values.astype(np.float16).astype(np.float32))


def _smoothed(filled: Filled, step_nm: Points, smooth_nm: Points) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return nm to the border, negative inside, on a padded lattice, and how many voxels were added before."""
    from scipy.ndimage import gaussian_filter
    from scipy.special import ndtri

    sigma = smooth_nm / step_nm
    pad = np.ceil(RANGE * sigma).astype(np.int64) + 2
    padded = np.pad(filled, [(int(n), int(n)) for n in pad])
    smoothed = gaussian_filter(padded, sigma, truncate=RANGE) if sigma.any() else padded
    width_nm = float(np.sqrt((sigma**2 + VOXEL_VARIANCE).mean()) * step_nm.mean())
    # What is hardly smoothed steps from full to empty, and a field may rise by no more than 1.5 nm per nm.
    end_nm = RANGE * width_nm if sigma.min() >= LEAST_SIGMA else 0.75 * float(step_nm.min())
    values = np.where(smoothed > 0.5, -end_nm, end_nm)
    near = (smoothed > FULL) & (smoothed < 1 - FULL)
    values[near] = np.clip(-width_nm * ndtri(smoothed[near].astype(np.float64)), -end_nm, end_nm)
    return values - _level_of_volume(values, float(filled.sum(dtype=np.float64)), float(step_nm.mean())), pad


def _level_of_volume(values: NDArray[np.float64], voxels: float, step_nm: float) -> float:
    """Return the level below which a field holds so many voxels, those at its border in part."""
    from scipy.optimize import brentq

    end = float(values.max())
    inner, band = np.count_nonzero(values <= -end), values[np.abs(values) < end]

    def excess(level: float) -> float:
        return inner + float(np.clip(0.5 - (band - level) / step_nm, 0, 1).sum()) - voxels

    low, high = -end + step_nm / 2, end - step_nm / 2
    return float(brentq(excess, low, high, xtol=0.05)) if low < high and excess(low) < 0 < excess(high) else 0.0


def _parts(values: NDArray[np.float64]) -> tuple[NDArray[np.int32], int]:
    """Return the parts that a surface made on this lattice has: its tetrahedra join corners along these edges alone."""
    from scipy.ndimage import label

    numbers, count = label(values < 0, EDGES)
    return np.asarray(numbers, np.int32), int(count)
