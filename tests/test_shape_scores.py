"""Scores of found solids, on solids whose scores are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mishape
from mishape.engine.geometry import rotation_matrix
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.engine.types import Points, Pose
from mishape.learn.lit import Posed
from mishape.learn.place_scores import Compared, depth_of_field_nm, iou_of
from mishape.learn.shape_scores import ShapeScores, best_of_mirror, mirror_plane_nm, mirrored, shape_scores
from mishape.learn.solids import Solid, everywhere, solid_of
from mishape.plugins.shapes.implicit import Implicit

POINTS = 20_000


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def posed(center_nm: Any = (0, 0, 0), rotation: Any = None, scale: float = 1.0, **parameters: Any) -> Posed:
    """An exact solid in the world."""
    shape = Implicit(**parameters).sample(rng(), None)
    assert shape.implicit is not None
    solid = Solid(shape.id, None, shape.surface, shape.implicit.field, everywhere(), 1.0)
    turn = np.eye(3) if rotation is None else rotation
    return Posed(solid, Pose(turn, np.array(center_nm, np.float64), scale))


def ball(radius_nm: float, center_nm: Any = (0, 0, 0)) -> Posed:
    return posed(center_nm, form="sphere", radius_nm=radius_nm)


def field_of(function: Any, half_nm: Any, step_nm: float = 12.0, center_nm: Any = (0, 0, 0)) -> SampledField:
    """A function of the world on a lattice about a place."""
    axes = [np.arange(-half - 3 * step_nm, half + 4 * step_nm, step_nm) for half in np.broadcast_to(half_nm, 3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) + np.array(center_nm)
    values = function(points.reshape(-1, 3)).reshape(points.shape[:3])
    return SampledField(values, points[0, 0, 0], np.full(3, step_nm))


def found(one: Posed, half_nm: Any, step_nm: float = 12.0) -> SampledField:
    return field_of(one.distance_nm, half_nm, step_nm, one.pose.offset_nm)


def view_of(microscope: Any = None, planes_nm: Any = (0.0,)) -> View:
    grid = {"shape": [len(planes_nm), 16, 16], "pixel_nm": 109, "planes_nm": [*planes_nm]}
    return View.model_validate({"grid": grid, "microscope": microscope or {"kind": "epi", "preset": "epi1"}})


def scores(true: Posed, field: SampledField | None, view: View | None = None) -> ShapeScores:
    return shape_scores(true, field, view or view_of(), rng(), POINTS)


def overlap_of_balls(one: float, other: float, apart: float) -> float:
    """Intersection over union; the lens of two spheres is 4.9 of mathworld's Sphere-Sphere Intersection."""
    lens = (
        math.pi
        * (one + other - apart) ** 2
        * (apart**2 + 2 * apart * (one + other) - 3 * (one - other) ** 2)
        / (12 * apart)
    )
    return lens / (4 / 3 * math.pi * (one**3 + other**3) - lens)


class TestPlaces:
    @pytest.mark.parametrize(("places", "within"), [(1_000_000, 0.001), (50_000, 0.004)])
    @pytest.mark.parametrize(
        ("one", "other", "center_nm"),
        [(100.0, 100.0, (30, 40, 0)), (100.0, 130.0, (20, 10, 60)), (400.0, 380.0, (70, -20, 33))],
    )
    def test_two_balls(self, one: float, other: float, center_nm: Any, places: int, within: float) -> None:
        exact = overlap_of_balls(one, other, float(np.linalg.norm(center_nm)))
        told = iou_of(ball(one), found(ball(other, center_nm), other, 8.0), places)
        assert told == pytest.approx(exact, abs=within)

    @pytest.mark.parametrize(("places", "within"), [(1_000_000, 0.01), (50_000, 0.03)])
    def test_thin_capsules_across_their_box(self, places: int, within: float) -> None:
        """Moved along itself, a capsule has all but that length in common with what it was: exactly a capsule."""
        turn, length, radius, moved = rotation_matrix(20, -35, 45), 2000.0, 110.0, 200.0
        one, other = (
            posed(turn @ (way, 0, 0), turn, form="capsule", length_nm=length, radius_nm=radius)
            for way in (-moved / 2, moved / 2)
        )
        whole, common = (
            math.pi * radius**2 * (long - 2 * radius) + 4 / 3 * math.pi * radius**3 for long in (length, length - moved)
        )
        told = iou_of(one, found(other, 850.0, 16.0), places)
        assert told == pytest.approx(common / (2 * whole - common), abs=within)

    def test_a_solid_far_away_has_nothing_in_common(self) -> None:
        assert iou_of(ball(100.0), found(ball(100.0, (900, 0, 0)), 100.0)) == 0

    def test_near_the_surface(self) -> None:
        """A ball 24 nm too large: among places within 48 nm, a shell of 48 nm is in both, and one of 24 nm more."""
        told = scores(ball(300.0), found(ball(324.0), 324.0))
        inner, outer = 300**3 - 252**3, 324**3 - 252**3
        assert told.near_iou == pytest.approx(inner / outer, abs=0.005)
        assert told.iou == pytest.approx((300 / 324) ** 3, abs=0.003)

    def test_in_focus_and_out(self) -> None:
        """A slab of the depth of field, cut out of a capsule along z, is right in focus, and nothing is beyond."""
        capsule = posed(rotation=rotation_matrix(0, 90, 0), form="capsule", length_nm=1500.0, radius_nm=200.0)
        half_nm = 1.515 * 688 / 1.42**2 / 2
        assert depth_of_field_nm(view_of()) == pytest.approx(2 * half_nm)
        slab = field_of(
            lambda at: np.maximum(capsule.distance_nm(at), np.abs(at[:, 2]) - half_nm), (200, 200, 300), 10.0
        )
        told = scores(capsule, slab)
        assert told.iou_in_focus == pytest.approx(1.0, abs=0.02)
        assert told.iou_out_of_focus == pytest.approx(0.0, abs=0.01)
        stack = scores(capsule, slab, view_of(planes_nm=(-600.0, 0.0, 600.0)))
        assert stack.iou_in_focus is not None
        assert told.iou < stack.iou_in_focus < 0.5

    def test_nothing_out_of_focus_is_no_score(self) -> None:
        told = scores(ball(150.0), found(ball(140.0), 140.0))
        assert told.iou_out_of_focus is None
        assert told.iou_in_focus == told.iou

    def test_a_microscope_that_does_not_say_its_aperture(self) -> None:
        assert depth_of_field_nm(view_of().model_copy(update={"microscope": object()})) is None

    def test_the_lattice_is_as_fine_as_the_solid_is_small(self) -> None:
        for radius_nm in (50.0, 5000.0):
            assert len(Compared.of(ball(radius_nm), None).z_nm) == pytest.approx(1_000_000, rel=0.05)


class TestSurfaces:
    def test_itself_lies_apart_by_the_floor_of_sampling(self) -> None:
        """The mean distance to the nearest of points of density d in a plane is 1 / (2 sqrt(d)), Poisson's law."""
        told = scores(ball(400.0), found(ball(400.0), 400.0))
        floor_nm = math.sqrt(4 * math.pi * 400**2 / POINTS) / 2
        assert told.chamfer_nm == pytest.approx(floor_nm, rel=0.03)
        assert told.chamfer == pytest.approx(told.chamfer_nm / 800, rel=0.01)
        assert told.iou > 0.99
        assert told.normal_consistency > 0.999
        assert told.f_score == pytest.approx(1 - math.exp(-(8**2) / (2 * floor_nm) ** 2 * math.pi), abs=0.01)
        assert (told.betti_0, told.betti_1, told.watertight) == (True, True, True)

    def test_concentric_balls(self) -> None:
        told = scores(ball(300.0), found(ball(336.0), 336.0))
        for distance in (told.accuracy_nm, told.completeness_nm, told.chamfer_nm, told.median_surface_nm):
            assert distance == pytest.approx(36.0, abs=0.7)
        assert told.chamfer == pytest.approx(36 / 600, rel=0.03)
        assert (told.f_score, told.f_score_24, told.f_score_48) == (0, 0, 1)
        assert told.volume_error == pytest.approx(1.12**3 - 1, abs=0.01)
        assert told.area_error == pytest.approx(1.12**2 - 1, abs=0.01)
        assert told.length_error == pytest.approx(0.12, abs=0.01)

    def test_a_ball_moved_aside(self) -> None:
        """Points of a sphere lie 0 to d from the sphere moved by d, abs(|p - d| - r); points of it add 0.8 nm."""
        told = scores(ball(300.0), found(ball(300.0, (40, 0, 0)), 300.0))
        points = np.random.default_rng(1).standard_normal((100_000, 3))
        points *= 300 / np.linalg.norm(points, axis=1, keepdims=True)
        exact = np.abs(np.linalg.norm(points - (40, 0, 0), axis=1) - 300).mean()
        assert told.accuracy_nm == pytest.approx(exact + 0.8, abs=0.3)
        assert told.completeness_nm == pytest.approx(exact + 0.8, abs=0.3)

    def test_accuracy_and_completeness_are_told_apart(self) -> None:
        """Half of a capsule is accurate, not complete."""
        whole = posed(form="capsule", length_nm=1200.0, radius_nm=150.0)
        half = posed((-300, 0, 0), form="capsule", length_nm=600.0, radius_nm=150.0)
        told = scores(whole, found(half, (300, 150, 150)))
        assert told.accuracy_nm < 25 < 100 < told.completeness_nm
        assert told.length_error == pytest.approx(-0.5, abs=0.01)

    def test_handles_and_parts_count(self) -> None:
        def box(at: Points) -> Points:
            return np.asarray((np.abs(at) - (300, 200, 100)).max(axis=1))

        def holed(at: Points) -> Points:
            return np.asarray(np.maximum(box(at), 80 - np.abs(at[:, :2]).max(axis=1)))

        def hollow(at: Points) -> Points:
            return np.asarray(np.maximum(box(at), 60 - np.abs(at).max(axis=1)))

        def halved(at: Points) -> Points:
            return np.asarray(np.maximum(box(at), 40 - np.abs(at[:, 0])))

        fields = [field_of(one, (300, 200, 100)) for one in (box, holed, hollow, halved)]
        balls = [shape_scores(ball(250.0), one, view_of(), rng(), 500) for one in fields]
        assert [one.betti_0 for one in balls] == [True, True, True, False]
        assert [one.betti_1 for one in balls] == [True, False, True, True]
        assert all(one.watertight for one in balls)
        ring = shape_scores(
            posed(form="torus", ring_radius_nm=300.0, radius_nm=120.0), fields[1], view_of(), rng(), 500
        )
        assert (ring.betti_0, ring.betti_1) == (True, True)

    def test_the_unit_is_the_edge_of_the_own_box(self) -> None:
        """However the shape lies: a capsule of 1000 nm, twice as large, is 2000 nm long along any diagonal."""
        turn = rotation_matrix(30, 40, 50)
        capsule = posed((10, 20, 30), turn, 2.0, form="capsule", length_nm=1000.0, radius_nm=150.0)
        told = scores(capsule, found(capsule, 1050.0, 20.0))
        assert told.chamfer * 2000 == pytest.approx(told.chamfer_nm, rel=0.01)
        assert told.volume_error == pytest.approx(0, abs=0.02)
        assert told.length_error == pytest.approx(0, abs=0.01)
        assert told.normal_consistency > 0.99

    def test_equal_generators_draw_equal_points(self) -> None:
        field = found(ball(200.0, (20, 0, 0)), 200.0)
        assert scores(ball(200.0), field) == scores(ball(200.0), field)


def test_nothing_found() -> None:
    told = scores(ball(300.0), None)
    assert (told.iou, told.near_iou, told.f_score, told.f_score_24, told.f_score_48) == (0, 0, 0, 0, 0)
    assert (told.normal_consistency, told.iou_in_focus, told.iou_out_of_focus) == (0, 0, 0)
    assert told.chamfer == 1
    assert told.chamfer_nm == told.accuracy_nm == told.completeness_nm == told.median_surface_nm
    assert told.chamfer_nm == pytest.approx(600, rel=0.01)
    assert (told.volume_error, told.area_error, told.length_error) == (-1, -1, -1)
    assert (told.betti_0, told.betti_1, told.watertight) == (False, False, False)
    assert best_of_mirror(ball(300.0), None, view_of(), rng()) == told


class TestMirror:
    @pytest.mark.parametrize("plane_nm", [0.0, 130.0])
    def test_the_image_of_a_tilted_capsule(self, plane_nm: float) -> None:
        """Mirrored in the focal plane, wherever that is, a solid that leans to the left leans to the right."""
        forms: dict[str, Any] = {"form": "capsule", "length_nm": 1000.0, "radius_nm": 120.0}
        leaning = posed((0, 0, 100), rotation_matrix(0, 40, 0), **forms)
        image = posed((0, 0, 2 * plane_nm - 100), rotation_matrix(0, -40, 0), **forms)
        field = mirrored(found(leaning, 500.0, 20.0), plane_nm)
        assert iou_of(image, field) > 0.98
        assert iou_of(leaning, field) < 0.5
        view = view_of(planes_nm=(plane_nm,))
        assert best_of_mirror(leaning, field, view, rng(), 500).iou > 0.98

    def test_the_plane_of_a_stack_is_the_middle_one(self) -> None:
        assert mirror_plane_nm(view_of(planes_nm=(-100.0, 50.0, 300.0))) == 50

    def test_mirrored_twice_is_the_same(self) -> None:
        field = found(ball(200.0, (0, 0, 55)), 200.0)
        back = mirrored(mirrored(field, 31.0), 31.0)
        np.testing.assert_array_equal(back.values, field.values)
        np.testing.assert_allclose(back.origin_nm, field.origin_nm)


def test_shapes_of_a_library() -> None:
    """What a lattice holds of a real mitochondrion is that mitochondrion, however it lies."""
    entry = next(iter(mishape.open_library("neuropil")))
    solid = solid_of(entry.shape())
    true = Posed(solid, Pose(rotation_matrix(20, 50, 70), np.array([100.0, 0.0, 50.0])))
    low, high = true.vertices_nm.min(axis=0), true.vertices_nm.max(axis=0)
    field = field_of(true.distance_nm, (high - low) / 2, 16.0, (low + high) / 2)
    told = scores(true, field)
    assert told.iou > 0.95
    assert told.median_surface_nm < 10
    assert abs(told.volume_error) < 0.02
