"""Entry points -> classes: lazily, one at a time. A broken plugin is a ledger entry until its kind is asked for."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from mishape.engine.errors import PluginError
from mishape.engine.files import sha256
from mishape.engine.wording import problem, shown, suggestion

VERBS = {
    "shapes": ("sample",),
    "labelers": ("label",),
    "microscopes": ("image",),
    "noises": ("detect",),
    "truths": ("measure", "describe"),
    "executors": ("imap",),
    "exporters": ("export",),
    "models": ("network",),
    "segmenters": ("segment",),
}
"""Family -> the verb that its components have (any one of them)."""

FILE_MODULE = "mishape_plugin_"
"""How the names of the modules of plugin files begin; their files' names follow."""

ledger: dict[str, str] = {}
"""``family.kind`` -> why that plugin cannot be used."""
_from_files: dict[tuple[str, str], Any] = {}
_files: list[Path] = []
_file_hashes: dict[str, str] = {}
"""Module of a plugin file -> its SHA-256 when it was read, which is its version."""


@dataclass(frozen=True)
class Offer:
    """One installed plugin: its name and who brings it."""

    family: str
    kind: str
    distribution: str
    version: str


@cache
def _entries(family: str) -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=f"mishape.{family}"):
        same = found.setdefault(entry.name, [])
        if entry.value not in [other.value for other in same]:
            same.append(entry)
    return found


def kinds(family: str) -> list[str]:
    """Return the names of a family's plugins, without importing any."""
    return sorted({*_entries(family), *(kind for owner, kind in _from_files if owner == family)})


def offers(family: str) -> Iterator[Offer]:
    """Yield every plugin of a family with its distribution, without importing any."""
    for kind in kinds(family):
        if (family, kind) in _from_files:
            module = _from_files[family, kind].__module__
            yield Offer(family, kind, module, _file_hashes.get(module, ""))
        for entry in _entries(family).get(kind, []):
            yield Offer(family, kind, entry.dist.name if entry.dist else "?", entry.dist.version if entry.dist else "?")


@cache
def load(family: str, kind: str) -> Any:
    """Return the class of one plugin.

    Raises
    ------
    PluginError
        If no such kind is installed (with a suggestion), two distributions offer it, or it is broken (with the reason).
    """
    if (family, kind) in _from_files:
        return _from_files[family, kind]
    entries = _entries(family).get(kind)
    singular = family.removesuffix("s")
    if not entries:
        known = suggestion(kind, kinds(family))
        # Nothing like it is installed: it may be in a file of the user's.
        remedy = "" if known.startswith("did") else "; if a file of yours defines it, add --plugin FILE"
        raise PluginError(f"unknown {singular} kind {kind!r}: {known}{remedy}")
    try:
        return _checked_class(family, kind, entries)
    except PluginError as error:
        ledger[f"{family}.{kind}"] = str(error)
        raise


def _checked_class(family: str, kind: str, entries: list[EntryPoint]) -> Any:
    owners = ", ".join(entry.dist.name if entry.dist else entry.value for entry in entries)
    if len(entries) > 1:
        raise PluginError(f"{family} plugin {kind!r} is offered by {owners}: uninstall all but one")
    try:
        loaded = entries[0].load()
    except Exception as error:  # a stranger's import may fail in any way
        raise PluginError(
            f"{family} plugin {kind!r} of {owners} is installed but broken: {type(error).__name__}: {error}"
        ) from error
    if family in VERBS and not any(callable(getattr(loaded, verb, None)) for verb in VERBS[family]):
        raise PluginError(f"{family} plugin {kind!r} of {owners} lacks {' or '.join(VERBS[family])}()")
    declared = _declared_kind(loaded)
    if declared not in (None, kind):
        raise PluginError(
            f"{family} plugin {kind!r} of {owners} calls itself {declared!r}: the two names must be equal"
        )
    return loaded


def _declared_kind(loaded: Any) -> str | None:
    info = getattr(loaded, "model_fields", {}).get("kind")
    return None if info is None else info.default


def checked(family: str, value: Any) -> Any:
    """Return a ready component, or raise a validation error if it lacks the family's verb."""
    if any(callable(getattr(value, verb, None)) for verb in VERBS[family]):
        return value
    raise problem(f"{shown(value)} is not a mapping with a 'kind': choose one of {', '.join(kinds(family))}")


def add_file(path: str | Path) -> list[str]:
    """Register the components of one Python file for this process and its workers; return their names.

    Only the command line and Python callers reach this: a data file must not run code.
    """
    path = Path(path).resolve()
    if path in _files:
        return []
    if not path.is_file():
        raise PluginError(f"plugin file {str(path)!r} does not exist: give the path of a Python file")
    module_name = f"{FILE_MODULE}{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin file {str(path)!r} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    _file_hashes[module_name] = sha256(path)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a stranger's file may fail in any way
        raise PluginError(f"plugin file {str(path)!r} is broken: {type(error).__name__}: {error}") from error
    added = list(_register_classes(module))
    if not added:
        raise PluginError(f"plugin file {str(path)!r} defines no component: subclass one and give it a kind")
    _files.append(path)
    load.cache_clear()
    return added


def _register_classes(module: Any) -> Iterator[str]:
    for value in vars(module).values():
        if not isinstance(value, type) or value.__module__ != module.__name__ or _declared_kind(value) is None:
            continue
        for family, verbs in VERBS.items():
            if any(callable(getattr(value, verb, None)) for verb in verbs):
                kind = str(_declared_kind(value))
                _from_files[family, kind] = value
                yield f"{family}.{kind}"


def modules() -> dict[str, str]:
    """Return the modules of the plugin files in use, with the SHA-256 of each file."""
    return dict(_file_hashes)


def files() -> list[Path]:
    """Return the plugin files in use, so that worker processes can be given the same ones."""
    return list(_files)
