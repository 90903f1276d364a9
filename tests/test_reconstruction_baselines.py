"""Shapes found without learning, in images of solids that are easy to find."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mishape
from mishape.engine.density import emitters_of
from mishape.engine.types import Grid
from tests.small_shapes import sampled

pytest.importorskip("torch")

from benchmarks.reconstruction.answers import answer, brought
from benchmarks.reconstruction.baseline import Baseline
from benchmarks.reconstruction.baselines import baselines
from benchmarks.reconstruction.cases import VIEWS, Cases
from benchmarks.reconstruction.deconvolution import FINER, Deconvolution, imaging_of
from benchmarks.reconstruction.fields import solid_of
from benchmarks.reconstruction.fitted import FittedTube, MomentEllipsoid
from benchmarks.reconstruction.heights import seen_in
from benchmarks.reconstruction.known_shapes import MeanShape, NearestShape, solids_of
from benchmarks.reconstruction.markers import FlipCeiling, OracleEllipsoid
from benchmarks.reconstruction.outlines import CircularInflation, ExtrudedSilhouette, inflated
from mishape.learn.lit import Lit
from mishape.learn.lit_live import LiveImages
from mishape.learn.place_scores import iou_of
from mishape.learn.shape_scores import mirrored

CAPSULE = {"form": "capsule", "length_nm": 1400.0, "radius_nm": 220.0}
BALL = {"form": "sphere", "radius_nm": 250.0}
ELLIPSOID = {"form": "ellipsoid", "semi_axes_nm": [600.0, 250.0, 250.0]}
ASIDE_NM = [400.0, -300.0, 0.0]
ASKEW = [0.0, 0.0, 30.0]
"""Turned in the image plane."""
LEANING = [0.0, -30.0, 30.0]
Known = dict[str, Any]


def lit(form: Known, view: str = "epi image", rotation: Any = ASKEW, center_nm: Any = ASIDE_NM) -> Lit:
    """An image of an exact solid."""
    thing = {
        "shape": {"kind": "implicit", **form},
        "pose": {"rotation": [*rotation], "center_nm": [*center_nm]},
        "labeler": {"kind": "surface", "density_per_um2": 2000},
    }
    noise = {"kind": "poisson", "background": 100, "sbr": 4}
    scene = {"mishape": 1, "seed": 1, "objects": [thing], "views": {"a": {**VIEWS[view], "noise": noise}}}
    return LiveImages(mishape.load_spec(scene)).lit(0)


def overlap(baseline: Baseline, one: Lit) -> float:
    return iou_of(one.posed, baseline(one.counts, one.view, one.posed), 100_000)


@pytest.mark.parametrize(
    ("baseline", "form", "view", "rotation", "low", "high"),
    [
        (ExtrudedSilhouette(), CAPSULE, "epi image", ASKEW, 0.25, 0.45),
        (ExtrudedSilhouette(), CAPSULE, "confocal image", ASKEW, 0.35, 0.55),
        (CircularInflation(140.0), CAPSULE, "epi image", ASKEW, 0.75, 1.0),
        (CircularInflation(95.0), CAPSULE, "confocal image", ASKEW, 0.85, 1.0),
        (CircularInflation(140.0), CAPSULE, "epi image", LEANING, 0.25, 0.6),
        (CircularInflation(150.0), CAPSULE, "epi stack", LEANING, 0.65, 1.0),
        (MomentEllipsoid(1.8), ELLIPSOID, "epi image", ASKEW, 0.85, 1.0),
        (MomentEllipsoid(1.8), ELLIPSOID, "epi stack", LEANING, 0.75, 1.0),
        (FittedTube(140.0), CAPSULE, "epi image", ASKEW, 0.8, 1.0),
        (FittedTube(100.0), CAPSULE, "confocal image", ASKEW, 0.85, 1.0),
        (FittedTube(150.0), CAPSULE, "epi stack", LEANING, 0.75, 1.0),
        (Deconvolution(0.45), BALL, "epi stack", ASKEW, 0.7, 1.0),
        (Deconvolution(0.4), CAPSULE, "epi stack", ASKEW, 0.7, 1.0),
        (MeanShape(250.0), BALL, "epi image", ASKEW, 0.85, 1.0),
        (MeanShape(250.0), CAPSULE, "epi image", ASKEW, 0.2, 0.4),
        (OracleEllipsoid(), ELLIPSOID, "epi image", LEANING, 0.98, 1.0),
        (OracleEllipsoid(), CAPSULE, "epi image", LEANING, 0.8, 0.95),
    ],
)
def test_easy_solids(baseline: Baseline, form: Known, view: str, rotation: Any, low: float, high: float) -> None:
    """What suits a solid finds it, wherever it is in the field; what does not, does not."""
    assert low <= overlap(baseline, lit(form, view, rotation)) <= high


def test_an_even_image_shows_nothing() -> None:
    view = lit(BALL).view
    blind = [MeanShape(200.0), ExtrudedSilhouette(), CircularInflation(), MomentEllipsoid(), FittedTube()]
    assert [one(np.full(view.grid.shape, 100), view) for one in blind] == [None] * 5


class TestWhatIsSeen:
    @pytest.mark.parametrize("height_nm", [-150.0, 0.0, 150.0])
    def test_the_place_of_a_ball(self, height_nm: float) -> None:
        one = lit(BALL, "epi stack", center_nm=(400, -300, height_nm))
        seen = seen_in(one.counts, one.view)
        assert seen is not None
        np.testing.assert_allclose(seen[1].centre_nm[:2], (400, -300), atol=25)
        assert seen[1].centre_nm[2] == pytest.approx(height_nm, abs=60)

    def test_the_slope_of_a_capsule(self) -> None:
        """30 degrees out of the plane is a slope of tan 30 along it, which points 30 degrees off x."""
        one = lit(CAPSULE, "epi stack", LEANING)
        seen = seen_in(one.counts, one.view)
        assert seen is not None
        rise = np.tan(np.deg2rad(30))
        along = seen[1].slope @ [np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))]
        assert along == pytest.approx(rise, abs=0.12)

    def test_a_single_image_lies_in_its_focus(self) -> None:
        one = lit(CAPSULE, "epi image", LEANING)
        seen = seen_in(one.counts, one.view)
        assert seen is not None
        assert (seen[1].centre_nm[2], *seen[1].slope) == (0, 0, 0)

    def test_inflation_is_the_union_of_balls(self) -> None:
        rng = np.random.default_rng(0)
        radius_nm2 = np.where(rng.random((9, 12)) < 0.2, rng.uniform(0, 4000, (9, 12)), -np.inf)
        place = np.moveaxis(np.indices(radius_nm2.shape), 0, -1)
        away = ((place[:, :, None, None] - place) ** 2).sum(axis=-1)
        np.testing.assert_allclose(inflated(radius_nm2, 20.0), (radius_nm2 - 400 * away).max(axis=(2, 3)))


def test_the_number_is_chosen_on_images() -> None:
    """The one that fits images best, of those that are tried."""
    images = [lit(CAPSULE), lit(CAPSULE, rotation=(0, 0, 100))]
    way = CircularInflation()
    means = {amount: np.mean([overlap(replace(way, amount=amount), one) for one in images]) for amount in way.amounts}
    chosen = way.calibrated(images).amount
    assert chosen == max(means, key=lambda amount: means[amount])
    assert 100 <= chosen <= 175


class TestFlipCeiling:
    def test_of_what_is_its_own_mirror_image(self) -> None:
        assert overlap(FlipCeiling(), lit(CAPSULE)) > 0.98

    def test_no_answer_is_better(self) -> None:
        """The mean overlap with a solid and its mirror image: their union, either, both, or some of each."""
        one = lit(CAPSULE, rotation=LEANING)
        ceiling = overlap(FlipCeiling(), one)
        true = solid_of(one.posed)
        assert true is not None
        mirror = mirrored(true, 0.0)
        axes = [np.linspace(-900, 900, 61)] * 3
        at = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) + ASIDE_NM
        first, second = true(at) < 0, mirror(at) < 0

        def mean(answer: Any) -> float:
            overlaps = [(answer & truth).sum() / (answer | truth).sum() for truth in (first, second)]
            return float(np.mean(overlaps))

        assert ceiling < 0.8
        for best in (first | second, first, second):
            assert mean(best) == pytest.approx(ceiling, abs=0.01)
        dice = np.random.default_rng(0)
        for _ in range(20):
            some = (first & second) | (first & (dice.random(len(at)) < dice.random()))
            some |= second & (dice.random(len(at)) < dice.random())
            assert mean(some) <= ceiling + 0.01
        assert mean(first & second) < ceiling


class TestDeconvolution:
    def test_it_images_as_the_engine_does(self) -> None:
        """Light of some voxels gives the engine's image of them."""
        view = lit(BALL, "epi stack").view
        imaging = imaging_of(view)
        layers, (rows, columns) = len(imaging.z_nm), imaging.voxels
        light = np.zeros((layers, rows, columns), np.float32)
        light[[9, 3, 14], [48, 40, 55], [51, 60, 30]] = (100, 300, 200)
        step_nm = view.grid.pixel_nm / FINER
        voxels = Grid((layers, rows, columns), step_nm, planes_nm=tuple(imaging.z_nm.tolist()))
        every, lit_ones = emitters_of(light, voxels), light.ravel() > 0
        lone = replace(every, xyz_nm=every.xyz_nm[lit_ones], photons=every.photons[lit_ones].astype(np.float64))
        exact = view.microscope.image(lone, view.grid)
        # Out-of-focus light that leaves the field comes in on the other side.
        np.testing.assert_allclose(imaging.image(light), exact, atol=0.02 * exact.max())

    def test_back_is_the_transpose(self) -> None:
        imaging, rng = imaging_of(lit(BALL, "epi stack").view), np.random.default_rng(0)
        light = rng.random((len(imaging.z_nm), *imaging.voxels)).astype(np.float32)
        planes = rng.random((3, 48, 48)).astype(np.float32)
        there, back = (imaging.image(light) * planes).sum(), (light * imaging.back(planes)).sum()
        assert there == pytest.approx(back, rel=1e-4)


@pytest.fixture
def libraries(tmp_path: Path) -> tuple[Path, Path]:
    names = {"train": [(300.0, 150.0), (1000.0, 160.0), (1400.0, 180.0)], "test": [(900.0, 170.0), (1300.0, 150.0)]}
    for name, sizes in names.items():
        shapes = [
            replace(sampled(form="capsule", length_nm=length, radius_nm=radius), id=f"{name}{number}")
            for number, (length, radius) in enumerate(sizes)
        ]
        mishape.write_library(tmp_path / name, shapes, {"name": name, "source": "", "licence": "CC0", "citation": ""})
    return tmp_path / "train", tmp_path / "test"


class TestKnownShapes:
    def test_the_mean_of_equal_balls_is_that_ball(self, libraries: tuple[Path, Path]) -> None:
        solids = solids_of(mishape.open_library(libraries[0]))
        assert MeanShape.of(solids[:1], 1.0).radius_nm == pytest.approx(150, abs=6)
        assert MeanShape.of(solids[:1], 1.7).radius_nm == pytest.approx(255, abs=10)

    def test_a_training_shape_is_found_as_it_is(self, libraries: tuple[Path, Path]) -> None:
        train = libraries[0]
        every = NearestShape.of(solids_of(mishape.open_library(train)), 1.7)
        for one in Cases(train, "epi image", 1.7):
            assert overlap(every, one) > 0.97


class TestCases:
    def test_every_shape_is_shown_as_often(self, libraries: tuple[Path, Path]) -> None:
        ids = Counter(one.posed.solid.id for one in Cases(libraries[0], "epi image", poses=3))
        assert ids == {"train0": 3, "train1": 3, "train2": 3}

    def test_all_views_show_the_same_poses(self, libraries: tuple[Path, Path]) -> None:
        by_view = [[*Cases(libraries[1], view, 1.7, "no leak")] for view in VIEWS]
        assert [one[0].counts.shape for one in by_view] == [(3, 48, 48), (1, 48, 48), (1, 72, 72)]
        first, *others = [[one.posed.pose for one in images] for images in by_view]
        for poses in others:
            for pose, other in zip(first, poses, strict=True):
                np.testing.assert_array_equal(pose.rotation, other.rotation)
                np.testing.assert_array_equal(pose.offset_nm, other.offset_nm)
                assert pose.scale == other.scale == 1.7

    def test_columns(self, libraries: tuple[Path, Path]) -> None:
        """The capsules' centres are known in one column, and drawn in the other."""

        def places(column: Any) -> Any:
            return np.array([one.posed.pose.offset_nm for one in Cases(libraries[1], "epi image", 1.0, column, 10)])

        np.testing.assert_array_equal(places("true centre"), 0)
        found = np.abs(places("no leak")).max(axis=0)
        assert (found <= (330, 330, 250)).all()
        assert (found > (165, 165, 125)).all()


def test_ways_that_see_the_truth_say_so(libraries: tuple[Path, Path]) -> None:
    solids = solids_of(mishape.open_library(libraries[0]))
    every = baselines(solids, [], 1.0)
    markers = ["nearest training shape", "oracle ellipsoid", "flip ceiling"]
    assert [one.name for one in every if one.sees_truth] == markers
    assert len({one.name for one in every}) == 9
    one = lit(BALL)
    with pytest.raises(ValueError, match="oracle ellipsoid is made from the truth: give it as posed"):
        OracleEllipsoid()(one.counts, one.view)


def test_what_found_nothing_counts_as_0() -> None:
    one, rng = lit(BALL), np.random.default_rng(0)
    told = answer(FlipCeiling(), one, 500, rng)
    none = answer(ExtrudedSilhouette(), replace(one, counts=np.full_like(one.counts, 7)), 500, rng)
    assert told.scores.iou > 0.98
    assert told.length_um == pytest.approx(0.5, rel=0.01)
    assert told.sbr == 4
    assert told.chi2 == pytest.approx(1, abs=0.15)
    assert (none.found, none.scores.iou, none.mirror_iou, none.known_iou, none.chi2) == (False, 0, 0, 0, None)
    assert none.scores.chamfer == 1


def test_brought_to_the_true_box() -> None:
    """A solid of another size and place has the whole overlap then."""
    posed = lit(CAPSULE).posed
    found = solid_of(posed)
    assert found is not None
    aside = found.scaled(1.4).shifted(np.array([300.0, -200.0, 100.0]))
    assert iou_of(posed, aside) < 0.3
    assert iou_of(posed, brought(aside, posed)) > 0.95
