"""Fewer faces, on request, and what that costs."""

from __future__ import annotations

import numpy as np

from mishape.engine import geometry
from mishape.engine.errors import ShapeError
from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh


def decimated(mesh: Mesh, field: SampledField, faces_kept: float) -> tuple[Mesh, float]:
    """Return a mesh with a part of its faces, by quadric errors, and its largest distance from the field's surface, nm.

    The distance is the field's own value at the vertices and the middles of the faces; without decimation it is that of
    the mesh as made.

    Raises
    ------
    ShapeError
        If the mesh with fewer faces is not closed.
    """
    if faces_kept < 1:
        import fast_simplification

        points, faces = fast_simplification.simplify(
            mesh.vertices_nm.astype(np.float32), mesh.faces.astype(np.int32), target_reduction=1 - faces_kept
        )
        mesh = Mesh(points.astype(np.float64), faces.astype(np.int64))
        try:
            geometry.check_watertight(mesh, "decimated")
        except ShapeError as error:
            raise ShapeError(f"with {faces_kept:g} of its faces {error}: keep more") from None
    places = np.concatenate([mesh.vertices_nm, mesh.vertices_nm[mesh.faces].mean(axis=1)])
    return mesh, float(np.abs(field(places)).max())
