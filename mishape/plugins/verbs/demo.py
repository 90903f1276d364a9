"""``mishape demo``: a small dataset of real mitochondria, from what is installed, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The dataset's folder.")] = Path("mishape-demo"),
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
) -> None:
    """Make the demo dataset: real mitochondria in an epifluorescence and a confocal microscope."""
    from mishape.plugins.verbs.generate import generate

    generate(Path(__file__).with_name("demo.yaml"), out, workers=workers)
