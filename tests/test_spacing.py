"""Shapes that keep their distance: of surfaces, not of boxes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mishape
from mishape.engine.geometry import random_rotation
from mishape.engine.spacing import Placed
from mishape.plugins.shapes.implicit import Implicit


def ball(radius_nm: float, *center_nm: float) -> Placed:
    shape = Implicit(form="sphere", radius_nm=radius_nm).sample(np.random.default_rng(0), None)
    return Placed(shape.moved(np.eye(3), np.array(center_nm, np.float64), 1.0))


@settings(max_examples=60, deadline=None)
@given(
    radii=st.tuples(*[st.floats(50, 900)] * 2),
    apart_nm=st.floats(-1500, 1500),
    gap_nm=st.floats(0, 500),
    seed=st.integers(0, 99),
)
def test_two_balls(radii: tuple[float, float], apart_nm: float, gap_nm: float, seed: int) -> None:
    """Whoever is clear is so by the exact distance; whoever is not is at most the points' spacing from it."""
    direction = random_rotation(np.random.default_rng(seed))[0]
    distance_nm = max(sum(radii) + apart_nm, 0.0)
    one, other = ball(radii[0], 0, 0, 0), ball(radii[1], *(direction * distance_nm))
    clear = one.is_clear_of(other, gap_nm)
    exact_nm = distance_nm - sum(radii)
    assert clear == other.is_clear_of(one, gap_nm)
    if clear:
        assert exact_nm >= gap_nm - 1  # the mesh of a ball lies within 1 nm of it
    else:
        assert exact_nm < gap_nm + 2 * 2 * 60 / 3**0.5


def test_a_solid_within_another_is_not_clear() -> None:
    shell, kernel = ball(2000, 0, 0, 0), ball(100, 0, 0, 0)
    assert not kernel.is_clear_of(shell, 50)
    assert not shell.is_clear_of(kernel, 50)


def scene(count: int, gap_nm: float | None, scatter_nm: float = 700) -> mishape.Spec:
    pose: dict[str, Any] = {"rotation": "uniform", "scatter_nm": [scatter_nm, scatter_nm, 100]}
    if gap_nm is not None:
        pose["gap_nm"] = gap_nm
    view = {"grid": {"shape": [1, 32, 32], "pixel_nm": 80}, "microscope": {"kind": "epi", "preset": "epi2"}}
    return mishape.load_spec(
        {
            "mishape": 1,
            "seed": 5,
            "samples": 6,
            "objects": [{"count": count, "shape": {"kind": "em_mesh", "library": "neuropil"}, "pose": pose}],
            "views": {"epi": view},
        }
    )


def least_distance_nm(sample: mishape.Sample) -> float:
    """The least distance of any two of a sample's shapes by trimesh: between vertices and triangles."""
    import trimesh

    meshes = [trimesh.Trimesh(s.surface.vertices_nm, s.surface.faces, process=False) for s in sample.shapes.values()]
    found = np.inf
    for i, one in enumerate(meshes):
        for other in meshes[:i]:
            near = one.vertices[np.argsort(np.linalg.norm(one.vertices - other.centroid, axis=1))[:20]]
            found = min(found, float(trimesh.proximity.closest_point_naive(other, near)[1].min()))
    return found


def test_objects_keep_their_distance_and_their_bytes() -> None:
    crowded, apart = scene(5, None), scene(5, 60.0)
    assert min(least_distance_nm(mishape.simulate(crowded.scene(n))) for n in range(3)) < 60
    for number in range(3):
        sample = mishape.simulate(apart.scene(number))
        assert least_distance_nm(sample) >= 60
        again = mishape.simulate(apart.scene(number))
        np.testing.assert_array_equal(sample.images["epi"], again.images["epi"])
        for pose in sample.poses.values():
            assert (np.abs(pose.offset_nm) <= [700, 700, 100]).all()


def test_no_room_is_told() -> None:
    with pytest.raises(mishape.ShapeError) as raised:
        mishape.simulate(scene(40, 200.0, 300).scene(0))
    assert re.match(
        r"no room for object objects\.0\.\d+ \(mito\d\d\) at 200 nm from the \d+ before it, in 300 places: give a "
        r"larger scatter_nm, fewer objects, a smaller gap_nm, or --skip-errors$",
        str(raised.value),
    )
