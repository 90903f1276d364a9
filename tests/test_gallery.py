"""The report's gallery, its figure of perspectives, its ratios, sizes and duplicates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mishape
from mishape.plugins.reports.compared import equal_samples, equal_shapes
from mishape.plugins.reports.drawing import ORANGE
from mishape.plugins.reports.gallery import GAP_PX, SHOWN, THUMB_PX, gallery, perspectives
from mishape.plugins.reports.html import report
from mishape.plugins.reports.signal import signal_to_background

VIEW = {
    "grid": {"shape": [1, 32, 32], "pixel_nm": 70},
    "microscope": {"kind": "epi", "preset": "epi1"},
    "noise": {"kind": "poisson", "background": 50, "sbr": 3.0},
}


def made(folder: Path, rotation: Any = "uniform", **changes: Any) -> mishape.Dataset:
    thing = {"shape": {"kind": "em_mesh", "library": "neuropil"}, "pose": {"rotation": rotation}, "repeat_each": 3}
    document = {"mishape": 1, "seed": 2, "samples": 40, "objects": [thing], "views": {"epi": VIEW}, **changes}
    return mishape.generate(mishape.load_spec(document), folder / "d")


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> mishape.Dataset:
    return made(tmp_path_factory.mktemp("turned"), {"$cycle": ["0", "x90", "y90"]})


def test_the_gallery_is_drawn_by_the_seed(turned: mishape.Dataset, tmp_path: Path) -> None:
    picture, numbers = gallery(turned, "epi")
    assert (len(numbers), numbers) == (SHOWN, sorted(set(numbers)))
    assert numbers != list(range(SHOWN))
    assert picture.size == (8 * (THUMB_PX + GAP_PX) - GAP_PX, 4 * (THUMB_PX + GAP_PX) - GAP_PX)
    again, same = gallery(mishape.open_dataset(turned.folder), "epi")
    assert (same, again.tobytes()) == (numbers, picture.tobytes())
    other = mishape.generate(turned.spec.with_values(seed=3), tmp_path / "other")
    assert gallery(other, "epi")[1] != numbers


def test_the_figure_shows_shapes_by_rotation(turned: mishape.Dataset, tmp_path: Path) -> None:
    picture = perspectives(turned)
    assert picture is not None
    orange = np.abs(np.asarray(picture, int) - ORANGE).sum(axis=2) < 150
    assert orange.sum() > 1000
    assert perspectives(made(tmp_path, "uniform", samples=3)) is None
    for seed in range(4):
        drawn = made(tmp_path / str(seed), {"$choice": ["0", "x90", "y90"]}, samples=9, seed=seed)
        perspectives(drawn)  # shapes of other rotations stay away


def test_ratios_are_those_that_were_asked_for() -> None:
    """Of what `poisson` is told, the named one comes back."""
    for name in ("peak_over_background", "contrast", "foreground_mean"):
        noise = {"kind": "poisson", "background": 50, "sbr": 3.0, "sbr_definition": name}
        thing = {"shape": {"kind": "em_mesh", "library": "neuropil"}}
        scene = mishape.load_spec({"mishape": 1, "objects": [thing], "views": {"epi": {**VIEW, "noise": noise}}})
        ratios = signal_to_background(mishape.simulate(scene.scene(0)), "epi")
        assert ratios is not None
        assert ratios[name] == pytest.approx(3.0, rel=1e-6)
        assert ratios["peak_over_background"] == pytest.approx(ratios["contrast"] + 1)
        assert ratios["foreground_mean"] < ratios["contrast"]


def test_without_a_background_there_is_no_ratio() -> None:
    thing = {"shape": {"kind": "em_mesh", "library": "neuropil"}}
    for noise in ({"kind": "none"}, {"kind": "poisson"}):
        scene = mishape.load_spec({"mishape": 1, "objects": [thing], "views": {"epi": {**VIEW, "noise": noise}}})
        assert signal_to_background(mishape.simulate(scene.scene(0)), "epi") is None


def test_the_report_holds_them(turned: mishape.Dataset) -> None:
    text = report(turned)
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    wanted = ["Gallery", "Perspectives", "Samples", "Distributions", "Signal to background"]
    assert [title for title in titles if title in wanted] == wanted
    assert "Duplicates" in titles
    assert "None. Images of epi compared in all 40 samples" in text
    assert any(title.startswith("Sizes beside the library") for title in titles)


def test_duplicates_are_found(turned: mishape.Dataset, tmp_path: Path) -> None:
    numbers = list(range(40))
    assert equal_samples(turned, numbers, "epi") == []
    dark = made(tmp_path, "uniform", samples=4, objects=[], views={"epi": {**VIEW, "noise": {"kind": "none"}}})
    assert equal_samples(dark, list(range(4)), "epi") == [[0, 1, 2, 3]]
    assert "samples 0, 1, 2, 3 have the same image in epi, to the bit." in report(dark)
    assert equal_shapes(turned) == []
    shapes = [entry.shape() for entry in mishape.open_library("neuropil")]
    twins = [*shapes, mishape.Shape("twin", shapes[2].mesh)]
    meta = {"name": "twins", "source": "", "licence": "", "citation": ""}
    mishape.write_library(tmp_path / "twins", twins, meta)
    thing = {"shape": {"kind": "em_mesh", "library": str(tmp_path / "twins")}}
    doubled = made(tmp_path / "more", samples=2, objects=[thing])
    assert equal_shapes(doubled) == [(shapes[2].id, "twin")]
    assert f"shapes {shapes[2].id} and twin have the same volume and area" in report(doubled)
