"""Shapes drawn from a learned prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from numpy.random import Generator
from pydantic import Field

from mishape.engine.component import Real, Whole
from mishape.engine.errors import ShapeError
from mishape.engine.inputs import input_hash
from mishape.engine.types import Shape
from mishape.learn.installed import Weighted

if TYPE_CHECKING:
    from mishape.learn.prior import Prior

TRIES = 20
"""Draws until one is a shape."""


class Mishape(Weighted):
    """Mitochondria drawn from a prior that was learned from electron microscopy, by `mishape learn train`.

    A shape's size is drawn with it, or given.
    """

    FILE = "prior.safetensors"
    DEFAULT = "urocell"

    kind: Literal["mishape"] = "mishape"
    weights: str = "urocell"
    """Installed weights by name, or path of a prior.safetensors; relative paths start at the scene file's folder.
    Default urocell: the distribution mishape-weights-urocell, CC BY-NC-SA 4.0."""
    resolution: Whole = Field(default=65, ge=17, le=513)
    """Corners of the lattice that surfaces are found on, along the longest edge; 17 to 513, default 65."""
    longest_nm: Real | None = Field(default=None, gt=20, le=1e6)
    """Longest edge of every shape's box along its principal axes, nm; default none: drawn with the shape."""

    def keys(self) -> None:
        """Return None: every draw is a new shape."""

    def learned_folds(self) -> frozenset[str]:
        """Return the folds of the shapes that its weights learned from."""
        return frozenset(self._prior().about["folds"])

    def sample(self, rng: Generator, id: str | None) -> Shape:
        """Draw a shape."""
        prior = self._prior()
        name = f"mishape-{input_hash(self._place)[:6]}-{rng.bytes(8).hex()}"
        for _ in range(TRIES):
            latent, edges_nm = prior.draw(rng)
            try:
                return prior.shape(latent, edges_nm, self.resolution, name, self.longest_nm)
            except ShapeError as error:
                last = error
        raise ShapeError(f"weights {self.weights!r}: {TRIES} draws in a row are no shapes ({last}): train them longer")

    def _prior(self) -> Prior:
        from mishape.learn.prior import load_prior

        return load_prior(self._place, self._place.stat().st_mtime_ns)
