"""Where shapes to learn from come from: libraries, datasets, and sources that make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from mishape.engine.component import Model, PluginField, Whole
from mishape.engine.dataset import Dataset
from mishape.engine.errors import LibraryError
from mishape.engine.library import Entry, Library, open_library
from mishape.engine.manifest import NAME
from mishape.engine.protocols import ShapeSource
from mishape.engine.seeding import Stage, stream
from mishape.learn.solids import Solid, solid_of, solid_of_entry


class Procedural(Model):
    """Shapes that are made, to be learned beside those that were found: tubes, networks of them."""

    shape: Annotated[ShapeSource, PluginField("shapes")]
    """Their source, as in a scene."""
    count: Whole = Field(ge=1, le=100_000)
    """How many are made."""


@dataclass(frozen=True)
class Origin:
    """Shapes of one library or dataset.

    Parameters
    ----------
    name
        What weights call it.
    solids
        Its shapes.
    """

    name: str
    solids: Sequence[Solid]


def origin(path_or_name: str | Path) -> Origin:
    """Open a library, packaged or a folder, or the folder of a dataset.

    Raises
    ------
    LibraryError
        If it is neither, or a dataset that holds no shapes.
    """
    if (Path(path_or_name) / NAME).is_file():
        return of_dataset(Dataset(path_or_name))
    return of_library(open_library(path_or_name))


def of_library(library: Library) -> Origin:
    """Return all shapes of a library."""
    return Origin(library.name, [solid_of_entry(entry) for entry in library])


def of_dataset(dataset: Dataset) -> Origin:
    """Return each shape that a dataset shows, once; its fold is the split that it is shown in.

    Raises
    ------
    LibraryError
        If the dataset holds no shapes.
    """
    found: dict[tuple[str | None, str], tuple[Entry, str]] = {}
    for record in dataset.records():
        for thing in record["objects"]:
            key = thing["library"], thing["shape_id"]
            if key not in found:
                shard = record["index"] // dataset.manifest.shard_size
                found[key] = shown(dataset, shard, *key), record["split"]
    solids = [replace(solid_of_entry(entry), fold=split) for entry, split in found.values()]
    return Origin(dataset.folder.resolve().name, solids)


def made(parts: Sequence[Procedural], seed: int) -> list[Solid]:
    """Return shapes of sources; they weigh nothing, so that no distribution of shapes is learned from them."""
    return [
        solid_of(part.shape.sample(stream(seed, number, Stage.SHAPE, f"learn.procedural.{place}"), None), weight=0.0)
        for place, part in enumerate(parts)
        for number in range(part.count)
    ]


def shown(dataset: Dataset, shard: int, library: str | None, id: str) -> Entry:
    """Return a shape that a dataset shows: of a copy of a library that it holds, or made for one of its shards.

    Raises
    ------
    LibraryError
        If the dataset does not hold it.
    """
    holds: Any = dataset.shard(shard).shapes if library is None else dataset.libraries().get(library)
    if holds is None or id not in holds:
        raise LibraryError(
            f"dataset {str(dataset.folder)!r} does not hold shape {id!r}: made shapes are kept if the truth occupancy "
            "is asked for, those of a library unless copy_library is false; or name the library itself"
        )
    entry: Entry = holds[id]
    return entry
