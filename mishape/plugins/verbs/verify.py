"""``mishape verify``: check a dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def verify(
    dataset: Annotated[Path, typer.Argument(help="The dataset's folder.")],
    remake: Annotated[int, typer.Option(min=0, help="How many random samples to simulate anew.")] = 3,
) -> None:
    """Check every file of a dataset against its hash, and remake some samples."""
    from mishape.engine.dataset import open_dataset
    from mishape.engine.verify import verify as look

    verdict = look(open_dataset(dataset), remake)
    for fault in verdict.faults:
        print(f"error: {fault}", file=sys.stderr)
    if verdict.faults:
        raise typer.Exit(1)
    print(f"{dataset} is whole: {verdict.files} files match, samples {verdict.remade} remade with the same bytes")
