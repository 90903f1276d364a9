"""What a library's index says about each shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from mishape.engine import geometry
from mishape.engine.errors import ShapeError
from mishape.engine.types import Mesh, Shape


def measures(shape: Shape) -> dict[str, Any]:
    """Return a shape's line of the index: provenance and measures of its mesh as stored (float32), lengths in nm."""
    mesh = Mesh(shape.surface.vertices_nm.astype(np.float32).astype(np.float64), shape.surface.faces)
    by_axis = np.ascontiguousarray(mesh.vertices_nm.T)
    low, high = by_axis.min(axis=1), by_axis.max(axis=1)
    try:
        geometry.check_watertight(mesh, shape.id)
        watertight = True
    except ShapeError:
        watertight = False
    return {
        "id": shape.id,
        "fold": shape.fold,
        "source": shape.source,
        "licence": shape.licence,
        "bounds_nm": [low.tolist(), high.tolist()],
        "centre_nm": ((low + high) / 2).tolist(),
        "scale_nm": float((high - low).max()),
        "volume_nm3": geometry.mesh_volume_nm3(mesh) if watertight else None,
        "area_nm2": geometry.mesh_area_nm2(mesh),
        "watertight": watertight,
        "genus": _genus(mesh) if watertight else None,
        "touches_border": None,
    }


def _genus(mesh: Mesh) -> int:
    """Return the number of handles of a closed mesh, over all its parts (Euler-Poincare formula)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.vertices_nm)
    used = int(np.count_nonzero(np.bincount(mesh.faces.ravel(), minlength=count)))
    # Two sides of each face join its corners.
    start, end = mesh.faces[:, :2].ravel(), mesh.faces[:, 1:].ravel()
    graph = coo_array((np.ones(len(start), np.int8), (start, end)), shape=(count, count))
    parts = connected_components(graph, directed=False)[0] - (count - used)
    euler = used - mesh.faces.size // 2 + len(mesh.faces)
    return int(parts - euler // 2)
