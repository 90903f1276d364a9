"""PSF tables, remembered in memory and, where the environment's MISHAPE_CACHE names a folder, on disk.

An entry on disk is a line of JSON that says what it is (the microscope's parameters, the code that computed it, the
places), then the numbers. One that says anything else, is of another size, or does not match its hash is made again.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mishape.engine.errors import MishapeError
from mishape.engine.extent import PSF
from mishape.engine.files import TEMPORARY, canonical
from mishape.engine.types import Points

if TYPE_CHECKING:
    from mishape.engine.imaging import PSFMicroscope

FOLDER = "MISHAPE_CACHE"
HELD_BYTES = 1 << 28
"""Memory that a process keeps tables in."""
MAX_HEADER = 4096

_tables: OrderedDict[str, Points] = OrderedDict()


def tabulated(microscope: PSFMicroscope) -> PSF:
    """Return the microscope's `psf`, remembering its tables; they are read-only.

    Raises
    ------
    MishapeError
        From the returned function, if the folder on disk cannot be written.
    """

    def psf(r_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        about = _about(microscope, r_nm, z_nm, focus_nm)
        name = hashlib.sha256(canonical(about).encode()).hexdigest()
        table = _tables.pop(name, None)
        if table is None:
            table = _from_disk(name, about, (len(z_nm), len(r_nm)))
        if table is None:
            table = np.asarray(microscope.psf(r_nm, z_nm, focus_nm), dtype=np.float64)
            _to_disk(name, about, table)
        table.flags.writeable = False
        _tables[name] = table
        while len(_tables) > 1 and sum(held.nbytes for held in _tables.values()) > HELD_BYTES:
            _tables.popitem(last=False)
        return table

    return psf


def _about(microscope: PSFMicroscope, r_nm: Points, z_nm: Points, focus_nm: float) -> dict[str, Any]:
    """Return all that a table depends on."""
    return {
        "code": _code_hash(type(microscope)),
        "focus_nm": float(focus_nm),
        "microscope": microscope.digest,
        "r_nm": hashlib.sha256(np.ascontiguousarray(r_nm, np.float64).tobytes()).hexdigest(),
        "z_nm": hashlib.sha256(np.ascontiguousarray(z_nm, np.float64).tobytes()).hexdigest(),
    }


@lru_cache(maxsize=256)
def _code_hash(cls: type) -> str:
    """Return a hash of the code that computes a microscope's PSF: the packages of its class and of all its bases."""
    modules = {base.__module__ for base in cls.__mro__ if base.__module__ != "builtins"}
    digest = hashlib.sha256(f"{cls.__module__}.{cls.__qualname__}".encode())
    for path in sorted({path for name in modules for path in _sources(name)}):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(module: str) -> list[Path]:
    """Return a module's file, with those beside it where it is part of a package."""
    file = getattr(sys.modules[module], "__file__", None)
    if file is None:
        return []
    return sorted(Path(file).parent.glob("*.py")) if "." in module else [Path(file)]


def _entry(name: str) -> Path | None:
    folder = os.environ.get(FOLDER)
    return Path(folder) / f"{name}.psf" if folder else None


def _header(about: dict[str, Any], data: bytes) -> bytes:
    return canonical({**about, "sha256": hashlib.sha256(data).hexdigest()}).encode() + b"\n"


def _from_disk(name: str, about: dict[str, Any], shape: tuple[int, int]) -> Points | None:
    """Return a table from disk, or nothing where there is none, or not the one that was asked for."""
    path = _entry(name)
    size = 8 * shape[0] * shape[1]
    try:
        if path is None or path.stat().st_size > size + MAX_HEADER:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    data = content[-size:]
    if content != _header(about, data) + data:
        return None
    return np.frombuffer(data, dtype="<f8").reshape(shape).astype(np.float64)


def _to_disk(name: str, about: dict[str, Any], table: Points) -> None:
    path = _entry(name)
    if path is None:
        return
    data = table.astype("<f8").tobytes()
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_header(about, data) + data)
        temporary.replace(path)
    except OSError as error:
        raise MishapeError(
            f"{FOLDER}: {str(path.parent)!r} cannot be written ({error.strerror}): name another folder, or unset it"
        ) from error
