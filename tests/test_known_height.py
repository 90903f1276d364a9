"""Heights counted from a shape's centre, for who knows how high it lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import mishape
from mishape.engine.grid import Grid
from mishape.engine.scene import View
from mishape.learn.light import light_of
from tests.small_light import FINE, POSES, OneImage, stirred, view_of
from tests.test_light_training import scene

torch = pytest.importorskip("torch")

from mishape.learn.finding import Finder  # noqa: E402 -- needs torch
from mishape.learn.lit_live import LiveImages  # noqa: E402
from mishape.learn.lit_shapes import LitShapes, Part  # noqa: E402
from mishape.learn.models.grid_image import GridImage  # noqa: E402
from mishape.learn.networks import new  # noqa: E402


def higher(view: View, by_nm: float) -> View:
    grid = view.grid
    planes_nm = tuple((grid.centers_nm()[0] + by_nm).tolist())
    return view.model_copy(update={"grid": Grid(grid.shape, grid.pixel_nm, planes_nm=planes_nm)})


def test_a_height_is_told_by_two_numbers() -> None:
    """Counted from the middle of the planes, in units of 250 nm."""
    lit = OneImage(POSES[0], 3).lit(0)
    unknown, known = (light_of(lit.counts, higher(lit.view, 100), centre) for centre in (None, 350.0))
    assert unknown.optics[-2:].tolist() == [0, 0]
    assert known.optics[-2:].tolist() == [1, pytest.approx(1.0)]
    assert (unknown.optics[:-2] == known.optics[:-2]).all()
    np.testing.assert_array_equal(known.focus_um, unknown.focus_um)


def test_a_share_of_items_knows_it() -> None:
    """That shape's centre lies 200 nm above the middle of the planes."""
    images = [Part(OneImage(POSES[0], 3))]
    known, unknown = (LitShapes(images, 64, 3, height_known=share).item(0, 5) for share in (1.0, 0.0))
    assert (known["optics"][-2:].tolist(), unknown["optics"][-2:].tolist()) == ([1, pytest.approx(0.8)], [0, 0])
    for name in ("distance_nm", "planes", "places_um", "focus_um"):
        np.testing.assert_array_equal(known[name], unknown[name])
    half = LitShapes(images, 64, 3, height_known=0.5)
    assert 0.3 < np.mean([half.item(0, draw)["optics"][-2] for draw in range(60)]) < 0.7


def test_what_is_found_lies_in_the_world() -> None:
    """An image whose plane is 300 nm higher: the same solid, 300 nm higher, whether its height is known or not."""
    counts, model = OneImage(POSES[0]).lit(0).counts, GridImage(**FINE)
    finder = Finder(stirred(new(3, model.network)), model)
    places_nm = np.random.default_rng(0).uniform(-1500, 1500, (200, 3))
    here = finder.odds_at(counts, view_of(1), centre_z_nm=0.0)(places_nm)
    there = finder.odds_at(counts, higher(view_of(1), 300.0), centre_z_nm=300.0)(places_nm + np.array([0, 0, 300]))
    np.testing.assert_allclose(there, here, atol=1e-5)
    unknown = finder.odds_at(counts, view_of(1))(places_nm)
    same = finder.odds_at(counts, higher(view_of(1), 300.0))(places_nm + np.array([0, 0, 300]))
    np.testing.assert_allclose(same, unknown, atol=1e-5)
    assert np.abs(unknown - here).max() > 1e-4


def test_other_views_of_a_scene_change_nothing(tmp_path: Path) -> None:
    """Images are made without them and without truths: the same counts, and the centre is the pose's."""
    views = {"epi": scene(planes=1)["views"]["epi"], "stack": scene()["views"]["epi"]}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(scene(views=views, truths={"masks_2d": {}})))
    spec = mishape.load_spec(tmp_path / "two.yaml")
    for name in views:
        lit = LiveImages(spec, name).lit(4)
        sample = mishape.simulate(spec.scene(4))
        np.testing.assert_array_equal(lit.counts, sample.images[name])
        assert lit.posed.centre_z_nm == sample.poses[0].offset_nm[2] != 0
