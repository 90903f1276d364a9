"""The default weights: installed as a distribution of their own, and what is said where they are not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import mishape
from mishape.engine.geometry import check_watertight
from mishape.plugins.shapes import mishape as source
from tests.conftest import Run

pytest.importorskip("torch")
pytest.importorskip("safetensors")
WEIGHTS = Path(__file__).parents[1] / "weights/mishape-weights-urocell"
SCENE: dict[str, Any] = {
    "mishape": 1,
    "seed": 1,
    "samples": 4,
    "objects": [{"shape": {"kind": "mishape"}, "labeler": {"kind": "surface", "density_per_um2": 200}}],
    "views": {
        "epi": {"grid": {"shape": [1, 32, 32], "pixel_nm": 100}, "microscope": {"kind": "epi", "preset": "epi1"}}
    },
}

installed = pytest.mark.skipif(
    importlib.util.find_spec("mishape_weights_urocell") is None, reason="weights are missing"
)


@installed
def test_the_default_prior_draws_mitochondria() -> None:
    """Closed, of mitochondria's sizes, under the licence of what they were learned from; the same again by seed."""
    spec = mishape.load_spec(SCENE)
    sizes = []
    for number in range(4):
        sample = mishape.simulate(spec.scene(number))
        (shape,) = sample.sources.values()
        check_watertight(shape.surface, shape.id)
        assert shape.licence == "CC-BY-NC-SA-4.0"
        assert shape.source.startswith("a prior of urocell, UroCell, data ")
        sizes.append(float(np.ptp(shape.bounds_nm, axis=0).max()))
        again = mishape.simulate(spec.scene(number))
        np.testing.assert_array_equal(again.sources[0].surface.vertices_nm, shape.surface.vertices_nm)
    assert len({*sizes}) == 4
    assert 150 < min(sizes) < max(sizes) < 10_000


@installed
def test_the_number_of_threads_changes_nothing() -> None:
    import torch

    shape = source.Mishape(resolution=33)
    before, drawn = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            drawn.append(shape.sample(np.random.default_rng(5), None))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*(one.surface.vertices_nm for one in drawn))


@installed
def test_what_is_drawn_is_not_for_sale(run: Run, folder: Path) -> None:
    Path("scene.yaml").write_text(yaml.safe_dump(SCENE))
    code, _, err = run("generate", "scene.yaml", "-o", "d", "--commercial-ok", "--workers", "1", "--progress", "none")
    assert code == 1
    assert "may not be used commercially: its licence is CC-BY-NC-SA-4.0" in err


@installed
def test_a_dataset_keeps_the_versions_that_made_its_shapes(folder: Path) -> None:
    """Of installed weights, and of torch: others would draw other shapes."""
    dataset = mishape.generate(mishape.load_spec(SCENE), folder / "d")
    versions = dataset.manifest.versions
    assert versions["mishape-weights-urocell"] == importlib.metadata.version("mishape-weights-urocell")
    assert versions["torch"].startswith("2.")
    (thing,) = next(dataset.records())["objects"]
    assert thing["source"].startswith("a prior of urocell, UroCell, data 5f18f0de4cc6")


def test_the_distribution_is_as_its_card_says() -> None:
    """At most 10 MB, with licence and card beside it, and never in the wheel of the code."""
    about = (WEIGHTS / "pyproject.toml").read_text()
    assert 'license = "CC-BY-NC-SA-4.0"' in about
    file = WEIGHTS / "mishape_weights_urocell/prior.safetensors"
    assert file.stat().st_size < 10e6
    card = (WEIGHTS / "README.md").read_text()
    assert "CC BY-NC-SA 4.0" in card
    from mishape.learn.tensors import read_tensors

    _, said = read_tensors(file)
    assert said["data_sha256"][:12] in card
    assert said["held_out"] == ["fib1-0-0-0"]
    assert (
        "weights" not in re.findall(r"^include = (.*)$", (WEIGHTS.parents[1] / "pyproject.toml").read_text(), re.M)[0]
    )


@pytest.mark.parametrize(
    ("entries", "weights", "said"),
    [
        ([], {}, "the default weights are not installed: pip install mishape-weights-urocell"),
        (
            [EntryPoint("liver", "none_such_package", "mishape.weights")],
            {"weights": "lever"},
            "weights 'lever' are neither installed nor a file: did you mean 'liver'?",
        ),
        (
            [EntryPoint("liver", "none_such_package", "mishape.weights")],
            {"weights": "liver"},
            "weights 'liver' are broken: their package 'none_such_package' is missing, install it again",
        ),
    ],
)
def test_weights_that_are_not_there(
    entries: list[EntryPoint], weights: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mishape.learn.installed.entry_points", lambda group: entries)
    objects = [{"shape": {"kind": "mishape", **weights}}]
    with pytest.raises(mishape.SpecError, match=re.escape(said)):
        mishape.load_spec({**SCENE, "objects": objects})


def test_without_torch_the_install_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mishape.engine.needs.find_spec", lambda name: None)
    with pytest.raises(
        mishape.SpecError, match=re.escape("this needs the package torch: pip install 'mishape[learn]'")
    ):
        mishape.load_spec(SCENE)


@pytest.mark.parametrize("verb", [("train", "plan.yaml"), ("evaluate", "prior.safetensors", "--library", "neuropil")])
def test_learning_without_torch(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]) -> None:
    monkeypatch.setattr("mishape.engine.needs.find_spec", lambda name: None)
    code, _, err = run("learn", *verb, "-o", "run")
    assert (code, err) == (1, "error: this needs the package torch: pip install 'mishape[learn]'\n")
