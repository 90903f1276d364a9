"""Seals: small JSON files, written last, that say what a finished part of a dataset consists of."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ValidationError

from mishape.engine.component import Model, Whole
from mishape.engine.errors import DatasetError
from mishape.engine.files import canonical, write_whole
from mishape.engine.wording import problem, shown

S = TypeVar("S", bound=Model)


def _name(value: str) -> str:
    if re.fullmatch(r"[\w-][\w.-]*", value) is None:
        raise problem(f"{shown(value)} is not the name of a folder")
    return value


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in value:
        raise problem(f"{shown(value)} is not the path of a file in this folder")
    return value


FolderName = Annotated[str, AfterValidator(_name)]
"""A folder's name. A dataset may be a stranger's: no name in it may lead out of it."""
FilePath = Annotated[str, AfterValidator(_inside)]
"""A file's path in the folder that a seal is of."""


class UsedSource(Model):
    """A finite shape source that a shard was made from."""

    source: dict[str, Any]
    """The source as the scene gives it."""
    sha256: str
    """Hash of what it held."""


class ShardSeal(Model):
    """The content of shard.json."""

    samples: Whole
    """Number of samples."""
    sources: dict[FolderName, UsedSource]
    """The finite sources by the names that the records give them."""
    inputs: dict[str, str]
    """SHA-256 of each file that its microscopes and detectors read, as the scene names it."""
    files: dict[FilePath, str]
    """SHA-256 of each file."""


def write_seal(path: Path, seal: Model) -> None:
    """Write a seal, whole or not at all."""
    write_whole(path, canonical(seal.model_dump(), indent=2) + "\n")


def read_seal(model: type[S], path: Path) -> S:
    """Read a seal.

    Raises
    ------
    DatasetError
        If it is missing or damaged.
    """
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
    except (OSError, ValueError) as error:
        reason = str(error)
    raise DatasetError(f"{str(path)!r} is missing or damaged ({reason}): mishape verify --repair makes it anew")
