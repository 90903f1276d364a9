"""``mishape generate``: make a dataset."""

from __future__ import annotations

import os
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mishape.engine.dataset import Dataset


SHOWN_HOLES = 10
"""Samples that failed of which each is named."""


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
    library: Annotated[
        str | None, typer.Option(help="Library that objects take shapes from, in place of the one the scene names.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed; default the scene's.")] = None,
    shard_size: Annotated[int | None, typer.Option(min=1, help="Samples per shard; default the scene's.")] = None,
    executor: Annotated[
        str | None, typer.Option(help="Who runs the workers: inline, processes, dask or an installed plugin.")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, tcp://host:8786.")] = None,
    device: Annotated[
        str, typer.Option(help="Images by: cpu, cuda or cuda:N (CuPy), torch:cpu, torch:cuda or torch:cuda:N.")
    ] = "cpu",
    shards: Annotated[
        str | None, typer.Option(metavar="A:B", help="Make shards A to B-1 alone; mishape merge joins the parts.")
    ] = None,
    skip_errors: Annotated[bool, typer.Option("--skip-errors", help="Leave out samples that fail.")] = False,
    commercial_ok: Annotated[
        bool, typer.Option("--commercial-ok", help="Refuse shapes that may not be used commercially.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how long it will take and how large it will be; make nothing.")
    ] = False,
    progress: Annotated[ProgressStyle, typer.Option(help="How to show progress.")] = ProgressStyle.auto,
) -> None:
    """Make a dataset, finish one that was interrupted, or make it longer; the bytes do not depend on the workers."""
    from mishape.engine.generate import generate as make
    from mishape.engine.spec import load_spec
    from mishape.plugins.verbs.forecast import say_forecast
    from mishape.plugins.verbs.long_runs import resumable, runner
    from mishape.plugins.verbs.progress import shown

    spec = load_spec(scene).with_values(samples=samples, seed=seed, shard_size=shard_size)
    if library is not None:
        spec = spec.with_library(library)
        spec.check()
    if dry_run:
        say_forecast(spec, workers, device, skip_errors, commercial_ok)
        return
    if not out.exists():
        _advise(-(-spec.samples // spec.head.dataset.shard_size), workers, spec.samples)
    with resumable(), shown(progress.value) as report:
        dataset = make(
            spec,
            out,
            workers=workers,
            executor=runner(executor, scheduler, workers),
            progress=partial(report, "samples"),
            device=device,
            shards=None if shards is None else _range(shards),
            skip_errors=skip_errors,
            commercial_ok=commercial_ok,
        )
    report_made(dataset)


def _advise(shards: int, workers: int, samples: int) -> None:
    """Tell when there are fewer shards than workers."""
    if shards < workers <= samples:
        each = -(-samples // workers)
        typer.echo(
            f"{shards} shard(s): {shards} of {workers} workers have work; --shard-size {each} gives all some", err=True
        )


def report_made(dataset: Dataset) -> None:
    """Tell what is in a dataset now, what is missing, and what went wrong."""
    from mishape.engine import registry

    for plugin, reason in registry.ledger.items():
        typer.echo(f"warning: plugin {plugin} failed: {reason}", err=True)
    holes = dataset.holes
    for number, reason in list(holes.items())[:SHOWN_HOLES]:
        typer.echo(f"warning: sample {number} failed and was left out: {reason}", err=True)
    if len(holes) > SHOWN_HOLES:
        typer.echo(f"warning: {len(holes) - SHOWN_HOLES} more failed and were left out: see samples.jsonl", err=True)
    if missing := dataset.missing:
        count, shards = sum(len(dataset.manifest.shard_samples(n)) for n in missing), dataset.manifest.shards
        there = f"{shards - len(missing)} of {shards} shards in {dataset.folder}"
        print(f"{there}, {count} of {len(dataset)} samples missing")
        return
    left_out = f", {len(holes)} more left out" if holes else ""
    print(f"{len(dataset) - len(holes)} sample(s) in {dataset.folder}{left_out}")
    made = {record["split"] for record in dataset.records()}
    if empty := [name for name, share in dataset.manifest.splits.items() if share > 0 and name not in made]:
        typer.echo(f"warning: no sample in {', '.join(empty)}: make more samples to fill it", err=True)
    if (dataset.folder / "report.html").is_file():
        print(f"report: {(dataset.folder / 'report.html').resolve()}")


def _range(text: str) -> range:
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise typer.BadParameter(f"{text!r} given: A:B is expected, as 0:40", param_hint="--shards")
    return range(int(first), int(last))
