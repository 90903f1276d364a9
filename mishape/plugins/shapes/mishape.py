"""Shapes drawn from a learned prior."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from numpy.random import Generator
from pydantic import Field, PrivateAttr

from mishape.engine.component import Component, Real, Whole
from mishape.engine.errors import MishapeError, ShapeError
from mishape.engine.inputs import input_hash
from mishape.engine.needs import needs
from mishape.engine.types import Shape
from mishape.engine.wording import problem
from mishape.learn.installed import find_weights

DEFAULT, FILE = "urocell", "prior.safetensors"
TRIES = 20
"""Draws until one is a shape."""


class Mishape(Component):
    """Mitochondria drawn from a prior that was learned from electron microscopy, by `mishape learn train`.

    A shape's size is drawn with it, or given.
    """

    kind: Literal["mishape"] = "mishape"
    weights: str = DEFAULT
    """Installed weights by name, or path of a prior.safetensors; relative paths start at the scene file's folder.
    Default urocell: the distribution mishape-weights-urocell, CC BY-NC-SA 4.0."""
    resolution: Whole = Field(default=65, ge=17, le=513)
    """Corners of the lattice that surfaces are found on, along the longest edge; 17 to 513, default 65."""
    longest_nm: Real | None = Field(default=None, gt=20, le=1e6)
    """Longest edge of every shape's box along its principal axes, nm; default none: drawn with the shape."""
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
        self._place, self._distribution = find_weights(self.weights, FILE, DEFAULT, folder)

    def input_files(self) -> Mapping[str, Path]:
        """Return the file of weights, by parameter; what is installed is known by its distribution's version."""
        return {"weights": self._place} if self._distribution is None else {}

    def distributions(self) -> tuple[str, ...]:
        """Return those whose version decides what is drawn: torch, and that of installed weights."""
        return ("torch",) if self._distribution is None else ("torch", self._distribution)

    def keys(self) -> None:
        """Return None: every draw is a new shape."""

    def sample(self, rng: Generator, id: str | None) -> Shape:
        """Draw a shape."""
        from mishape.learn.prior import load_prior

        prior = load_prior(self._place, self._place.stat().st_mtime_ns)
        name = f"mishape-{input_hash(self._place)[:6]}-{rng.bytes(8).hex()}"
        for _ in range(TRIES):
            latent, edges_nm = prior.draw(rng)
            try:
                return prior.shape(latent, edges_nm, self.resolution, name, self.longest_nm)
            except ShapeError as error:
                last = error
        raise ShapeError(f"weights {self.weights!r}: {TRIES} draws in a row are no shapes ({last}): train them longer")
