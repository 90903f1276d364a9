"""One run at a time in a dataset's folder: a lock file that says who works there."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mishape.engine.errors import DatasetError
from mishape.engine.files import canonical, disk_errors

LOCK = "dataset.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock while the block runs; one that a dead process left is taken over.

    Raises
    ------
    DatasetError
        If another run holds it; the text names its host and process.
    """
    path, mine = folder.resolve() / LOCK, _this_run()
    with disk_errors(folder), _turn(path.parent):
        holder = _holder(path)
        if holder is not None and _alive(holder):
            raise DatasetError(
                f"{str(folder)!r} is in use by another run (host {holder['host']}, process {holder['pid']}): wait for "
                f"it to end, or end it. If no such run exists any more, delete {str(path)!r} and try again"
            )
        path.unlink(missing_ok=True)
        with path.open("x", encoding="utf-8") as file:  # refused if another host was faster
            file.write(canonical(mine) + "\n")
    try:
        yield
    finally:
        if _holder(path) == mine:
            path.unlink(missing_ok=True)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Let the processes of this host look one after the other: else two could take over the same lock of a dead one."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot do this
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _this_run() -> dict[str, Any]:
    return {"host": platform.node(), "pid": os.getpid(), "started": _started(os.getpid())}


def _holder(path: Path) -> dict[str, Any] | None:
    """Return who holds a lock; None without a lock, or for one whose writer died before it was written."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(holder, dict) and {"host", "pid", "started"} <= holder.keys()
    return holder if whole and isinstance(holder["pid"], int) else None


def _alive(holder: dict[str, Any]) -> bool:
    """Tell whether the holder may still run; of another host that cannot be known."""
    return bool(holder["host"] != platform.node() or _started(holder["pid"]) == holder["started"])


def _started(pid: int) -> str | None:
    """Return when a process began, which tells it from a later one of the same number; None if it has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""  # only Linux tells
    return None if state in "ZX" else fields[18]
