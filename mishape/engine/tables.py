"""PSF tables, remembered in memory and, where the environment's MISHAPE_CACHE names a folder, on disk.

An entry on disk is a line of JSON that says what it is (the microscope's parameters, the code that computed it, the
places), then the numbers. One that says anything else, is of another size, or does not match its hash is made again.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
import uuid
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mishape.engine.errors import MishapeError, PluginError
from mishape.engine.extent import PSF
from mishape.engine.files import TEMPORARY, canonical
from mishape.engine.recent import Recent
from mishape.engine.types import Points

if TYPE_CHECKING:
    from mishape.engine.imaging import PSFMicroscope

FOLDER = "MISHAPE_CACHE"
HELD_BYTES = 1 << 28
"""Memory that a process keeps tables in."""
MAX_HEADER = 4096
NO_OPTICS = ("builtins", "pydantic")
"""Bases of every component that compute nothing."""

_tables: Recent[Points] = Recent(HELD_BYTES, lambda table: table.nbytes)


def asked(microscope: Any) -> PSF:
    """Return a microscope's `psf`, its result a table of its own that has the shape asked for.

    Raises
    ------
    PluginError
        From the returned function, if it has not.
    """

    def psf(r_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        table = np.array(microscope.psf(r_nm, z_nm, focus_nm), dtype=np.float64)
        if table.shape != (len(z_nm), len(r_nm)):
            raise PluginError(
                f"{microscope.kind}: psf gave an array of shape {table.shape} for {len(z_nm)} z and {len(r_nm)} radii: "
                "return photon fractions per nm^2 of shape (len(z_nm), len(r_nm))"
            )
        return finite(table)

    return psf


def asked_xy(microscope: PSFMicroscope) -> Callable[[Points, Points, Points, float], Points]:
    """Return a microscope's `psf_xy`, held to the shape asked for as `asked` does."""

    def psf(x_nm: Points, y_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        given = microscope.psf_xy(x_nm, y_nm, z_nm, focus_nm)
        if not isinstance(given, np.ndarray) or given.dtype.kind not in "fiu":
            raise PluginError(f"{microscope.kind}: psf_xy gave {_described(given)}: return an array of real numbers")
        table = np.asarray(given, dtype=np.float64)
        if table.shape != (len(z_nm), len(x_nm)):
            raise PluginError(
                f"{microscope.kind}: psf_xy gave an array of shape {table.shape} for {len(z_nm)} z and {len(x_nm)} "
                "places: return photon fractions per nm^2 of shape (len(z_nm), len(x_nm))"
            )
        return finite(table)

    return psf


def finite(table: Points) -> Points:
    """Return a PSF's values, or raise a `MishapeError` if one is no number."""
    if not np.isfinite(table).all():
        raise MishapeError("this PSF holds NaN or infinity: its formula fails at some place")
    return table


def _described(given: Any) -> str:
    return f"an array of {given.dtype}" if isinstance(given, np.ndarray) else type(given).__name__


def tabulated(microscope: PSFMicroscope) -> Callable[[Points, Points, Points], Points]:
    """Return the microscope's `through_focus`, remembering its tables; they are read-only.

    Raises
    ------
    MishapeError
        From the returned function, as from `asked`, or if the folder on disk cannot be written.
    """
    cls = type(microscope)

    def psf(r_nm: Points, z_nm: Points, planes_nm: Points) -> Points:
        about = _about(microscope, r_nm=r_nm, z_nm=z_nm, planes_nm=planes_nm)
        name = hashlib.sha256(canonical(about).encode()).hexdigest()
        return _tables.get((cls, name), lambda: _table(microscope, (r_nm, z_nm, planes_nm), about, name))

    return psf


def _table(
    microscope: PSFMicroscope, places: tuple[Points, Points, Points], about: dict[str, Any], name: str
) -> Points:
    r_nm, z_nm, planes_nm = places
    path = _entry(name) if about["code"] else None
    table = _from_disk(path, about, (len(planes_nm), len(z_nm), len(r_nm)))
    if table is None:
        table = finite(microscope.through_focus(r_nm, z_nm, planes_nm))
        _to_disk(path, about, table)
    table.flags.writeable = False
    return table


def _about(microscope: PSFMicroscope, **places: Points) -> dict[str, Any]:
    """Return all that a table depends on; its code, which takes a moment to read, only where tables outlive it."""
    return {
        "code": _code_hash(type(microscope)) if os.environ.get(FOLDER) else "",
        "microscope": microscope.digest,
        "numpy": np.__version__,
        "scipy": _scipy_version(),
        **{
            name: hashlib.sha256(np.ascontiguousarray(values, np.float64).tobytes()).hexdigest()
            for name, values in places.items()
        },
    }


@lru_cache(maxsize=1)
def _scipy_version() -> str:
    return version("scipy")


@lru_cache(maxsize=256)
def _code_hash(cls: type) -> str:
    """Return a hash of the code that may compute a microscope's PSF: all of its packages, and of its bases'.

    Nothing for a class whose code cannot be read, such as one defined in a notebook: its tables are not kept on disk.
    """
    modules = [base.__module__ for base in cls.__mro__ if base.__module__.partition(".")[0] not in NO_OPTICS]
    paths = {path for name in modules for path in _sources(name) or [Path()]}
    if not all(path.is_file() for path in paths):
        return ""
    digest = hashlib.sha256(f"{cls.__module__}.{cls.__qualname__}".encode())
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(module: str) -> list[Path]:
    """Return all files of the package that a module belongs to, or those beside it where it is in none."""
    top = sys.modules[module.partition(".")[0]]
    if hasattr(top, "__path__"):
        return [path for folder in top.__path__ for path in Path(folder).rglob("*.py")]
    file = Path(getattr(top, "__file__", None) or "")
    return [file, *file.parent.glob("*.py")] if file.is_file() else []


def _entry(name: str) -> Path | None:
    folder = os.environ.get(FOLDER)
    return Path(folder) / f"{name}.psf" if folder else None


def _header(about: dict[str, Any], data: bytes) -> bytes:
    return canonical({**about, "sha256": hashlib.sha256(data).hexdigest()}).encode() + b"\n"


def _from_disk(path: Path | None, about: dict[str, Any], shape: tuple[int, int, int]) -> Points | None:
    """Return a table from disk, or nothing where there is none, or not the one that was asked for."""
    size = 8 * math.prod(shape)
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


def _to_disk(path: Path | None, about: dict[str, Any], table: Points) -> None:
    if path is None:
        return
    data = table.astype("<f8").tobytes()
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_header(about, data) + data)
        temporary.replace(path)
    except OSError as error:
        raise MishapeError(
            f"{FOLDER}: {str(path.parent)!r} cannot be written ({error.strerror}): name another folder, or unset it"
        ) from error
