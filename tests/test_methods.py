"""Methods of segmentation for the benchmarks' tables: easy pictures, odd inputs, and who is shown which labels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

pytest.importorskip("torch")
pytest.importorskip("skimage")
pytest.importorskip("sklearn")

from benchmarks.methods import METHODS, Learner, Mask, Method, Oracle, segmented
from benchmarks.methods.kanezaki import Clustering, Kanezaki, KanezakiOracle
from benchmarks.methods.mitograph import MitoGraph
from benchmarks.methods.mitometer import background
from benchmarks.methods.mitosegnet import MitoSegNet
from benchmarks.methods.otsu import Otsu, otsu
from benchmarks.methods.weka import Weka, scribbles

PIXEL_NM = 80.0
QUICK = Clustering(iterations=30, channels=16)
SMALL: dict[str, Method] = {
    **METHODS,
    "weka": Weka(trees=50),
    "kanezaki-brighter": Kanezaki(QUICK),
    "kanezaki-oracle": KanezakiOracle(QUICK),
    "mitosegnet": MitoSegNet(steps=40, batch=2, crop_px=64, channels=8, learning_rate=3e-3),
}
"""All methods, those that take long in a small size."""
Picture = tuple[NDArray[np.uint16], Mask]


def picture(seed: int, edge: int = 128, half_px: float = 2.0) -> Picture:
    """Blurred tubes 5 pixels wide, in photons: 100 of background, 400 at most."""
    rng = np.random.default_rng(seed)
    free = np.ones((edge, edge), bool)
    along = np.linspace(0, 1, 4 * edge)[:, None]
    for start, middle, end in rng.uniform(0.1 * edge, 0.9 * edge, (max(1, edge // 40), 3, 2)):
        bent = (1 - along) ** 2 * start + 2 * along * (1 - along) * middle + along**2 * end
        free[tuple(np.round(bent).astype(int).T)] = False
    mask = np.asarray(ndimage.distance_transform_edt(free) <= half_px)
    photons = 100 * (1 + 3 * ndimage.gaussian_filter(mask.astype(float), 1.3))
    return rng.poisson(photons).astype(np.uint16), mask


TRAINING = [picture(seed) for seed in (11, 12, 13)]
TESTED = [picture(seed) for seed in (1, 2)]


def dice(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Mask]]:
    """Masks of the two pictures, and of one that is constant, by all methods."""
    constant = np.full((64, 80), 300, np.uint16), np.eye(64, 80, dtype=bool)
    return {name: segmented(method, [*TESTED, constant], TRAINING, PIXEL_NM, 0) for name, method in SMALL.items()}


FLOORS = {
    "otsu": 0.91,
    "mitograph": 0.84,
    "mitometer": 0.88,
    "weka": 0.91,
    "kanezaki-brighter": 0.65,
    "kanezaki-oracle": 0.45,
    "mitosegnet": 0.85,
}
"""Dice on both pictures, less a margin; large where rounding decides which clusters are left after few steps."""


@pytest.mark.parametrize("name", METHODS)
def test_an_easy_picture_is_segmented(name: str, answers: dict[str, list[Mask]]) -> None:
    for found, (_, truth) in zip(answers[name], TESTED, strict=False):
        assert found.dtype == bool
        assert dice(found, truth) > FLOORS[name]


@pytest.mark.parametrize("name", METHODS)
def test_a_constant_image_is_background(name: str, answers: dict[str, list[Mask]]) -> None:
    assert answers[name][2].shape == (64, 80)
    assert not answers[name][2].any()


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_masks_and_only_an_oracle_is_shown_the_truth(
    name: str, answers: dict[str, list[Mask]]
) -> None:
    method = SMALL[name]
    hidden = [(image, ~truth) for image, truth in TESTED]
    again = segmented(method, hidden, TRAINING, PIXEL_NM, 0)
    same = all(np.array_equal(one, other) for one, other in zip(again, answers[name], strict=False))
    assert same == (method.sees != "truth")
    assert isinstance(method, Oracle) == (method.sees == "truth")
    assert isinstance(method, Learner) == (method.sees in ("one image", "training set"))


def test_images_and_masks_are_left_as_they_are(answers: dict[str, list[Mask]]) -> None:
    for seed, pair in zip((1, 2, 11, 12, 13), [*TESTED, *TRAINING], strict=True):
        assert all(np.array_equal(was, now) for was, now in zip(picture(seed), pair, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_odd_sizes_thin_objects_and_any_bit_depth_are_taken(name: str) -> None:
    """One-pixel lines on a noiseless image of 65 x 97 pixels, in numbers of several types."""
    truth = np.eye(65, 97, dtype=bool)
    truth[20] = True
    photons = np.where(truth, 200, 50)
    tested = [(photons.astype(dtype), truth) for dtype in (np.uint8, np.uint16, np.float32)]
    first, *others = segmented(SMALL[name], tested, TRAINING, PIXEL_NM, 0)
    assert first.shape == truth.shape
    assert all(np.array_equal(first, other) for other in others)


def test_weka_reads_the_labels_of_one_image_alone() -> None:
    weka, changed = Weka(trees=5), []
    first = segmented(weka, TESTED, TRAINING, PIXEL_NM, 0)
    for i in range(len(TRAINING)):
        training = [(image, ~mask if i == j else mask) for j, (image, mask) in enumerate(TRAINING)]
        changed.append(not np.array_equal(first, segmented(weka, TESTED, training, PIXEL_NM, 0)))
    assert sum(changed) == 1


def test_scribbles_end_where_their_class_ends() -> None:
    side = np.zeros((40, 40), bool)
    side[5:8], side[20:] = True, True
    drawn = scribbles(side, 8, 15, np.random.default_rng(0))
    assert side.flat[drawn].all()
    assert 8 < len(drawn) <= 8 * 15
    alone = np.zeros((40, 40), bool)
    alone[3, 4] = True
    assert scribbles(alone, 8, 15, np.random.default_rng(0)).tolist() == [3 * 40 + 4]


def test_otsu_parts_two_levels_in_the_middle() -> None:
    levels = np.repeat([10.0, 30.0], [900, 100])
    assert np.allclose(otsu(levels), (20, 1), atol=0.1)
    assert otsu(np.random.default_rng(0).normal(0, 1, 100_000))[1] == pytest.approx(2 / np.pi, abs=0.02)


def test_the_diffuse_background_follows_a_haze_and_passes_under_tubes() -> None:
    haze = np.tile(np.linspace(40, 80, 100), (100, 1))
    image = haze.copy()
    image[48:53] += 100
    found = background(np.round(image).astype(np.uint8), 3.75, 12.5)
    assert np.abs(found - haze)[20:80, 20:80].max() <= 2


def test_mitograph_finds_tubes_and_no_wide_plane() -> None:
    image = np.zeros((120, 120))
    image[20:23], image[60:] = 1.0, 1.0
    found = MitoGraph().segment(ndimage.gaussian_filter(image, 1.0), PIXEL_NM)
    assert found[21].all()
    assert not found[75:110].any()


def test_the_oracle_picks_the_cluster_that_fits_best() -> None:
    image, truth = TESTED[0]
    clustering = replace(QUICK, iterations=3)
    oracle = partial(KanezakiOracle(clustering).segment, image, PIXEL_NM)
    assert dice(oracle(~truth), ~truth) > dice(oracle(truth), ~truth)
    assert np.array_equal(oracle(truth), oracle(truth))
    assert oracle(truth & False).any()


def test_what_cannot_be_used_is_refused() -> None:
    image, mask = TRAINING[0]
    with pytest.raises(ValueError, match=r"shape \(128,\) was given: give one of 2 axes \(y, x\)"):
        Otsu().segment(image[0], PIXEL_NM)
    with pytest.raises(ValueError, match="not finite: replace them"):
        Otsu().segment(np.full((64, 64), np.nan), PIXEL_NM)
    with pytest.raises(ValueError, match="2 images and 1 masks were given: give one mask for each image"):
        Weka().trained([image, image], [mask], PIXEL_NM, 0)
    with pytest.raises(ValueError, match=r"shape \(128, 128\) has a mask of shape \(64, 128\): give both of one size"):
        Weka().trained([image], [mask[::2]], PIXEL_NM, 0)
    with pytest.raises(ValueError, match="1 images were given, none with a mask of both classes"):
        MitoSegNet().trained([image], [mask & False], PIXEL_NM, 0)
    with pytest.raises(ValueError, match="crop_px is 100: give a multiple of 16"):
        MitoSegNet(crop_px=100)
