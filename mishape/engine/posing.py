"""How a shape comes to lie in the world: the pose of a scene's object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from mishape.engine.errors import ShapeError
from mishape.engine.geometry import PERSPECTIVES, centroid, flat_rotation, random_rotation, rotation_matrix
from mishape.engine.scene import PosePlan, Scene, SceneObject
from mishape.engine.seeding import Stage, stream
from mishape.engine.spacing import Placed
from mishape.engine.types import Points, Pose, Shape

TRIES = 300
"""Places that are tried for a shape that keeps its distance."""


def pose_of(scene: Scene, thing: SceneObject, shape: Shape, placed: Sequence[Placed] = ()) -> Pose:
    """Return where an object's shape lies; what is random about it is drawn from the object's own stream.

    Parameters
    ----------
    placed
        Shapes that it keeps its distance from, if it is to keep one.

    Raises
    ------
    ShapeError
        If there is no room for it in TRIES places.
    """
    rng = stream(scene.seed, scene.sample, Stage.POSE, thing.path)
    gap_nm = thing.pose.gap_nm
    if gap_nm is None:
        return _drawn(thing.pose, shape, rng)
    for _ in range(TRIES):
        pose = _drawn(thing.pose, shape, rng)
        here = Placed(shape.moved(pose.rotation, pose.offset_nm, pose.scale))
        if all(here.is_clear_of(other, gap_nm) for other in placed):
            return pose
    raise ShapeError(
        f"no room for object {thing.path} ({shape.id}) at {gap_nm:g} nm from the {len(placed)} before it, in {TRIES} "
        "places: give a larger scatter_nm, fewer objects, a smaller gap_nm, or --skip-errors"
    )


def _drawn(plan: PosePlan, shape: Shape, rng: Generator) -> Pose:
    rotation = _rotation(plan, shape, rng)
    center = np.asarray(plan.center_nm, dtype=np.float64)
    if any(plan.scatter_nm):
        center = center + rng.uniform(-1, 1, 3) * plan.scatter_nm
    return Pose(rotation, center - plan.scale * rotation @ _origin(plan.origin, shape), plan.scale)


def _rotation(plan: PosePlan, shape: Shape, rng: Generator) -> Points:
    given = plan.rotation
    if given == "uniform":
        return random_rotation(rng)
    if given == "flat":
        return flat_rotation(shape.surface, plan.tilt_deg, rng)
    return rotation_matrix(*(PERSPECTIVES[given] if isinstance(given, str) else given))


def _origin(name: str, shape: Shape) -> Points:
    if name == "own":
        return np.zeros(3)
    if name == "centroid":
        return centroid(shape.surface)
    mesh = shape.surface
    if name == "box":
        return np.asarray((mesh.vertices_nm.min(axis=0) + mesh.vertices_nm.max(axis=0)) / 2)
    corners = mesh.vertices_nm[mesh.faces]
    return np.asarray(np.average(corners.mean(axis=1), axis=0, weights=mesh.triangles.areas_nm2))
