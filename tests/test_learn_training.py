"""Trainings that are tiny but whole: steps, checkpoints, weights, shapes drawn from them, and what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
import yaml

import mishape
from mishape.engine.geometry import check_watertight, principal_axes
from tests.conftest import Run
from tests.small_priors import MODEL, PRIOR
from tests.small_shapes import sampled

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from mishape.learn.tensors import WeightsError, read_tensors, write_tensors  # noqa: E402 -- needs torch

PLAN: dict[str, Any] = {
    "mishape": 1,
    "seed": 3,
    "shapes": {"libraries": ["beans"], "held_out": ["c"], "validation": ["b"]},
    "model": MODEL,
    "training": {"steps": 40, "batch": 4, "points": 256, "check_every": 10, "learning_rate": 0.004},
    "prior": PRIOR,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library of ellipsoids, a plan, and what was trained by it."""
    folder = tmp_path_factory.mktemp("learn")
    rng = np.random.default_rng(0)
    shapes = []
    for number in range(14):
        axes = np.sort(rng.uniform(120, 500, 3))[::-1].tolist()
        solid = sampled(form="ellipsoid", semi_axes_nm=tuple(axes))
        shapes.append(replace(solid, id=f"bean{number}", fold="aaaaabc"[number % 7], licence="CC0"))
    mishape.write_library(folder / "beans", shapes, {"name": "beans", "source": "", "licence": "", "citation": ""})
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    train(folder, "run")
    return folder


def train(folder: Path, out: str, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own."""
    (folder / f"{out}.yaml").write_text(yaml.safe_dump({**PLAN, **changes}))
    command = [sys.executable, "-m", "mishape", "learn", "train", f"{out}.yaml", "-o", out, "--progress", "none"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_a_training_learns(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 30, 40]
    assert lines[-1]["loss"] < 0.85 < lines[0]["loss"]
    assert lines[-1]["score"] > 0.75
    tensors, about = read_tensors(trained / "run/prior.safetensors")
    assert about["folds"] == ["a"]
    assert about["held_out"] == ["c"]
    assert about["licences"] == ["CC0"]
    assert about["model"]["cells"] == [4, 2, 2]
    assert len(about["data_sha256"]) == 64
    assert tensors["distribution.mean"].shape == (4 * 2 * 2 * 2 + 3,)


def test_a_training_goes_on_to_the_same_weights(trained: Path) -> None:
    """Killed after 20 of 40 steps, and at the last checkpoint: the same bytes as at once."""
    shutil.copytree(trained / "run", trained / "again")
    shutil.rmtree(trained / "again/prior")
    (trained / "again/prior.safetensors").unlink()
    train(trained, "again")
    assert (trained / "again/prior.safetensors").read_bytes() == (trained / "run/prior.safetensors").read_bytes()
    (trained / "halved.yaml").write_text(yaml.safe_dump(PLAN))
    command = [sys.executable, "-m", "mishape", "learn", "train", "halved.yaml", "-o", "halved", "--progress", "none"]
    metrics = trained / "halved/metrics.jsonl"
    with subprocess.Popen(command, cwd=trained) as killed:
        while not metrics.is_file() or len(metrics.read_text().splitlines()) < 2:
            assert killed.poll() is None
            time.sleep(0.01)
        killed.kill()
    assert not (trained / "halved/prior.safetensors").exists()
    train(trained, "halved")
    for name in ("weights", "prior"):
        whole, halved = ((trained / run / f"{name}.safetensors").read_bytes() for run in ("run", "halved"))
        assert whole == halved


def in_two_processes(folder: Path, port: int, *command: str) -> None:
    """Run something by torchrun."""
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}", *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        run, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_average_their_gradients(tmp_path: Path) -> None:
    (tmp_path / "average.py").write_text(
        "import torch\n"
        "from mishape.learn.processes import joined\n"
        "with joined('cpu') as (processes, device):\n"
        "    weight = torch.nn.Parameter(torch.zeros(2))\n"
        "    weight.grad = torch.full((2,), 1.0 + processes.rank)\n"
        "    processes.average([weight])\n"
        "    open(str(processes.rank), 'w').write(str(weight.grad.tolist()))\n"
    )
    in_two_processes(tmp_path, 29518, "average.py")
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["[1.5, 1.5]"] * 2


def test_two_processes_train_as_one(trained: Path) -> None:
    """Each takes half of a batch (gloo): much the same weights as from one process, but for the latent noise."""
    training = {**PLAN["training"], "steps": 20}
    plan = {key: value for key, value in PLAN.items() if key != "prior"} | {"training": training}
    (trained / "two.yaml").write_text(yaml.safe_dump(plan))
    in_two_processes(
        trained, 29517, "-m", "mishape", "learn", "train", "two.yaml", "-o", "two", "--progress", "none"
    )  # fmt: skip
    train(trained, "one", prior=None, training=training)
    one, two = (steps_of(trained / name) for name in ("one", "two"))
    assert float(torch.nn.functional.cosine_similarity(one, two, dim=0)) > 0.8


def steps_of(folder: Path) -> Any:
    """All weights of a run, but for those that training began with."""
    from mishape.learn.models.grid_vae import GridVae
    from mishape.learn.networks import new

    tensors, about = read_tensors(folder / "weights.safetensors")
    first = new(PLAN["seed"], GridVae(**about["model"]).network).state_dict()
    return torch.cat([(tensors[name] - first[name]).flatten() for name in sorted(first)])


@pytest.fixture
def scene(trained: Path, folder: Path, sphere_scene: dict[str, Any]) -> dict[str, Any]:
    """A scene of drawn shapes."""
    shape = {"kind": "mishape", "weights": str(trained / "run/prior.safetensors"), "resolution": 33}
    return {**sphere_scene, "objects": [{"shape": shape, "labeler": {"kind": "surface", "density_per_um2": 200}}]}


def test_shapes_are_drawn_in_a_scene(run: Run, scene: dict[str, Any]) -> None:
    """Closed, of one part, each its own, with the licence of what they were learned from; the same bytes by workers."""
    Path("scene.yaml").write_text(yaml.safe_dump(scene))
    code, _, err = run("generate", "scene.yaml", "-o", "d", "--workers", "1", "--progress", "none")
    assert code == 0, err
    code, _, err = run("generate", "scene.yaml", "-o", "two", "--workers", "2", "--progress", "none")
    assert code == 0, err
    one, two = (mishape.open_dataset(name) for name in ("d", "two"))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first["epi.image"], second["epi.image"])
    ids = [record["objects"][0]["shape_id"] for record in one.records()]
    assert len({*ids}) == 5
    assert {record["objects"][0]["licence"] for record in one.records()} == {"CC0"}
    spec = mishape.load_spec(scene)
    for number in range(5):
        (shape,) = mishape.simulate(spec.scene(number)).sources.values()
        check_watertight(shape.surface, shape.id)
        assert trimesh.Trimesh(shape.surface.vertices_nm, shape.surface.faces, process=False).body_count == 1


def test_a_dataset_knows_the_weights_that_made_it(run: Run, trained: Path, scene: dict[str, Any]) -> None:
    shutil.copy(trained / "run/prior.safetensors", "prior.safetensors")
    scene["objects"][0]["shape"]["weights"] = "prior.safetensors"
    Path("scene.yaml").write_text(yaml.safe_dump(scene))
    assert run("generate", "scene.yaml", "-o", "d", "--workers", "1", "--progress", "none")[0] == 0
    assert run("verify", "d")[0] == 0
    rewritten(Path("prior.safetensors"), {"kl_weight": 0.5})
    code, _, err = run("verify", "d")
    assert code == 1
    assert "input file 'prior.safetensors' holds something else now" in err


def test_the_size_may_be_given(scene: dict[str, Any]) -> None:
    scene["objects"][0]["shape"]["longest_nm"] = 1234.0
    for number in range(3):
        (shape,) = mishape.simulate(mishape.load_spec(scene).scene(number)).sources.values()
        edges_nm = np.ptp(shape.surface.vertices_nm @ principal_axes(shape.surface).T, axis=0)
        assert edges_nm.max() == pytest.approx(1234)
        assert shape.implicit is not None
        assert np.abs(shape.implicit.field(shape.surface.vertices_nm)).max() < shape.implicit.step_nm


def spoilt(file: Path) -> None:
    tensors, about = read_tensors(file)
    tensors["autoencoder.into.bias"][0] = float("nan")
    write_tensors(file, tensors, about)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda file: file.unlink(), "are neither installed nor a file"),
    "truncated": (lambda file: os.truncate(file, 4000), "are damaged or no safetensors file"),
    "no weights": (lambda file: file.write_bytes(b"\x80\x04pickle" * 100), "are damaged or no safetensors file"),
    "of the autoencoder alone": (
        lambda file: shutil.copy(file.with_name("weights.safetensors"), file),
        "they are of kind 'autoencoder', give the prior.safetensors of a run",
    ),
    "of another size": (lambda file: rewritten(file, {"width": 32}), "size mismatch"),
    "not finite": (spoilt, "into.bias is not finite"),
    "of no licence": (lambda file: resaid(file, licences="CC0"), "licences is to be a list of names"),
    "of an unknown model": (lambda file: rewritten(file, {"kind": "none_such"}), "unknown model kind 'none_such'"),
}


def rewritten(file: Path, changes: dict[str, Any]) -> None:
    resaid(file, model={**read_tensors(file)[1]["model"], **changes})


def resaid(file: Path, **changes: Any) -> None:
    tensors, about = read_tensors(file)
    write_tensors(file, tensors, {**about, **changes})


@pytest.mark.parametrize("name", WRONG)
def test_wrong_weights(name: str, run: Run, trained: Path, scene: dict[str, Any]) -> None:
    damage, said = WRONG[name]
    shutil.copytree(trained / "run", "run")
    damage(Path("run/prior.safetensors"))
    scene["objects"][0]["shape"]["weights"] = "run/prior.safetensors"
    Path("scene.yaml").write_text(yaml.safe_dump(scene))
    code, _, err = run("generate", "scene.yaml", "-o", "d", "--workers", "1", "--progress", "none")
    assert code in (1, 2)
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_weights_without_our_words_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="do not say what they are of: mishape did not write them"):
        read_tensors(tmp_path / "x.safetensors")


def test_one_training_at_a_time(trained: Path, run: Run) -> None:
    """A folder that another run holds is left alone; weights may be read by whom files may be read by."""
    from mishape.engine.lock import locked

    shutil.copytree(trained / "run", trained / "held")
    with locked(trained / "held"):
        code, _, err = run("learn", "train", str(trained / "plan.yaml"), "-o", str(trained / "held"))
    assert code == 1
    assert "is in use by another run" in err
    umask = os.umask(0)
    os.umask(umask)
    assert (trained / "run/prior.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask


def test_metrics_of_lost_steps_are_forgotten(trained: Path) -> None:
    """A folder whose checkpoint is gone: the training begins anew, and so do its metrics."""
    shutil.copytree(trained / "run", trained / "anew")
    with (trained / "anew/metrics.jsonl").open("a") as file:
        file.write('{"step": 4')  # killed while it was written
    (trained / "anew/checkpoint.safetensors").unlink()
    assert train(trained, "anew").returncode == 0
    lines = (trained / "anew/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [10, 20, 30, 40]


PLANS: dict[str, tuple[dict[str, Any], str]] = {
    "too few": ({"shapes": {"libraries": ["beans"], "held_out": ["a"]}}, "4 shape(s) to learn from, of 14: at least 8"),
    "no library": ({"shapes": {"libraries": ["peas"]}}, "shapes.libraries.0: library 'peas' is neither packaged nor"),
    "no model": ({"model": {"kind": "grid_vea"}}, "unknown model kind 'grid_vea': did you mean 'grid_vae'?"),
    "no such fold": (
        {"shapes": {"libraries": ["beans"], "held_out": ["cc"]}},
        "no shape is of fold 'cc': did you mean 'c'?",
    ),
    "folds of two uses": (
        {"shapes": {"libraries": ["beans"], "held_out": ["c"], "validation": ["b", "c"]}},
        "fold(s) c are in held_out and validation: what chooses weights cannot judge",
    ),
    "a distribution": ({"model": {"kind": "flow"}}, "kind 'flow' is a distribution: model takes a model of shapes"),
    "no distribution": (
        {"prior": {"model": {"kind": "grid_vae"}}},
        "kind 'grid_vae' is a model of shapes: prior.model takes a distribution, as flow",
    ),
    "an odd lattice": (
        {"model": {"kind": "grid_vae", "lattice": [24, 12, 10]}},
        "model.lattice.2: 10: Input should be a multiple of 4",
    ),
    "no cells": (
        {"model": {"kind": "grid_vae", "cells": [0, 2, 2]}},
        "model.cells.0: 0 is too small: must be at least 1",
    ),
    "wrong number": ({"training": {"steps": 0}}, "training.steps: "),
    "unknown key": ({"trainings": {}}, "trainings: "),
}


@pytest.mark.parametrize("name", PLANS)
def test_wrong_plans(name: str, run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, said = PLANS[name]
    monkeypatch.chdir(trained)
    Path("bad.yaml").write_text(yaml.safe_dump({**PLAN, **changes}))
    code, _, err = run("learn", "train", "bad.yaml", "-o", "bad", "--progress", "none")
    assert code in (1, 2)
    assert said in " ".join(err.split()), err
    assert not Path("bad").exists()


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "torch:cpu"])
def test_a_device_that_is_none(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.chdir(trained)
    code, _, err = run("learn", "train", "plan.yaml", "-o", "x", "--device", device, "--progress", "none")
    assert (code, err) == (1, f"error: device {device!r}: expected cpu, cuda or cuda:N\n")


def test_an_output_that_is_a_file(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    code, _, err = run("learn", "train", "plan.yaml", "-o", "plan.yaml", "--progress", "none")
    assert code == 1
    assert "'plan.yaml' could not be written" in err


def test_only_whole_shapes_make_a_prior(trained: Path) -> None:
    """What nothing can be learned from is said before a training, not after it."""
    from mishape.engine.errors import LibraryError
    from mishape.learn.dealing import dealt
    from mishape.learn.origins import Origin
    from mishape.learn.plan import load_plan

    plan, (beans,) = load_plan(trained / "plan.yaml")
    cut = Origin("cut", [replace(solid, weight=0.0) for solid in beans.solids])
    with pytest.raises(LibraryError, match="none of 10 shapes to learn from is whole"):
        dealt(plan, [cut])
    whole = Origin("half", [replace(solid, weight=float(solid.fold != "b")) for solid in beans.solids])
    with pytest.raises(LibraryError, match="no shape of the validation's folds b is whole"):
        dealt(plan, [whole])


def test_a_loss_that_is_no_number_stops_and_keeps(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mishape.learn.models.grid_network import GridNetwork

    loss = GridNetwork.loss
    calls = []

    def broken(self: Any, batch: Any, generator: Any) -> Any:
        calls.append(0)
        found, numbers = loss(self, batch, generator)
        return found * (float("nan") if len(calls) == 14 else 1.0), numbers

    monkeypatch.chdir(trained)
    monkeypatch.setattr(GridNetwork, "loss", broken)
    code, _, err = run("learn", "train", "plan.yaml", "-o", "nan", "--progress", "none")
    assert code == 1
    assert "step 13: the loss is nan, the norm of its gradient nan: training stopped, the last good checkpoint" in err
    kept = (trained / "nan/checkpoint.safetensors").read_bytes()
    tensors, about = read_tensors(trained / "nan/checkpoint.safetensors")
    assert about["progress"]["step"] == 10
    assert all(bool(torch.isfinite(value).all()) for value in tensors.values())
    monkeypatch.undo()
    assert kept == (trained / "nan/checkpoint.safetensors").read_bytes()


def test_another_training_s_folder_is_refused(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    Path("other.yaml").write_text(yaml.safe_dump({**PLAN, "seed": 4}))
    before = Path("run/checkpoint.safetensors").read_bytes()
    code, _, err = run("learn", "train", "other.yaml", "-o", "run", "--progress", "none")
    assert code == 1
    assert "'run' holds another training: give another folder, or the same file" in err
    assert Path("run/checkpoint.safetensors").read_bytes() == before
