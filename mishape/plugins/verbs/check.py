"""``mishape check``: validate a scene without making anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(scene: Annotated[Path, typer.Argument(help="Scene file (YAML).")]) -> None:
    """Validate a scene: keys, values, both ends of every draw, shapes and splits."""
    from mishape.engine.spec import load_spec

    spec = load_spec(scene)
    first = spec.scene(0)
    views = ", ".join(f"{name} ({view.microscope.kind})" for name, view in first.views.items())
    print(f"{scene} is right: {spec.samples} sample(s), seed {spec.seed}, views: {views}")
