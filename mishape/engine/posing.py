"""How a shape comes to lie in the world: the pose of a scene's object."""

from __future__ import annotations

import numpy as np

from mishape.engine.geometry import PERSPECTIVES, centroid, flat_rotation, random_rotation, rotation_matrix
from mishape.engine.scene import Scene, SceneObject
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Points, Pose, Shape


def pose_of(scene: Scene, thing: SceneObject, shape: Shape) -> Pose:
    """Return where an object's shape lies; random rotations are drawn from the object's own stream."""
    rotation = _rotation(scene, thing, shape)
    center = np.asarray(thing.pose.center_nm, dtype=np.float64)
    offset = center - thing.pose.scale * rotation @ _origin(thing.pose.origin, shape)
    return Pose(rotation, offset, thing.pose.scale)


def _rotation(scene: Scene, thing: SceneObject, shape: Shape) -> Points:
    given = thing.pose.rotation
    if given not in ("uniform", "flat"):
        return rotation_matrix(*(PERSPECTIVES[given] if isinstance(given, str) else given))
    rng = stream(scene.seed, scene.sample, Stage.POSE, thing.path)
    return random_rotation(rng) if given == "uniform" else flat_rotation(shape.surface, thing.pose.tilt_deg, rng)


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
