"""``mishape learn``: train models of shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mishape.plugins.verbs.generate import ProgressStyle

learn = typer.Typer(help="Learn shapes, and what images say of them.", no_args_is_help=True)


@learn.command()
def train(
    plan: Annotated[Path, typer.Argument(help="Training file (YAML): shapes, model, steps.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of checkpoints, weights and metrics.")],
    library: Annotated[
        list[str] | None, typer.Option(help="Library in place of those that the file names; repeatable.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    progress: Annotated[ProgressStyle, typer.Option(help="How to show progress.")] = ProgressStyle.auto,
) -> None:
    """Train a model, or go on with a training that was interrupted."""
    from mishape.engine.needs import needs

    needs("torch", "learn")
    needs("safetensors", "learn")
    from mishape.learn.plan import load_plan
    from mishape.learn.shape_training import train_shapes
    from mishape.plugins.verbs.long_runs import resumable
    from mishape.plugins.verbs.progress import shown

    asked, libraries = load_plan(plan, library or ())
    with resumable(), shown(progress.value) as report:
        print(f"weights: {train_shapes(asked, libraries, out, device, report)}")
