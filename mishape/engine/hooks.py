"""Calls that many plugins may answer: entry-point group ``mishape.hooks``, each plugin on its own."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pluggy

from mishape.engine import registry
from mishape.engine.files import disk_is_full

if TYPE_CHECKING:
    from mishape.engine.dataset import Dataset
    from mishape.engine.types import Sample

hookspec = pluggy.HookspecMarker("mishape")
hookimpl = pluggy.HookimplMarker("mishape")


@hookspec
def mishape_sample_done(sample: Sample) -> None:
    """A sample was made; called in the process that made it."""


@hookspec
def mishape_dataset_done(dataset: Dataset) -> None:
    """All shards of a dataset are on disk; called once, in the process that asked for it."""


@cache
def manager() -> pluggy.PluginManager:
    """Return the plugin manager with every hook plugin that loads; the others are in the ledger."""
    plugins = pluggy.PluginManager("mishape")
    plugins.add_hookspecs(__import__(__name__, fromlist=["manager"]))
    for entry in entry_points(group="mishape.hooks"):
        try:
            plugins.register(entry.load(), name=entry.name)
        except Exception as error:  # a stranger's import may fail in any way
            registry.ledger[f"hooks.{entry.name}"] = f"{type(error).__name__}: {error}"
    return plugins


def call(name: str, **arguments: Any) -> dict[str, str]:
    """Call every plugin's answer to a hook; return who failed and why: one that fails disturbs no other.

    A full disk is no plugin's fault, so that error is passed on.
    """
    failures: dict[str, str] = {}
    for answer in getattr(manager().hook, name).get_hookimpls():
        try:
            answer.function(*(arguments[argument] for argument in answer.argnames))
        except Exception as error:  # a stranger's hook may fail in any way
            if disk_is_full(error):
                raise
            failures[f"hooks.{answer.plugin_name}"] = f"{name}: {type(error).__name__}: {error}"
    return failures
