"""``library/``: the finite shape sources that a dataset used, copied or by their hash, and checked.

::

    library/<name>.json   the source as the scene gives it, its keys and hash, the copy's files with their SHA-256
    library/<name>/       the copy: meshes in their own frames, with the truths that belong to a shape
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mishape.engine import registry
from mishape.engine.dataset import Dataset
from mishape.engine.errors import DatasetError
from mishape.engine.execute import one_thread
from mishape.engine.files import sha256
from mishape.engine.seals import UsedSource, read_seal, write_seal
from mishape.engine.seeding import Stage, stream
from mishape.engine.shard_writing import write_shapes
from mishape.engine.simulate import describe_shape
from mishape.engine.sources import LibrarySeal, content_hash, seal_of_copy


def used_sources(dataset: Dataset, shards: Sequence[int] | None = None) -> dict[str, UsedSource]:
    """Return the finite sources of shards by name, none of which has changed since; by default of all that name them.

    Raises
    ------
    DatasetError
        If a source holds something else now, or is gone.
    """
    found: dict[str, UsedSource] = {}
    now = cache(lambda name: content_hash(_source(dataset, found[name])))
    for shard in dataset.sealed if shards is None else shards:
        for name, used in dataset.shard(shard).seal.sources.items():
            found.setdefault(name, used)
            if now(name) != used.sha256:
                raise DatasetError(
                    f"library {_given(used)!r} changed since shard {shard} was made: put back what it held then, or "
                    "give another output folder"
                )
    return found


def keep_libraries(dataset: Dataset) -> None:
    """Write what is missing of ``library/``."""
    for name, used in sorted(used_sources(dataset).items()):
        copy = dataset.folder / "library" / name
        copied = not dataset.spec.head.dataset.copy_library or copy.is_dir()
        if not (copied and seal_of_copy(copy).is_file()):
            one_thread(lambda item: _keep(dataset, *item), (copy, used))


def _keep(dataset: Dataset, copy: Path, used: UsedSource) -> None:
    source = _source(dataset, used)
    keys = dict(source.keys())
    ids = sorted(getattr(source, "ids", None) or keys)
    files: dict[str, str] = {}
    if dataset.spec.head.dataset.copy_library:
        if copy.exists() and not seal_of_copy(copy).is_file():
            shutil.rmtree(copy)  # nothing says that it is whole
        if not copy.exists():
            scene = next(dataset.spec.scene(record["index"]) for record in dataset.existing_records())
            shapes = [source.sample(stream(dataset.manifest.seed, 0, Stage.SHAPE, id), id) for id in ids]
            described = [describe_shape(scene, shape) for shape in shapes]
            write_shapes(copy, copy.name, shapes, described, getattr(source, "citation", ""))
        files = {path.name: sha256(path) for path in sorted(copy.iterdir())}
    copy.parent.mkdir(exist_ok=True)
    seal = LibrarySeal(source=used.source, keys=keys, shapes=len(ids), sha256=used.sha256, files=files)
    write_seal(seal_of_copy(copy), seal)


def _source(dataset: Dataset, used: UsedSource) -> Any:
    cls = registry.load("shapes", str(used.source.get("kind")))
    try:
        return cls.model_validate(used.source, context={"folder": dataset.spec.folder})
    except ValidationError as error:
        raise DatasetError(f"library {_given(used)!r} cannot be used: {error.errors()[0]['msg']}") from None


def _given(used: UsedSource) -> str:
    return str(used.source.get("library", used.source.get("kind")))


def sealed_files(dataset: Dataset, name: str) -> dict[Path, str]:
    """Return every file of a library's copy with the SHA-256 that it should have.

    Raises
    ------
    DatasetError
        If the library's seal is missing or damaged.
    """
    copy = dataset.folder / "library" / name
    return {copy / file: digest for file, digest in read_seal(LibrarySeal, seal_of_copy(copy)).files.items()}
