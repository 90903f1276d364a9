"""``mishape verify``: check a dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def verify(
    dataset: Annotated[Path, typer.Argument(help="The dataset's folder.")],
    remake: Annotated[int, typer.Option(min=0, help="How many random samples to simulate anew.")] = 3,
    repair: Annotated[bool, typer.Option("--repair", help="First make anew what is damaged or missing.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Of a part made by --shards: what is not made is no fault.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes of the repair.")] = 1,
) -> None:
    """Check every file of a dataset against its hash, and remake some samples."""
    from mishape.engine.dataset import open_dataset
    from mishape.engine.verify import verify as look

    if repair:
        from mishape.engine.repair import repair as mend

        for part in mend(open_dataset(dataset), workers):
            print(f"{part} was made anew")
    verdict = look(open_dataset(dataset), remake, partial)
    for fault in verdict.faults:
        print(f"error: {fault}", file=sys.stderr)
    if verdict.faults:
        raise typer.Exit(1)
    for number, reason in verdict.holes.items():
        print(f"sample {number} failed when it was made, and was left out: {reason}")
    remade = f", samples {verdict.remade} remade with the same bytes" if verdict.remade else ""
    print(f"{dataset} is {'as it was made' if partial else 'whole'}: {verdict.files} files match{remade}")
