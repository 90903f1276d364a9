"""07 Raster or implicit: one known solid, kept as labels in voxels or as a function, and the error of each.

A capsule is labelled in voxels of 8, 24 and 100 nm, and shapes are made of the labels as of any volume of electron
microscopy; its function is meshed in steps of 8, 24 and 100 nm. The truth is exact: volume and area by formula,
distances by the function itself, and light from points of equal area on the surface. The table's columns:

- volume, area: error in percent;
- mean, largest: distance of the mesh's vertices and faces' middles to the true surface, nm;
- right, IoU: occupancy labels of 100 000 points, in percent;
- image: largest difference of the expected photons over the peak, in percent, for the same emitters per area.

python examples/07_raster_or_implicit.py    (needs the extra `em`)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import mishape
from mishape.em.prepare import prepare
from mishape.em.settings import Making
from mishape.engine.geometry import mesh_area_nm2, mesh_volume_nm3
from mishape.engine.meshing import mesh_of_implicit
from mishape.engine.types import Array, Emitters, Grid, Implicit, Mesh, Points, Shape
from mishape.plugins.labelers.surface import Surface
from mishape.plugins.shapes.implicit import Implicit as ImplicitSource

STEPS_NM = (8, 24, 100)
POINTS = 1_000_000
"""Points that the true surface's light comes from."""
FINE_NM = 25
"""Longest edge of the triangles from whose middles a mesh's light comes: a tenth of the PSF's width."""
Table = dict[str, list[float]]


@dataclass(frozen=True)
class Truth:
    """The solid as it is: its function, exact measures, occupancy points with their labels, and expected photons."""

    implicit: Implicit
    volume_nm3: float
    area_nm2: float
    points_nm: Points
    inside: Array
    photons: Array


def capsule_points(source: ImplicitSource, count: int) -> Points:
    """Return points of equal area on a capsule: a spiral in equal steps along its axis.

    Slices of equal thickness of a sphere have equal areas, and the same as of the cylinder around it (Archimedes).
    """
    length, radius = source.length_nm, source.radius_nm
    assert length is not None
    assert radius is not None
    x = ((np.arange(count) + 0.5) / count - 0.5) * length
    angle = np.arange(count) * np.pi * (3 - 5**0.5)
    wide = np.sqrt(radius**2 - np.maximum(np.abs(x) - (length / 2 - radius), 0) ** 2)
    return np.stack([x, wide * np.cos(angle), wide * np.sin(angle)], axis=1)
