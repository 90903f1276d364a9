"""Shape libraries that installed packages bring along: entry-point group ``mishape.libraries``."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from mishape.engine.errors import LibraryError


@cache
def packaged_libraries() -> dict[str, str]:
    """Return the installed libraries: name -> package that holds the files."""
    return {entry.name: entry.value for entry in entry_points(group="mishape.libraries")}


@cache
def package_folder(name: str) -> Path:
    """Return the folder of a packaged library.

    Raises
    ------
    LibraryError
        If the package that holds it is missing.
    """
    package = packaged_libraries()[name]
    try:
        spec = find_spec(package)
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise LibraryError(f"packaged library {name!r} is broken: its package {package!r} is missing, install it again")
    return Path(spec.submodule_search_locations[0])
