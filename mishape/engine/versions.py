"""Which versions made a dataset: of mishape, of what decides the last bits, and of every plugin used."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mishape.engine import registry
from mishape.engine.component import Component
from mishape.engine.errors import DatasetError
from mishape.engine.fast import code_path
from mishape.engine.scene import Scene

if TYPE_CHECKING:
    from mishape.engine.manifest import Manifest

ARRAY_LIBRARIES = ("cupy", "torch")
"""Their distributions have other names, or other versions than they say of themselves, which is what datasets keep."""


def versions_of(scene: Scene) -> dict[str, str]:
    """Return distribution -> version for mishape, NumPy, SciPy and the plugins that a scene names."""
    found = {name: version(name) for name in ("mishape", "numpy", "scipy")}
    used = {("truths", kind) for kind in scene.truths}
    for thing in scene.objects:
        used |= {("shapes", thing.shape.kind), ("labelers", thing.labeler.kind)}
    for view in scene.views.values():
        used |= {("microscopes", view.microscope.kind), ("noises", view.noise.kind)}
    for thing in scene.objects:
        more = thing.shape.distributions() if isinstance(thing.shape, Component) else ()
        found |= {name: here for name in more if (here := _found(name)) is not None}
    for family in {family for family, _ in used}:
        for offer in registry.offers(family):
            if (family, offer.kind) in used:
                found.setdefault(offer.distribution, offer.version)
    return found


def absent_plugins(versions: Mapping[str, str]) -> str:
    """Say which of the distributions that made a dataset are not there, and how to get them; nothing if all are."""
    absent = {name: made_with for name, made_with in versions.items() if _found(name) is None}
    files = [name for name in absent if name.startswith(registry.FILE_MODULE)]
    packages = [f"{name}=={made_with}" for name, made_with in absent.items() if name not in files]
    wanted = [f"pip install {' '.join(packages)}"] if packages else []
    wanted += [f"--plugin {name.removeprefix(registry.FILE_MODULE)}.py" for name in files]
    named = [f"{name} {made_with[:12]}" for name, made_with in absent.items()]
    return f"it was made with {', '.join(named)}, not installed here ({'; '.join(wanted)})" if absent else ""


def _found(name: str) -> str | None:
    """Return the version of a distribution, or of a plugin file's module, that is here; nothing if it is not."""
    if name in registry.modules():
        return registry.modules()[name]
    if name in ARRAY_LIBRARIES:
        return str(import_module(name).__version__) if find_spec(name) else None
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def other_versions(versions: Mapping[str, str]) -> list[str]:
    """Return, one text each, which of the distributions that made a dataset are here in another version."""
    here = {name: _found(name) for name in versions}
    changed = {name: found for name, found in here.items() if found is not None and found != versions[name]}
    return [f"{name} {versions[name][:12]} there, {found[:12]} here" for name, found in changed.items()]


def check_maker(manifest: Manifest) -> None:
    """Raise unless this process makes the bytes that a dataset promises.

    Raises
    ------
    DatasetError
        If versions or the code path are others: of a cluster's worker they may be.
    """
    other = other_versions(manifest.versions)
    if manifest.code_path != code_path():
        other.append(f"code path {manifest.code_path} there, {code_path()} here")
    if other:
        raise DatasetError(
            f"process {os.getpid()} on {platform.node()} would make other bytes: {'; '.join(other)}. Give all workers "
            "the same environment"
        )
