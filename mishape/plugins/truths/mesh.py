"""The mesh of every shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.component import Component
from mishape.engine.types import Shape


class MeshTruth(Component):
    """Keep the mesh of every shape, once per shape in its own frame: the stored pose brings it to the camera's.

    Shapes of a finite library are in the dataset's copy of it; shapes made for a shard (tubes) are in the shard's
    ``shapes`` library.
    """

    kind: Literal["mesh"] = "mesh"

    def describe(self, shape: Shape, rng: Generator) -> Mapping[str, NDArray[Any]]:
        """Return nothing more: a shape that is kept is kept with its mesh."""
        return {}
