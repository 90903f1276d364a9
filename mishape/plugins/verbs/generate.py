"""``mishape generate``: make a dataset."""

from __future__ import annotations

import os
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer


class ProgressStyle(StrEnum):
    """How progress is shown."""

    auto = "auto"
    bar = "bar"
    log = "log"
    json = "json"
    none = "none"


def generate(
    scene: Annotated[Path, typer.Argument(help="Scene file (YAML).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The dataset's folder.")],
    samples: Annotated[int | None, typer.Option(min=1, help="Number of samples; default the scene's.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = os.cpu_count() or 1,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed; default the scene's.")] = None,
    shard_size: Annotated[int | None, typer.Option(min=1, help="Samples per shard; default the scene's.")] = None,
    executor: Annotated[
        str | None, typer.Option(help="Who runs the workers: inline, processes or an installed plugin.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="Images by: cpu, cuda or cuda:N (CuPy), torch:cpu, torch:cuda or torch:cuda:N.")
    ] = "cpu",
    progress: Annotated[ProgressStyle, typer.Option(help="How to show progress.")] = ProgressStyle.auto,
) -> None:
    """Make a dataset, or finish one that was interrupted; the bytes do not depend on the workers."""
    from mishape.engine import registry
    from mishape.engine.generate import generate as make
    from mishape.engine.spec import load_spec
    from mishape.plugins.verbs.progress import shown

    spec = load_spec(scene).with_values(samples=samples, seed=seed, shard_size=shard_size)
    shards = -(-spec.samples // spec.head.dataset.shard_size)
    if shards < workers <= spec.samples:
        each = -(-spec.samples // workers)
        typer.echo(
            f"{shards} shard(s): {shards} of {workers} workers have work; --shard-size {each} gives all some", err=True
        )
    try:
        with shown(progress.value) as report:
            samples_done = partial(report, "samples")
            dataset = make(spec, out, workers=workers, executor=executor, progress=samples_done, device=device)
    except KeyboardInterrupt:
        typer.echo("interrupted: finished shards are kept; the same command goes on", err=True)
        raise typer.Exit(130) from None
    for plugin, reason in registry.ledger.items():
        typer.echo(f"warning: plugin {plugin} failed: {reason}", err=True)
    print(f"{len(dataset)} sample(s) in {out}")
    if (dataset.folder / "report.html").is_file():
        print(f"report: {(dataset.folder / 'report.html').resolve()}")
