"""Which versions made a dataset: of mishape, of what decides the last bits, and of every plugin used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from mishape.engine import registry
from mishape.engine.scene import Scene


def versions_of(scene: Scene) -> dict[str, str]:
    """Return distribution -> version for mishape, NumPy, SciPy and the plugins that a scene names."""
    found = {name: version(name) for name in ("mishape", "numpy", "scipy")}
    used = {("truths", kind) for kind in scene.truths}
    for thing in scene.objects:
        used |= {("shapes", thing.shape.kind), ("labelers", thing.labeler.kind)}
    for view in scene.views.values():
        used |= {("microscopes", view.microscope.kind), ("noises", view.noise.kind)}
    for family in {family for family, _ in used}:
        for offer in registry.offers(family):
            if (family, offer.kind) in used:
                found.setdefault(offer.distribution, offer.version)
    return found


def absent_plugins(versions: Mapping[str, str]) -> str:
    """Say which of the distributions that made a dataset are not there, and how to get them; nothing if all are."""
    absent = {name: made_with for name, made_with in versions.items() if not _is_there(name)}
    files = [name for name in absent if name.startswith(registry.FILE_MODULE)]
    packages = [f"{name}=={made_with}" for name, made_with in absent.items() if name not in files]
    wanted = [f"pip install {' '.join(packages)}"] if packages else []
    wanted += [f"--plugin {name.removeprefix(registry.FILE_MODULE)}.py" for name in files]
    named = [f"{name} {made_with[:12]}" for name, made_with in absent.items()]
    return f"it was made with {', '.join(named)}, not installed here ({'; '.join(wanted)})" if absent else ""


def _is_there(name: str) -> bool:
    if name in registry.modules():
        return True
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
