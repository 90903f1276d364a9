"""Files that are either whole or not there, and errors of the disk in a user's words."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import DatasetError

TEMPORARY = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_is_full(error: BaseException) -> bool:
    """Tell whether an error says that nothing more can be written: no space, quota used up, file too large."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the disk into what a user can do about them."""
    try:
        yield
    except OSError as error:
        if disk_is_full(error):
            raise DatasetError(
                f"the disk is full: {str(folder)!r} could not be written ({error.strerror}). Finished shards are "
                "intact: free some space and give the same command again to go on"
            ) from error
        raise DatasetError(f"{str(folder)!r} could not be written: {error}") from error


@contextmanager
def whole_folder(folder: Path, replace: bool = False) -> Iterator[Path]:
    """Give a temporary folder that takes the final name, synced, when the block ends without an error.

    With `replace` a folder of that name stays until then; else there must be none.
    """
    # Several hosts may work on one file system.
    mine = f"{folder.name}.{platform.node()}.{os.getpid()}"
    temporary, replaced = (folder.with_name(f"{mine}{end}{TEMPORARY}") for end in ("", ".old"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for path in sorted(temporary.rglob("*")):
            sync(path)
        sync(temporary)
        if replace and folder.exists():
            folder.rename(replaced)
        temporary.rename(folder)
        sync(folder.parent)
    finally:
        for path in (temporary, replaced):
            shutil.rmtree(path, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file with the same bytes on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a .npy file."""
    with path.open("wb") as file:
        np.save(_Plain(file.write), array, allow_pickle=False)


@dataclass(frozen=True)
class _Plain:
    """Hides from NumPy that it writes to a file: its short cut for files does not say that the disk is full."""

    write: Callable[[bytes], int]


def write_whole(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        write_text(temporary, text)
        sync(temporary)
        temporary.rename(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what an interrupted run left under temporary names."""
    for path in folder.glob(f"*{TEMPORARY}"):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def remove_leftovers_of(folder: Path) -> None:
    """Remove what an interrupted run left of a folder that was not yet whole."""
    for path in folder.parent.glob(f"{glob.escape(folder.name)}.*{TEMPORARY}"):
        shutil.rmtree(path, ignore_errors=True)


def sync(path: Path) -> None:
    """Force a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical(value: Any, indent: int | None = None) -> str:
    """Return plain data as JSON text that is the same for equal data."""
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False, allow_nan=False)
