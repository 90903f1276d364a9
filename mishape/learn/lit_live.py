"""Images of a scene, made as they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path

from mishape.engine.component import Keyed
from mishape.engine.files import canonical
from mishape.engine.grid import Grid
from mishape.engine.sampled import SampledField
from mishape.engine.scene import Scene, SceneObject
from mishape.engine.seeding import Stage, stream
from mishape.engine.simulate import simulate
from mishape.engine.spec import Spec
from mishape.engine.types import Shape
from mishape.learn.dealing import data_hash
from mishape.learn.lit import Facts, Lit, Posed, check_alone, learned_folds, view_among
from mishape.learn.solids import Solid, everywhere, solid_of

KEPT = 512
"""Solids of libraries that are kept: their distances take longer to find than an image."""


class LiveImages:
    """Images of a scene of one object, made as they are asked for; image i is that of sample i.

    Parameters
    ----------
    spec
        The scene.
    view
        Of which view; by default the only one.

    Raises
    ------
    DatasetError
        If there is no such view, or a scene has another number of objects.
    """

    def __init__(self, spec: Spec, view: str | None = None) -> None:
        first = spec.scene(0)
        self.view = view_among(view, first.views, spec.source.name)
        self.spec = spec.with_view(self.view)
        self._object(first)
        self.grid: Grid = first.views[self.view].grid

    def __len__(self) -> int:
        return self.spec.samples

    def fold(self, number: int) -> str | None:
        """Return the fold of the shape of a sample."""
        thing = self._object(self.spec.scene(number))
        keys = thing.shape.keys()
        return None if keys is None else keys[str(thing.shape_id)]

    def lit(self, number: int) -> Lit:
        """Make an image."""
        sample = simulate(self.spec.scene(number), describe=False)
        thing, shape = self._object(sample.scene), sample.sources[0]
        solid = _made(shape) if thing.shape_id is None else _of_source(Keyed.of(thing.shape), thing.shape_id)
        posed = Posed(solid, sample.poses[0])
        return Lit(f"sample {number}", sample.images[self.view], sample.scene.views[self.view], posed)

    def _object(self, scene: Scene) -> SceneObject:
        check_alone(len(scene.objects), f"{self.spec.source.name}: sample {scene.sample}")
        return scene.objects[0]

    @cached_property
    def facts(self) -> Facts:
        """What is said of them."""
        shapes = [*self._shapes()]
        shown = data_hash((shape.id, shape.surface) for shape in shapes)
        return Facts(
            Path(self.spec.source.name).name,
            hashlib.sha256(canonical([self.spec.hash, self.view, shown]).encode()).hexdigest(),
            frozenset(shape.fold for shape in shapes if shape.fold is not None),
            frozenset(shape.licence for shape in shapes if shape.licence),
            learned_folds(self.spec.shape_sources()),
        )

    def _shapes(self) -> Iterator[Shape]:
        """Yield all shapes of finite sources, and one of each other."""
        for source in self.spec.shape_sources():
            for id in sorted(getattr(source, "ids", None) or source.keys() or (None,), key=str):
                yield source.sample(stream(0, 0, Stage.SHAPE, "learn"), id)


@lru_cache(maxsize=KEPT)
def _of_source(source: Keyed, id: str) -> Solid:
    """Return a shape of a finite source, which depends on its id alone."""
    return solid_of(source.component.sample(stream(0, 0, Stage.SHAPE, "learn"), id))


def _made(shape: Shape) -> Solid:
    """Return a shape that was made for one image: a function of it tells distances as they are, without a lattice."""
    if shape.implicit is None or isinstance(shape.implicit.field, SampledField):
        return solid_of(shape)
    return Solid(shape.id, shape.fold, shape.surface, shape.implicit.field, everywhere(), 0.0)
