"""Weights that are installed: each a distribution of its own, of the entry-point group ``mishape.weights``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from pydantic import PrivateAttr

from mishape.engine.component import Component
from mishape.engine.errors import MishapeError
from mishape.engine.needs import needs
from mishape.engine.wording import problem, suggestion


class Weighted(Component):
    """A component that reads a file of weights, by its parameter ``weights``: installed ones by name, or a path."""

    FILE: ClassVar[str]
    """What the file is called in an installed package."""
    DEFAULT: ClassVar[str | None] = None
    """Name of the weights that are meant if the user says nothing."""

    weights: str
    _place: Path = PrivateAttr()
    _distribution: str | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Find the weights while the scene file's folder is known."""
        try:
            needs("torch", "learn")
            needs("safetensors", "learn")
        except MishapeError as error:
            raise problem(str(error)) from None
        folder = Path((context or {}).get("folder") or ".")
        self._place, self._distribution = find_weights(self.weights, self.FILE, self.DEFAULT, folder)

    def input_files(self) -> Mapping[str, Path]:
        """Return the file of weights, by parameter; what is installed is known by its distribution's version."""
        return {"weights": self._place} if self._distribution is None else {}

    def distributions(self) -> tuple[str, ...]:
        """Return those whose version decides what is made: torch, and that of installed weights."""
        return ("torch",) if self._distribution is None else ("torch", self._distribution)


def find_weights(given: str, file: str, default: str | None, folder: Path) -> tuple[Path, str | None]:
    """Return the file of weights, and the name of the distribution that brings it, if it is installed.

    Parameters
    ----------
    given
        Name of installed weights, or a path.
    file
        What the file is called in their package.
    default
        Name of the weights that are meant if the user says nothing; None if there are none.
    folder
        Where relative paths start.

    Raises
    ------
    PydanticCustomError
        If there are none, with what to install or what was meant.
    """
    installed = {entry.name: entry for entry in entry_points(group="mishape.weights")}
    if given in installed:
        entry = installed[given]
        return _file_of(entry, file), entry.dist.name if entry.dist else entry.value
    place = (folder / given).resolve()
    if not place.is_file() and given == default:
        raise problem(f"the default weights are not installed: pip install mishape-weights-{default}")
    if not place.is_file():
        raise problem(f"weights {given!r} are neither installed nor a file: {suggestion(given, installed)}")
    return place, None


def _file_of(entry: EntryPoint, file: str) -> Path:
    spec = find_spec(entry.value)
    if spec is None or not spec.submodule_search_locations:
        raise problem(f"weights {entry.name!r} are broken: their package {entry.value!r} is missing, install it again")
    place = Path(spec.submodule_search_locations[0]) / file
    if not place.is_file():
        raise problem(f"weights {entry.name!r} hold no {file}: they are for something else")
    return place
