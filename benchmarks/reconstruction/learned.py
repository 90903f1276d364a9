"""Networks that find shapes, as the tables ask them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks.reconstruction.baseline import Baseline, Counts
from mishape.engine.errors import ShapeError
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.learn.extract import field_of
from mishape.learn.finding import Finder, solid_in
from mishape.learn.fitted import Fitter
from mishape.learn.fitting import FitPlan
from mishape.learn.known_box import KnownBox, known_box
from mishape.learn.lit import Posed
from mishape.learn.symmetries import averaged

CORNERS = 65


@dataclass(frozen=True)
class FeedForward(Baseline):
    """A network that finds shapes in the world.

    Parameters
    ----------
    finder
        The network.
    turns
        Turned and mirrored images that are averaged.
    centre_z_nm
        How high shapes lie, where that is known.
    """

    finder: Finder
    turns: int
    centre_z_nm: float | None

    @property
    def name(self) -> str:
        """The model's kind."""
        return self.finder.model.kind

    def __call__(self, counts: Counts, view: View, posed: Posed | None = None) -> SampledField | None:
        ask = partial(self._asked(), centre_z_nm=self.centre_z_nm)
        try:
            return solid_in(averaged(ask, counts, view, self._turns(counts)), view, CORNERS)
        except ShapeError:
            return None

    def _asked(self) -> Any:
        return self.finder.odds_at

    def _turns(self, counts: Counts) -> int:
        return self.turns


@dataclass(frozen=True)
class OneSided(FeedForward):
    """The same network, asked once about a single image: of two solids that mirror each other it tells one.

    The mean over turned and mirrored images is neither: it is what both have, and a part of what one has.
    """

    @property
    def name(self) -> str:
        """The model's kind."""
        return f"{super().name}, one side"

    def _turns(self, counts: Counts) -> int:
        return 1 if len(counts) == 1 else self.turns


@dataclass(frozen=True)
class Fitted(OneSided):
    """The same, each of whose answers is fitted to the image."""

    plan: FitPlan = field(default_factory=FitPlan)

    @property
    def name(self) -> str:
        """The model's kind."""
        return f"{self.finder.model.kind}, fitted"

    def _asked(self) -> Any:
        return Fitter(self.finder, self.plan).odds_at


@dataclass(frozen=True)
class InItsBox(Baseline):
    """A network of Occupancy Networks' protocol: it is told where a shape's box lies and how large it is.

    Parameters
    ----------
    finder
        The network.
    """

    finder: Finder
    sees_truth = True

    @property
    def name(self) -> str:
        """The model's kind and frame."""
        return f"{self.finder.model.kind}, {self.finder.model.frame}"

    def __call__(self, counts: Counts, view: View, posed: Posed | None = None) -> SampledField | None:
        box = known_box(self.truth(posed), self.finder.model.frame)
        assert box is not None
        odds = self.finder.odds_at(counts, view, box=box)
        edge_nm = 2 * EDGE * box.box.scale
        try:
            found = field_of(lambda at: -odds(box.world_nm(EDGE * at)), np.ones(3), edge_nm, CORNERS)
        except ShapeError:
            return None
        return _in_world(found, box)


EDGE = 0.55
"""Half of the cube's edge in units of the box's longest: a tenth more than the box, as in the reference."""


def _in_world(found: SampledField, box: KnownBox) -> SampledField:
    """Return a solid along the world's axes: what is told in the box's own is read on a lattice of the world."""
    centre_nm = box.world_nm(np.zeros((1, 3)))[0]
    if np.array_equal(box.turn, np.eye(3)):
        return found.shifted(centre_nm)
    half_nm = EDGE * box.box.scale * 3**0.5
    step_nm = float(found.step_nm.mean())
    axis = np.arange(-half_nm, half_nm + step_nm, step_nm)
    places = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    values = found(places @ box.turn.T).reshape((len(axis),) * 3)
    return SampledField(values, np.full(3, axis[0]), np.full(3, step_nm)).shifted(centre_nm)
