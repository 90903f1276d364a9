"""Trainings from images to shapes that are tiny but whole: learning, resuming, leaks, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import mishape
from tests.conftest import Run
from tests.small_light import FINE, SMALL
from tests.small_priors import MODEL, PRIOR
from tests.small_shapes import sampled

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from mishape.learn.light_plan import load_light_plan  # noqa: E402 -- needs torch
from mishape.learn.light_training import train_light  # noqa: E402
from mishape.learn.networks import one_thread  # noqa: E402
from mishape.learn.plan import load_plan  # noqa: E402
from mishape.learn.shape_training import train_shapes  # noqa: E402
from mishape.learn.tensors import read_tensors  # noqa: E402
from mishape.learn.train import TrainingError  # noqa: E402

TUBE: dict[str, Any] = {"kind": "tube", "length_nm": 1400, "radius_nm": 220}
MICROSCOPE = {"kind": "epi", "preset": "epi1"}
STEPS: dict[str, Any] = {"steps": 4, "batch": 2, "points": 64, "check_every": 2}


def scene(planes: int = 3, pixels: int = 32, shape: dict[str, Any] = TUBE, **changes: Any) -> dict[str, Any]:
    grid = {"shape": [planes, pixels, pixels], "pixel_nm": 110, **({"z_step_nm": 250} if planes > 1 else {})}
    noise = {"kind": "poisson", "background": 100, "sbr": 4}
    pose = {"rotation": "uniform", "scatter_nm": [100, 100, 100]}
    return {
        "mishape": 1,
        "seed": 5,
        "samples": 60,
        "objects": [{"shape": shape, "pose": pose, "labeler": {"kind": "surface", "density_per_um2": 200}}],
        "views": {"epi": {"grid": grid, "microscope": MICROSCOPE, "noise": noise}},
        "dataset": {"shard_size": 10},
        **changes,
    }


def plan(*parts: Any, model: Any = None, training: Any = STEPS, **light: Any) -> dict[str, Any]:
    every = [part if isinstance(part, dict) else {"images": part} for part in parts]
    own = {"kind": "grid_stack", **FINE} if model is None else model
    return {"mishape": 1, "seed": 3, "light": {"parts": every, **light}, "model": own, "training": training}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slowed down by threads."""
    with one_thread():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scenes: tubes, beans of three folds, what was drawn from a prior of fold a; and a dataset."""
    folder = tmp_path_factory.mktemp("light")
    rng = np.random.default_rng(0)
    beans = [sampled(form="ellipsoid", semi_axes_nm=tuple(rng.uniform(120, 300, 3).tolist())) for _ in range(10)]
    named = [replace(bean, id=f"bean{n}", fold="aaaaaaaabc"[n], licence="CC0") for n, bean in enumerate(beans)]
    mishape.write_library(folder / "beans", named, {"name": "beans", "source": "", "licence": "", "citation": ""})
    shapes = {"libraries": ["beans"], "held_out": ["b", "c"]}
    training = {"steps": 40, "batch": 4, "points": 256, "check_every": 20, "learning_rate": 0.004}
    write(folder / "prior.yaml", {"mishape": 1, "shapes": shapes, "model": MODEL, "training": training, "prior": PRIOR})
    train_shapes(*load_plan(folder / "prior.yaml"), folder / "prior")
    drawn = {"kind": "mishape", "weights": "prior/prior.safetensors", "resolution": 33}
    library = {"kind": "em_mesh", "library": "beans"}
    scenes = {
        "tubes": scene(samples=4, truths={"occupancy": {}}),
        "five": scene(planes=5),
        "flat": scene(planes=1),
        "wide": scene(pixels=48),
        "odd": scene(pixels=31),
        "beans": scene(shape=library),
        "drawn": scene(shape=drawn),
        "kept": scene(shape=drawn, samples=3, truths={"occupancy": {}}),
        "several": scene(objects=[{"count": 2, "shape": TUBE}]),
        "both": scene(views={name: scene()["views"]["epi"] for name in ("epi", "con")}),
    }
    for name, one in scenes.items():
        write(folder / f"{name}.yaml", one)
    for name in ("tubes", "beans", "kept"):
        mishape.generate(mishape.load_spec(folder / f"{name}.yaml"), folder / f"{name}_data")
    return folder


def write(path: Path, document: Any) -> Path:
    path.write_text(yaml.safe_dump(document))
    return path


def train(place: Path, name: str, document: dict[str, Any], report: Callable[..., None] = lambda *_: None) -> Path:
    """Train, and return the folder."""
    train_light(*load_light_plan(write(place / f"{name}.plan.yaml", document)), place / name, report=report)
    return place / name


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_training_learns_and_goes_on_to_the_same_weights(place: Path) -> None:
    """Stacks of tubes; stopped after 35 of 60 steps, it ends with the same bytes."""
    steps = {"steps": 60, "batch": 4, "points": 256, "check_every": 20, "learning_rate": 0.02}
    document = plan("tubes_data", training=steps)
    whole = train(place, "whole", document)
    lines = metrics(whole)
    assert [line["step"] for line in lines] == [20, 40, 60]
    assert lines[-1]["loss"] < 0.45 < lines[0]["loss"]

    def stop(kind: str, done: int, total: int) -> None:
        if done == 35:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(place, "halved", document, stop)
    assert [line["step"] for line in metrics(place / "halved")] == [20]
    halved = train(place, "halved", document)
    for name in ("weights", "checkpoint"):
        assert (whole / f"{name}.safetensors").read_bytes() == (halved / f"{name}.safetensors").read_bytes()
    about = read_tensors(whole / "weights.safetensors")[1]
    assert about["kind"] == "light"
    assert (about["planes"], about["pixel_nm"], about["folds"]) == ([3], [110.0, 110.0], [])


@pytest.mark.parametrize("model", [{"kind": "grid_stack", **FINE}, {"kind": "onet_stack", **SMALL}])
def test_parts_of_several_kinds(place: Path, model: Any) -> None:
    """Stacks of 3 and 5 planes, made and read; folds that are left out are not learned from, and validate."""
    parts = ("five.yaml", {"images": "beans_data", "share": 2.0}, "beans.yaml")
    document = plan(*parts, model=model, held_out=["c"], validation=["b"], validated=6)
    folder = train(place, f"several_{model['kind']}", document)
    about = read_tensors(folder / "weights.safetensors")[1]
    assert about["planes"] == [3, 5]
    assert about["images"] == ["five.yaml", "beans_data", "beans.yaml"]
    assert (about["folds"], about["held_out"], about["validation_folds"]) == (["a"], ["c"], ["b"])
    assert about["licences"] == ["CC0"]
    assert [0 <= line["score"] <= 1 for line in metrics(folder)] == [True, True]


@pytest.mark.parametrize("frame", ["camera", "canonical"])
def test_to_be_watched_changes_nothing(place: Path, frame: str) -> None:
    """Validations tell what a model knows of other shapes, and leave its statistics as they are."""
    write(place / "flat_beans.yaml", scene(planes=1, shape={"kind": "em_mesh", "library": "beans"}))
    model = {"kind": "onet_image", **SMALL, "frame": frame}
    weights = []
    for name, light in {"watched": {"validation": ["b"], "validated": 2}, "unwatched": {"held_out": ["b"]}}.items():
        folder = train(place, f"{name}_{frame}", plan("flat_beans.yaml", model=model, **light))
        weights.append(read_tensors(folder / "checkpoint.safetensors")[0])
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())


@pytest.mark.parametrize("images", ["drawn.yaml", "kept_data"])
def test_shapes_of_weights_that_learned_what_is_held_out_are_refused(place: Path, images: str) -> None:
    """The prior's folds count as the scene's own; what it did not learn from may be held out."""
    for light in ({"held_out": ["a"]}, {"held_out": ["b"], "validation": ["a"]}):
        with pytest.raises(TrainingError) as error:
            train(place, "leak", plan(images, **light))
        assert str(error.value) == (
            f"{images} shows shapes of weights that learned from fold(s) a, which are in held_out or validation: give "
            "weights that did not"
        )
    assert not (place / "leak").exists()
    folder = train(place, f"fair_{images}", plan(images, held_out=["b", "c"]))
    about = read_tensors(folder / "weights.safetensors")[1]
    assert (about["folds"], about["held_out"], about["licences"]) == (["a"], ["b", "c"], ["CC0"])


ONET = {"kind": "onet_image", **SMALL}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "parts of two sizes": (
        plan("tubes.yaml", "wide.yaml"),
        "images of 32 x 32, 48 x 48 pixels given: give all parts as many rows and columns",
    ),
    "an odd size": (plan("odd.yaml"), "images of 31 x 31 pixels given: grid_stack takes multiples of 2"),
    "too many planes": (plan("tubes.yaml", model=ONET), "images of 3 plane(s) given: onet_image takes 1 to 1"),
    "too few planes": (
        plan("flat.yaml", model={"kind": "onet_stack", **SMALL}),
        "images of 1 plane(s) given: onet_stack takes 2 to 32",
    ),
    "another family": (
        plan("tubes.yaml", model={"kind": "grid_vae"}),
        "kind 'grid_vae' finds no shapes in images: model takes one that does, as grid_stack",
    ),
    "an unknown frame": (
        plan("flat.yaml", model={**ONET, "frame": "world"}),
        "model.frame: 'world' is not known: (known: camera, canonical)",
    ),
    "two objects": (
        plan("several.yaml"),
        "sample 0 shows 2 objects: networks of shapes learn from images of one",
    ),
    "a fold of two uses": (
        plan("beans.yaml", held_out=["c"], validation=["b", "c"]),
        "fold(s) c are in held_out and validation: what chooses weights cannot judge",
    ),
    "nothing to watch": (
        plan("tubes.yaml", "beans.yaml", validation=["d"]),
        "no image shows a shape of the validation's folds d",
    ),
    "nothing to learn from": (
        plan("beans_data", held_out=["a", "b", "c"]),
        "no image shows a shape of the folds that are asked for: 60 in a row are of others",
    ),
    "an unknown view": (
        plan({"images": "both.yaml", "view": "epj"}),
        "has no view 'epj': did you mean 'epi'?",
    ),
    "a view of a dataset": (plan({"images": "beans_data", "view": "x"}), "has no view 'x': (known: epi)"),
    "no view": (plan("both.yaml"), "has views con, epi: name one (view)"),
    "no scene": (plan("none.yaml"), "none.yaml"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_plans(name: str, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document, said = WRONG[name]
    monkeypatch.chdir(place)
    write(Path("bad.plan.yaml"), document)
    code, _, err = run("learn", "train", "bad.plan.yaml", "-o", "bad", "--progress", "none")
    assert code in (1, 2)
    assert said in " ".join(err.split()), err
