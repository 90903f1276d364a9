"""``mishape learn``: train models of shapes and of pictures, and judge them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mishape.engine.needs import needs
from mishape.plugins.verbs.generate import ProgressStyle

Training = Callable[..., Path]
"""(folder, device, report) -> the file of the weights."""

learn = typer.Typer(help="Learn shapes, and what images say of them.", no_args_is_help=True)


@learn.command()
def train(
    plan: Annotated[Path, typer.Argument(help="Training file (YAML): shapes or images, model, steps.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of checkpoints, weights and metrics.")],
    library: Annotated[
        list[str] | None, typer.Option(help="Library in place of those that the file names; repeatable.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    progress: Annotated[ProgressStyle, typer.Option(help="How to show progress.")] = ProgressStyle.auto,
) -> None:
    """Train a model, or go on with a training that was interrupted."""
    _needs_learn()
    from mishape.plugins.verbs.long_runs import resumable
    from mishape.plugins.verbs.progress import shown

    asked = _training(plan, library)
    with resumable(), shown(progress.value) as report:
        print(f"weights: {asked(out, device, report)}")


def _training(plan: Path, library: list[str] | None) -> Training:
    from mishape.engine.errors import MishapeError
    from mishape.learn.image_plan import is_of_images
    from mishape.learn.light_plan import is_of_light

    kinds = ((is_of_images, "images", _picture_training), (is_of_light, "light", _light_training))
    for is_one, name, training in kinds:
        if is_one(plan):
            if library:
                raise MishapeError(f"a training on {name} takes no --library: its file names what it learns from")
            return training(plan)
    return _shape_training(plan, library)


def _shape_training(plan: Path, library: list[str] | None) -> Training:
    from mishape.learn.plan import load_plan
    from mishape.learn.shape_training import train_shapes

    return partial(train_shapes, *load_plan(plan, library or ()))


def _picture_training(plan: Path) -> Training:
    from mishape.learn.image_plan import load_image_plan
    from mishape.learn.image_training import train_pictures

    return partial(train_pictures, *load_image_plan(plan))


def _light_training(plan: Path) -> Training:
    from mishape.learn.light_plan import load_light_plan
    from mishape.learn.light_training import train_light

    return partial(train_light, *load_light_plan(plan))


@learn.command()
def evaluate(
    weights: Annotated[Path, typer.Argument(help="Weights that learn train wrote: a prior's, or a model's alone.")],
    library: Annotated[list[str], typer.Option(help="Libraries that it was trained with; repeatable, in that order.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of evaluation.html and evaluation.json.")],
    fold: Annotated[
        list[str] | None, typer.Option(help="Fold to judge by; repeatable. Default: those the training left out.")
    ] = None,
    times: Annotated[int, typer.Option(min=1, max=1000, help="Shapes drawn for each that was held out.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
) -> None:
    """Judge a model of shapes, and a prior beside tubes, by shapes that it never saw."""
    _needs_learn()
    needs("skimage", "em")
    needs("cc3d", "em")
    from mishape.engine.files import disk_errors
    from mishape.engine.library import open_library
    from mishape.engine.lock import locked
    from mishape.plugins.reports.prior_numbers import judged, numbers_of
    from mishape.plugins.reports.prior_page import write_evaluation

    case = judged(weights, [open_library(name) for name in library], fold or ())
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with locked(out):  # what cannot be written there is said before the work
        held, said, comparison = numbers_of(case, times, seed, lambda text: typer.echo(text, err=True))
    overlap, error = said["reconstruction"]["overlap"], said["reconstruction"]["error_nm"]
    print(f"IoU {overlap['mean']:.3f} ({overlap['low']:.3f} to {overlap['high']:.3f}), error {error['median']:.1f} nm")
    print(f"page: {write_evaluation(out, case, held, said, comparison)}")


def _needs_learn() -> None:
    needs("torch", "learn")
    needs("safetensors", "learn")
