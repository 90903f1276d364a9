"""Judging a prior: populations as they would be found, what comes back, the page, and what cannot be judged."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import mishape
from mishape.plugins.shapes.implicit import Implicit
from tests.conftest import Run
from tests.small_priors import MODEL, PRIOR
from tests.small_shapes import sampled

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("skimage")

from mishape.learn.models.grid_vae import GridVae  # noqa: E402 -- what is below needs torch
from mishape.learn.reconstruction import activity, reconstructions  # noqa: E402
from mishape.learn.shape_data import ShapeDataset  # noqa: E402
from mishape.learn.solids import solid_of  # noqa: E402
from mishape.learn.tensors import read_tensors, write_tensors  # noqa: E402
from mishape.plugins.reports.likeness import sound, spans  # noqa: E402
from mishape.plugins.reports.populations import Looked, Population, drawn  # noqa: E402

PLAN: dict[str, Any] = {
    "mishape": 1,
    "shapes": {"libraries": ["beans"], "held_out": ["c"]},
    "model": MODEL,
    "training": {"steps": 40, "batch": 4, "points": 256, "check_every": 20, "learning_rate": 0.004},
    "prior": PRIOR,
}


def ellipsoid(number: int, fold: str) -> mishape.Shape:
    rng = np.random.default_rng(number)
    axes = np.sort(rng.uniform(120, 400, 3))[::-1].tolist()
    solid = sampled(form="ellipsoid", semi_axes_nm=tuple(axes))
    return replace(solid, id=f"bean{number}", fold=fold, licence="CC0")


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library of ellipsoids and a prior that was hardly trained."""
    from mishape.learn.plan import load_plan
    from mishape.learn.shape_training import train_shapes

    folder = tmp_path_factory.mktemp("judged")
    shapes = [ellipsoid(number, "aac"[number % 3]) for number in range(12)]
    mishape.write_library(folder / "beans", shapes, {"name": "beans", "source": "", "licence": "", "citation": ""})
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    train_shapes(*load_plan(folder / "plan.yaml"), folder / "run")
    return folder


def judge(run: Run, folder: Path, weights: str, *options: str) -> tuple[int, str, str]:
    library = str(folder / "beans")
    return run("learn", "evaluate", str(folder / "run" / weights), "--library", library, *options)


def test_a_prior_is_judged(prior: Path, run: Run, tmp_path: Path) -> None:
    """The page and the numbers say the same; all populations are there; twice the same bytes."""
    out = tmp_path / "judged"
    code, told, err = judge(run, prior, "prior.safetensors", "-o", str(out), "--times", "1")
    assert code == 0, err
    said = json.loads((out / "evaluation.json").read_text())
    assert said["held_out"] == ["bean2", "bean5", "bean8", "bean11"]
    overlap = said["reconstruction"]["overlap"]
    assert told.startswith(f"IoU {overlap['mean']:.3f} ({overlap['low']:.3f} to {overlap['high']:.3f}), error ")
    assert 0.5 < overlap["low"] <= overlap["mean"] <= overlap["high"] < 1
    generation = said["generation"]
    for name in ("learned from", "prior", "tubes, matched", "tubes, sekh2021"):
        assert 0 <= generation[name]["chamfer"]["accuracy"] <= 1
        assert 0 < generation[name]["earth_mover"]["p"] <= 1
        assert generation[name]["sound"] == 1
        assert generation[name]["nearest_learned"]["median"] > 0
    low, high = generation["chance_spans"]["sphericity"]
    assert 0 <= low < high
    assert 0 < generation["handedness"]["p"] <= 1
    page = (out / "evaluation.html").read_text()
    for text in (
        f"{overlap['mean']:.3f}",
        "tubes, matched",
        "Wasserstein-1",
        "Mirror images",
        "10.1038/s41598-021-82884-z",
    ):
        assert text in page
    assert page.count("<figure>") == 4 + 8 + 4 + 8 + 4
    code, _, _ = judge(run, prior, "prior.safetensors", "-o", str(tmp_path / "again"), "--times", "1")
    assert code == 0
    assert (tmp_path / "again/evaluation.html").read_text() == page


def test_a_model_without_a_prior_is_judged_by_what_comes_back(prior: Path, run: Run, tmp_path: Path) -> None:
    code, _, err = judge(run, prior, "weights.safetensors", "-o", str(tmp_path))
    assert code == 0, err
    said = json.loads((tmp_path / "evaluation.json").read_text())
    assert "generation" not in said
    assert said["reconstruction"]["numbers"] == 32


WRONG = {
    "folds that were learned": (("prior", "--fold", "a"), "were learned from fold(s) a: name others"),
    "no such fold": (("prior", "--fold", "x"), "no shape is of fold 'x': (known: a, c)"),
    "a checkpoint": (("checkpoint",), "are of no model of shapes: give a run's weights or prior"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_judged(prior: Path, run: Run, tmp_path: Path, name: str) -> None:
    (weights, *options), said = WRONG[name]
    code, _, err = judge(run, prior, f"{weights}.safetensors", "-o", str(tmp_path), *options)
    assert code == 1
    assert said in err
    assert [*tmp_path.iterdir()] == []


def test_weights_that_do_not_say_what_they_are_of(prior: Path, run: Run, tmp_path: Path) -> None:
    tensors, about = read_tensors(prior / "run/prior.safetensors")
    write_tensors(tmp_path / "odd.safetensors", tensors, {**about, "folds": None})
    library = str(prior / "beans")
    code, _, err = run("learn", "evaluate", str(tmp_path / "odd.safetensors"), "--library", library, "-o", "out")
    assert code == 1
    assert "are of something else than a model of shapes: folds is to be a list of names" in err


def test_other_shapes_than_those_that_were_learned(prior: Path, run: Run, tmp_path: Path) -> None:
    file = str(prior / "run/prior.safetensors")
    code, _, err = run("learn", "evaluate", file, "--library", "neuropil", "-o", str(tmp_path))
    assert code == 1
    said = "are not of folds a of neuropil: give the libraries that they were trained with (beans), in that order"
    assert said in err


def test_long_shapes_are_seldom_found_whole() -> None:
    """A rod of half the volume's edge along x is whole by 1 - its box over the volume, on each axis."""
    rng = np.random.default_rng(0)
    rod = Implicit(form="capsule", length_nm=2000.0, radius_nm=100.0).sample(rng, None)
    found = np.mean([Looked(np.full((1, 3), 4000.0)).finds(rod, rng) for _ in range(2000)])
    directions = rng.normal(size=(20000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.prod(1 - (np.abs(directions) * 1800 + 200) / 4000, axis=1).mean()
    assert found == pytest.approx(expected, abs=4 * math.sqrt(expected / 2000))
    assert Looked(np.full((1, 3), np.inf)).finds(rod, rng)
    assert not Looked(np.full((1, 3), 100.0)).finds(rod, rng)


def test_a_source_of_what_never_fits_is_refused() -> None:
    class Always:
        kind, one = "always", ellipsoid(0, "a")

        def sample(self, rng: np.random.Generator, id: str | None) -> mishape.Shape:
            return self.one

    with pytest.raises(mishape.ShapeError, match="0 of 1000 shapes of the source are small enough"):
        [*drawn(Always(), 1, Looked(np.full((1, 3), 150.0)), np.random.default_rng(0))]


def test_a_population_is_like_itself() -> None:
    group = Population("beans", [ellipsoid(number, "a") for number in range(3)])
    assert set(spans(group, group, np.random.default_rng(0)).values()) == {0.0}
    assert sound(group) == 1
    first = group.given[0].surface
    open_mesh = mishape.Mesh(first.vertices_nm, first.faces[1:])
    two = mishape.Mesh(
        np.concatenate([first.vertices_nm, first.vertices_nm + 5000]),
        np.concatenate([first.faces, first.faces + len(first.vertices_nm)]),
    )
    broken = Population("broken", [mishape.Shape("open", open_mesh), mishape.Shape("two", two), group.given[1]])
    assert sound(broken) == pytest.approx(1 / 3)


class _Perfect:
    """A network that knows the distances of a ball of half its box."""

    def __init__(self, offset: float) -> None:
        self.offset = offset

    def eval(self) -> None: ...
    def train(self) -> None: ...
    def encode(self, batch: dict[str, Any]) -> tuple[Any, Any]:
        mean = batch["lattice"].flatten(1)[:, :6].clone()
        mean[:, 3:] = 0
        return mean * 100, torch.zeros_like(mean)

    def features(self, mean: Any, edges: Any) -> Any:
        return mean

    def distance(self, features: Any, places: Any, edges: Any) -> Any:
        return torch.linalg.norm(places, dim=-1) / 2 - 0.5 / 1.12 + self.offset


def test_errors_are_what_they_are() -> None:
    """A ball that comes back 20 nm too small: its error is 20 nm, its overlap the cube of the radii's ratio."""
    solids = [
        solid_of(Implicit(form="sphere", radius_nm=radius).sample(np.random.default_rng(0), None))
        for radius in (300.0, 400.0)
    ]
    data = ShapeDataset(solids, GridVae(lattice=(12, 12, 12)).sampling(16))
    for radius, one in zip((300, 400), reconstructions(_Perfect(0.02), data), strict=True):
        by = 0.02 * 2 * 1.12 * radius
        assert one.error_nm == pytest.approx(by, abs=3)
        assert one.overlap == pytest.approx(((radius - by) / radius) ** 3, abs=0.02)
    used = activity(_Perfect(0.0), data)
    assert used.of == 6
    assert used.active <= 3
