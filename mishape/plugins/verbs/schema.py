"""``mishape schema``: JSON Schema of scenes, for editors."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer


class Document(StrEnum):
    """Which document."""

    scene = "scene"
    dataset = "dataset"


def schema(
    document: Annotated[Document, typer.Argument(help="Which document's schema.")] = Document.scene,
    installed: Annotated[bool, typer.Option("--installed", help="Include strangers' plugins.")] = False,
) -> None:
    """Print the JSON Schema (draft 7) of scene files or of dataset.json."""
    from mishape.engine.schema import dataset_schema, scene_schema

    content = scene_schema(installed) if document is Document.scene else dataset_schema()
    print(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False))
