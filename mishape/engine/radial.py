"""Radial tables: reading them between their radii, and averaging them over disks and circles."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mishape.engine.types import Points

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@lru_cache(maxsize=64)
def legendre(count: int) -> tuple[Points, Points]:
    """Return Gauss-Legendre nodes and weights on [-1, 1]."""
    from scipy.special import roots_legendre

    nodes, weights = roots_legendre(count)
    return nodes, weights


def cubic_weights(position: Points) -> tuple[NDArray[np.int64], Points]:
    """Return where a uniform table of an even function must be read: (n, 4) indices and Lagrange weights.

    `position` is in steps of the table, >= 0; index -1 stands for +1 by symmetry.
    """
    base = np.floor(position).astype(np.int64)
    t = position - base
    weights = np.stack(
        [
            -t * (t - 1) * (t - 2) / 6,
            (t + 1) * (t - 1) * (t - 2) / 2,
            -(t + 1) * t * (t - 2) / 2,
            (t + 1) * t * (t - 1) / 6,
        ],
        axis=-1,
    )
    return np.abs(base[..., None] + np.arange(-1, 3)), weights


def table_reader(position: Points, count: int, share: Points | float = 1.0) -> csr_array:
    """Return the sparse matrix that sums readings of a uniform table of an even function, by cubics.

    Parameters
    ----------
    position
        (n, m) places in steps of the table; row n of the matrix sums its m readings.
    count
        Length of the table.
    share
        Weight of each reading, (n, m) or the same for all.
    """
    from scipy.sparse import csr_array

    index, weights = cubic_weights(position)
    data = weights * np.broadcast_to(share, position.shape)[..., None]
    starts = np.arange(0, index.size + 1, 4 * position.shape[1])
    return csr_array((data.ravel(), np.minimum(index, count - 1).ravel(), starts), shape=(len(position), count))


def average_over_disk(table: Points, step_nm: float, radius_nm: float, r_nm: Points) -> Points:
    """Integrate an axisymmetric density over a disk whose centre lies r_nm from the axis.

    Parameters
    ----------
    table
        (n_z, n) density per nm^2 at radii ``step_nm * arange(n)``, reaching at least ``max(r_nm) + radius_nm``.
    radius_nm
        The disk's radius, nm.
    r_nm
        (n_r,) distances of the disk's centre from the axis.

    Returns
    -------
    (n_z, n_r): the fraction that falls into the disk.

    Notes
    -----
    On the circle of radius s about the axis the disk cuts an arc of half-angle
    arccos((r^2 + s^2 - a^2) / (2 r s)), or the whole circle where s < a - r. The arc's square-root ends vanish under
    s = max(r, a) + min(r, a) sin(phi), so Gauss-Legendre converges exponentially in phi.
    """
    result = np.empty((len(table), len(r_nm)))
    for covers_axis in (False, True):
        places = np.flatnonzero((r_nm < radius_nm) == covers_axis)
        for start in range(0, len(places), 128):
            rows = places[start : start + 128]
            result[:, rows] = _disk_rows(table, step_nm, radius_nm, r_nm[rows])
    return result


def _disk_rows(table: Points, step_nm: float, radius_nm: float, r_nm: Points) -> Points:
    # Enough where the table has 32 steps per wave of the density: exponential convergence begins below that count.
    nodes, weights = legendre(4 * math.ceil((radius_nm / step_nm / 5.5 + 12) / 4))
    r, a = r_nm[:, None], radius_nm
    phi = nodes * math.pi / 2
    arc = np.maximum(r, a) + np.minimum(r, a) * np.sin(phi)
    cosine = (r**2 + arc**2 - a**2) / np.maximum(2 * r * arc, 1e-300)
    half_angle = np.arccos(np.clip(cosine, -1, 1))
    radii, share = arc, 2 * arc * half_angle * np.minimum(r, a) * np.cos(phi) * weights * math.pi / 2
    if (r < a).any():
        inner = np.maximum(a - r, 0) * (nodes + 1) / 2
        inner_share = 2 * math.pi * inner * np.maximum(a - r, 0) * weights / 2
        radii, share = np.concatenate([arc, inner], axis=1), np.concatenate([share, inner_share], axis=1)
    reader = table_reader(radii / step_nm, table.shape[1], share)
    return np.asarray((reader @ table.T).T)


def average_over_circle(table: Points, step_nm: float, radius_nm: float, r_nm: Points) -> Points:
    """Average an axisymmetric function over a circle whose centre lies r_nm from the axis.

    Parameters
    ----------
    table
        (n_z, n) values at radii ``step_nm * arange(n)``, reaching at least ``max(r_nm) + radius_nm``.
    radius_nm
        The circle's radius, nm.
    r_nm
        (n_r,) distances of the circle's centre from the axis.

    Returns
    -------
    (n_z, n_r). The midpoint rule over the angle converges exponentially, once its steps are finer than the function.
    """
    count = 16 + math.ceil(radius_nm / step_nm / 4)
    angle = math.pi * (np.arange(count) + 0.5) / count
    squared = (r_nm**2 + radius_nm**2)[:, None] - 2 * radius_nm * np.multiply.outer(r_nm, np.cos(angle))
    reader = table_reader(np.sqrt(np.maximum(squared, 0)) / step_nm, table.shape[1], 1 / count)
    return np.asarray((reader @ table.T).T)
