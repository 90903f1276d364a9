"""Groups of solids that are compared: real ones, those drawn from a prior, and tubes in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator

from mishape.em.descriptors import descriptors
from mishape.engine.errors import ShapeError
from mishape.engine.geometry import random_rotation
from mishape.engine.library import Entry
from mishape.engine.meshing import mesh_of_field
from mishape.engine.protocols import ShapeSource
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Points, Shape
from mishape.learn.comparison import cloud
from mishape.learn.solids import sampled

STEP_NM = 16.0
"""Of the lattice on which all solids are measured, so that none is smoother than others by how it is given."""
POINTS = 1024
"""Places on each surface by which shapes are compared."""
TRIES = 1000
"""Draws for each shape that is seen whole."""


@dataclass(frozen=True)
class Population:
    """Solids of one origin, measured alike.

    Parameters
    ----------
    name
        What it is called.
    given
        Its solids, as they came.
    """

    name: str
    given: Sequence[Shape]

    @cached_property
    def shapes(self) -> list[Shape]:
        """The solids on lattices of one step."""
        return [on_lattice(shape) for shape in self.given]

    @cached_property
    def looks(self) -> list[dict[str, float]]:
        """What each looks like, in numbers."""
        return [descriptors(shape) for shape in self.shapes]

    @cached_property
    def clouds(self) -> list[Points]:
        """(1024, 3) places on each surface, in its principal frame, in units of its longest edge."""
        return [cloud(shape.surface, POINTS, stream(0, 0, Stage.LABEL, shape.id)) for shape in self.shapes]


def on_lattice(shape: Shape) -> Shape:
    """Return a solid by its signed distances on a lattice of 16 nm, and its surface on that."""
    field = sampled(shape, STEP_NM)
    return Shape(shape.id, mesh_of_field(field), field.implicit(), fold=shape.fold)


@dataclass(frozen=True)
class Looked:
    """The volumes that shapes are found in: long ones are seldom whole in them.

    Parameters
    ----------
    sizes_nm
        (n, 3) edges of each; infinite if they are not known.
    """

    sizes_nm: Points

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Looked:
        """Return the volumes that entries were found in."""
        sizes = {entry.fields.get("volume"): _size_nm(entry) for entry in entries}
        return cls(np.array([*sizes.values()]))

    def finds(self, shape: Shape, rng: Generator) -> bool:
        """Tell whether a shape, turned and placed at random, is whole in a volume rather than cut by its border.

        Volumes are taken in turns by their sizes, as they hold shapes in proportion to these.
        """
        edges = np.ptp(shape.surface.vertices_nm @ random_rotation(rng).T, axis=0)
        content = self.sizes_nm.prod(axis=1)
        known = np.isfinite(content).all()
        size = self.sizes_nm[rng.choice(len(content), p=content / content.sum() if known else None)]
        return bool(rng.random() < np.clip(1 - edges / size, 0, 1).prod())


def _size_nm(entry: Entry) -> Points:
    about = entry.library.meta.get("volumes", {}).get(entry.fields.get("volume"))
    if about is None:
        return np.full(3, np.inf)
    return np.array(about["shape"], np.float64) * np.array(about["voxel_nm"], np.float64)


def drawn(source: ShapeSource, count: int, looked: Looked, rng: Generator) -> Iterator[Shape]:
    """Yield shapes of a source that a volume would hold whole, as the real ones were found."""
    found = 0
    for _ in range(TRIES * count):
        shape = source.sample(rng, None)
        if looked.finds(shape, rng):
            yield shape
            found += 1
        if found == count:
            return
    raise ShapeError(f"{found} of {TRIES * count} shapes of the source are small enough for the volume")


def tubes_like(entries: Sequence[Entry]) -> Iterator[Shape]:
    """Yield a tube of each entry's volume, length and thickness."""
    from mishape.engine import registry

    tube = registry.load("shapes", "tube")
    folders = {str(entry.library.folder) for entry in entries}
    sources = {folder: tube(kind="tube", match=folder) for folder in folders}
    for entry in entries:
        rng = stream(0, 0, Stage.SHAPE, entry.id)
        yield sources[str(entry.library.folder)].sample(rng, entry.id)
