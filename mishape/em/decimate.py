"""Fewer faces, on request, and what that costs."""

from __future__ import annotations

import numpy as np

from mishape.engine import geometry
from mishape.engine.errors import ShapeError
from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh


def decimated(mesh: Mesh, field: SampledField, faces_kept: float) -> tuple[Mesh, float]:
    """Return a mesh with a part of its faces, by quadric errors, and its largest distance from the field's surface, nm.

    The distance is the field's own value at the vertices and the middles of the faces.

    Raises
    ------
    ShapeError
        If the mesh with fewer faces is not closed.
    """
    import fast_simplification

    points, faces = fast_simplification.simplify(
        mesh.vertices_nm.astype(np.float32), mesh.faces.astype(np.int32), target_reduction=1 - faces_kept
    )
    fewer = Mesh(points.astype(np.float64), faces.astype(np.int64))
    try:
        geometry.check_watertight(fewer, "decimated")
    except ShapeError as error:
        raise ShapeError(f"with {faces_kept:g} of its faces {error}: keep more") from None
    places = np.concatenate([fewer.vertices_nm, fewer.vertices_nm[fewer.faces].mean(axis=1)])
    return fewer, float(np.abs(field(places)).max())
