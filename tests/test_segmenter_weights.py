"""The default segmenter: installed as a distribution of its own, and what it finds in simulated light."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tifffile

import mishape
from tests.conftest import Run, module_of

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("skimage")
from mishape.engine import registry
from mishape.learn.image_plan import ImagePlan
from mishape.learn.overlap import dice
from mishape.learn.tensors import read_tensors

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "weights/mishape-weights-mitoseg"
FILE = WEIGHTS / "mishape_weights_mitoseg/segmenter.safetensors"
SCENE: dict[str, Any] = {
    "mishape": 1,
    "seed": 5,
    "objects": [
        {
            "count": 4,
            "shape": {"kind": "tube", "length_nm": 3000, "radius_nm": 150},
            "pose": {"rotation": "flat", "scatter_nm": [6000, 6000, 200]},
            "labeler": {"kind": "surface", "density_per_um2": 1000},
        }
    ],
    "views": {
        "epi": {
            "grid": {"shape": [1, 96, 96], "pixel_nm": 80},
            "microscope": {"kind": "epi", "preset": "epi2"},
            "noise": {"kind": "poisson", "background": 100, "sbr": 4},
        }
    },
    "truths": {"masks_2d": {"definition": "touched"}},
}
installed = pytest.mark.skipif(
    importlib.util.find_spec("mishape_weights_mitoseg") is None, reason="weights are missing"
)


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    return module_of(WEIGHTS / "make.py")


def test_its_recipe_is_right(recipe: ModuleType) -> None:
    """Scenes of all sets and the training's plan are valid, and the weights are of them."""
    library = ROOT / "mishape/plugins/shapes/libraries/neuropil"
    scenes = [mishape.load_spec(recipe.scene(library, name)) for name in recipe.LIGHTS]
    plan = ImagePlan.model_validate(recipe.PLAN)
    _, said = read_tensors(FILE)
    assert said["datasets"] == [*recipe.LIGHTS] == [*plan.images.datasets]
    pixels = [pixel_nm for pixel_nm, _, _ in recipe.LIGHTS.values()]
    scale = plan.images.augmentation.scale
    np.testing.assert_allclose(said["pixel_nm"], [min(pixels) / scale, max(pixels) * scale])
    assert said["pictures"] == pytest.approx(0.95 * 200 * len(scenes), rel=0.02)  # splits are drawn
    assert said["licences"] == ["CC-BY-NC-SA-4.0"]
    assert said["truths"] == [{"masks_2d": {"definition": "touched"}}] * len(scenes)


def test_the_distribution_is_as_its_card_says() -> None:
    assert FILE.stat().st_size < 5e6
    card = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert "CC BY-NC-SA 4.0" in card
    assert read_tensors(FILE)[1]["data_sha256"][:12] in card
    assert 'license = "CC-BY-NC-SA-4.0"' in (WEIGHTS / "pyproject.toml").read_text(encoding="utf-8")


@installed
def test_it_finds_what_the_light_shows() -> None:
    """Of tubes that nobody else drew, at any brightness and in other pixels."""
    sample = mishape.simulate(mishape.load_spec(SCENE).scene(0))
    picture = np.asarray(sample.images["epi"][0], np.float32)
    mask = np.asarray(sample.truths["epi.masks_2d"].data[0]) > 0
    segmenter = registry.load("segmenters", "unet")()
    found = segmenter.segment(picture, 80.0)
    assert dice(found.mask, mask) > 0.8
    np.testing.assert_allclose(segmenter.segment(3 * picture + 500, 80.0).chances, found.chances, atol=1e-3)
    doubled = segmenter.segment(np.kron(picture, np.ones((2, 2), np.float32)), 40.0)
    assert dice(doubled.mask, np.kron(mask, np.ones((2, 2), bool))) > 0.75


@installed
def test_the_command_needs_no_weights(run: Run, tmp_path: Path) -> None:
    sample = mishape.simulate(mishape.load_spec(SCENE).scene(1))
    image, mask = tmp_path / "image.tif", tmp_path / "mask.tif"
    tifffile.imwrite(image, np.asarray(sample.images["epi"][0]))
    code, out, _ = run("segment", str(image), "-o", str(mask), "--pixel-nm", "80")
    assert code == 0
    assert "part(s)" in out
    assert dice(tifffile.imread(mask) > 0, np.asarray(sample.truths["epi.masks_2d"].data[0]) > 0) > 0.8
