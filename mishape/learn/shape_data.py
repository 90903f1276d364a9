"""Shapes as networks learn them: distances on a lattice over a shape's box, and at points of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mishape.engine.geometry import random_rotation
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Points
from mishape.learn.augment import Augmentation, Variation
from mishape.learn.frames import Frame, lattice
from mishape.learn.solids import Solid

Lattice = tuple[int, int, int]
FITTED = 2000
"""Vertices, about, that a varied shape's box is fitted to."""
CANDIDATES = 4
"""Points drawn for each that is kept: those nearest to the surface."""


@dataclass(frozen=True)
class Sampling:
    """How shapes are shown to a model.

    Parameters
    ----------
    frame
        ``principal``: in the box along their own axes. ``cube``: in a cube, turned at random where shapes are varied,
        and else as their library holds them.
    lattice
        Numbers of lattice corners along the box's edges; none if the model reads points.
    points
        Number of points.
    near
        Share of the points that lie near the surface; the others are uniform in the box.
    """

    frame: Literal["principal", "cube"]
    lattice: Lattice | None
    points: int
    near: float = 0.5


@dataclass(frozen=True)
class Target:
    """A shape, varied, in a box that is fitted to it.

    Parameters
    ----------
    solid
        The shape.
    own
        The box of the shape as it is, along its principal axes.
    variation
        How it is varied.
    box
        The box of the varied shape, in a frame along the same axes.
    """

    solid: Solid
    own: Frame
    variation: Variation
    box: Frame

    @classmethod
    def fitted(cls, solid: Solid, own: Frame, variation: Variation, turn: Points | None = None) -> Self:
        """Return a shape with a box about what its surface becomes: a cube along turned axes, if a turn is given."""
        every = max(1, len(solid.mesh.vertices_nm) // FITTED)
        surface = variation.forward(own.places(solid.mesh.vertices_nm[::every])) * own.half_nm * variation.stretch
        box = Frame.box(surface, np.eye(3)) if turn is None else Frame.cube(surface, turn)
        return cls(solid, own, variation, box)

    def distance_nm(self, places: Points) -> Points:
        """Return signed distances at (n, 3) places of the box, nm; of stretched shapes they are nearly so."""
        grown = float(self.variation.stretch.prod()) ** (1 / 3) * self.variation.width(self._varied(places))
        return np.asarray(self.solid.distance_nm(self._own_nm(places)) * grown + self.variation.offset_nm)

    def is_seen(self, places: Points) -> NDArray[np.bool_]:
        """Tell at which of (n, 3) places of the box the distance is known.

        That is where the border that cuts a shape is further away than its surface: what lies beyond it is no nearer.
        """
        own_nm, (low, high) = self._own_nm(places), self.solid.seen_nm
        room_nm = np.minimum(own_nm - low, high - own_nm).min(axis=1)
        return np.asarray(np.abs(self.solid.distance_nm(own_nm)) < room_nm)

    def _own_nm(self, places: Points) -> Points:
        return self.own.own_nm(self.variation.source(self._varied(places)))

    def _varied(self, places: Points) -> Points:
        """Return places of the box in the shape's own, before it is bent back."""
        return np.asarray(self.box.own_nm(places) / (self.own.half_nm * self.variation.stretch))


class ShapeDataset(Dataset[dict[str, Any]]):
    """Shapes to train on, varied at each draw, or as they are; an item is a pure function of its number and its draw.

    Items hold ``lattice`` (1, *lattice) and ``distance`` (points,), in units of the box's longest edge, ``places``
    (points, 3) from -1 to 1, ``seen`` (points,) whether their labels are known, ``edges`` (3,) of the box over the
    longest, ``scale_nm`` () the longest, and ``weight`` (); all float32.

    Parameters
    ----------
    solids
        The shapes.
    sampling
        How they are shown.
    augmentation
        How they are varied; not at all if it is not given.
    seed
        Of all that is drawn.
    """

    def __init__(
        self, solids: Sequence[Solid], sampling: Sampling, augmentation: Augmentation | None = None, seed: int = 0
    ) -> None:
        self.solids, self.sampling = list(solids), sampling
        self.augmentation, self.seed = augmentation, seed
        self._frames = [Frame.principal(solid.mesh) for solid in self.solids]

    def __len__(self) -> int:
        return len(self.solids)

    def target(self, number: int, draw: int = 0) -> Target:
        """Return a shape in its box, varied if that is asked for."""
        rng = stream(self.seed, draw, Stage.SHAPE, f"learn.{number}")
        plan, own = self.augmentation, self._frames[number]
        variation = Variation.none() if plan is None else Variation.draw(plan, rng)
        turn = None
        if self.sampling.frame == "cube":
            turn = own.rotation.T if plan is None else random_rotation(rng)
        return Target.fitted(self.solids[number], own, variation, turn)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.item(number, 0)

    def item(self, number: int, draw: int) -> dict[str, Any]:
        """Return a shape as it is varied at one draw."""
        target, sampling = self.target(number, draw), self.sampling
        places = _places(target, sampling, stream(self.seed, draw, Stage.TRUTH, f"learn.{number}"))
        scale_nm = 2 * float(target.box.half_nm.max())
        item = {
            "places": places,
            "distance": target.distance_nm(places) / scale_nm,
            "seen": target.is_seen(places),
            "edges": 2 * target.box.half_nm / scale_nm,
            "scale_nm": np.array(scale_nm),
            "weight": np.array(target.solid.weight),
        }
        if sampling.lattice is not None:
            item["lattice"] = target.distance_nm(lattice(sampling.lattice)).reshape(1, *sampling.lattice) / scale_nm
        return {name: np.asarray(value, np.float32) for name, value in item.items()}


def _places(target: Target, sampling: Sampling, rng: Generator) -> Points:
    """Draw places of a box: some uniform, some those nearest to the surface among more that are."""
    near = round(sampling.near * sampling.points)
    uniform = rng.uniform(-1, 1, (sampling.points - near, 3))
    if not near:
        return uniform
    drawn = rng.uniform(-1, 1, (CANDIDATES * near, 3))
    nearest = np.argpartition(np.abs(target.distance_nm(drawn)), near)[:near]
    return np.concatenate([uniform, drawn[np.sort(nearest)]])
