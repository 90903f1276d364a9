"""``mishape merge``: join what several runs made of one dataset."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mishape.plugins.verbs.generate import ProgressStyle


def merge(
    parts: Annotated[list[Path], typer.Argument(help="Folders that generate made with different --shards.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The dataset's folder.")],
    progress: Annotated[ProgressStyle, typer.Option(help="How to show progress.")] = ProgressStyle.auto,
) -> None:
    """Join partial outputs of one scene into one dataset; every file is checked against its hash."""
    from mishape.engine.merge import merge as join
    from mishape.plugins.verbs.generate import report_made
    from mishape.plugins.verbs.progress import shown

    with shown(progress.value) as report:
        dataset = join(parts, out, partial(report, "samples"))
    report_made(dataset)
