"""Finite shape sources as datasets know them: a hash of what they hold, and the copies that may stand in for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

from mishape.engine.component import Keyed, Model, Whole
from mishape.engine.seals import FilePath, read_seal
from mishape.engine.seeding import Stage, stream

_copies: ContextVar[Path | None] = ContextVar("copies", default=None)


class LibrarySeal(Model):
    """The content of ``library/<name>.json``."""

    source: dict[str, Any]
    """The source as the scene gives it."""
    keys: dict[str, str]
    """Split key of each of its shapes, those that were not asked for included: the deal to the splits rests on all."""
    shapes: Whole
    """How many shapes were asked for; the copy holds these."""
    sha256: str
    """Hash of what the source held."""
    files: dict[FilePath, str]
    """The copy's files with their SHA-256; none if no copy was asked for."""


def seal_of_copy(copy: Path) -> Path:
    """Return where the seal of a copy lies."""
    return copy.with_name(f"{copy.name}.json")


@contextmanager
def copies_in(folder: Path) -> Iterator[None]:
    """Let the copies in a dataset's ``library/`` stand in for the sources of all components made in the block."""
    before = _copies.set(folder)
    try:
        yield
    finally:
        _copies.reset(before)


def copy_of(source: Any) -> Path | None:
    """Return the folder of the copy that stands in for a source, if there is one."""
    folder = _copies.get()
    copy = None if folder is None else folder / source.file_name
    return copy if copy is not None and copy.is_dir() and seal_of_copy(copy).is_file() else None


def keys_of_copy(copy: Path) -> dict[str, str]:
    """Return the split keys of the source that a copy was made from."""
    return read_seal(LibrarySeal, seal_of_copy(copy)).keys


def content_hash(source: Any) -> str:
    """Return the SHA-256 of what a finite source holds.

    A source that knows a cheaper way than going through all shapes has a method `content_hash`; else the hash is made
    of ids and meshes, once per process. A copy stands for what it was made from.
    """
    copy = copy_of(source)
    if copy is not None:
        return read_seal(LibrarySeal, seal_of_copy(copy)).sha256
    own = getattr(source, "content_hash", None)
    return str(own()) if own is not None else _hash_of_meshes(Keyed.of(source))


@lru_cache(maxsize=64)
def _hash_of_meshes(key: Keyed) -> str:
    digest = hashlib.sha256()
    for shape_id in sorted(key.component.keys()):
        shape = key.component.sample(stream(0, 0, Stage.SHAPE, shape_id), shape_id)
        digest.update(shape_id.encode())
        digest.update(shape.surface.vertices_nm.tobytes())
        digest.update(shape.surface.faces.tobytes())
    return digest.hexdigest()
