"""Which versions made a dataset: of mishape, of what decides the last bits, and of every plugin used."""

from __future__ import annotations

from importlib.metadata import version

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
