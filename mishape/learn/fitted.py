"""Solids that a network finds, changed until their image explains the photons."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mishape.engine.errors import ShapeError
from mishape.engine.scene import View
from mishape.engine.types import Points
from mishape.learn.finding import COARSE_NM, Finder, Odds
from mishape.learn.fitting import FitPlan, TracedFeatures, fit
from mishape.learn.lit_shapes import field_of_view
from mishape.learn.networks import telling
from mishape.learn.noise_law import NoiseLaw
from mishape.learn.synthesis import Label, Synthesis

LIKELY = -1.0
"""Logarithm of the odds above which a place may come to be inside."""
ROOM_NM = 150.0
"""Around such places."""
MOST_VOXELS = 100_000
"""That hold light: of larger solids they are larger."""


@dataclass(frozen=True)
class Fit:
    """A solid that was fitted to an image.

    Parameters
    ----------
    odds
        What tells the odds at places of the world.
    nats
        How unlikely the photons and its numbers are, together: of all fits to one image, the lowest explains it best.
    """

    odds: Odds
    nats: float


@dataclass(frozen=True)
class Fitter:
    """A network whose answers are fitted to the image.

    What may change are the features of pixels, near those that the network found: so a solid stays one that it could
    have told. Brightness and background of the image follow from each solid.

    Parameters
    ----------
    finder
        The network; one that finds solids in the world.
    plan
        How a fit goes.
    label
        Where emitters sit.
    law
        Of the noise; by default that of the image itself.
    voxel_nm
        Of the lattice that holds the light, at least.
    """

    finder: Finder
    plan: FitPlan = field(default_factory=FitPlan)
    label: Label = "surface"
    law: NoiseLaw | None = None
    voxel_nm: float = 45.0

    def odds_at(self, counts: NDArray[Any], view: View, centre_z_nm: float | None = None) -> Odds:
        """Return what tells the odds at places of the world, for a (P, H, W) image, as `Finder.odds_at` does.

        Of all fits it is the likeliest; see `fits`.
        """
        return min(self.fits(counts, view, centre_z_nm), key=lambda one: one.nats).odds

    def fits(self, counts: NDArray[Any], view: View, centre_z_nm: float | None = None) -> list[Fit]:
        """Return solids fitted to a (P, H, W) image, of which each began at another of the network's answers.

        Raises
        ------
        LightError
            If the image does not fit the view or the model, or shows nothing.
        ShapeError
            If the network finds nothing to begin with.
        """
        batch, found = self.finder.features_of(counts, view, None, centre_z_nm)
        starts = answers_of(self.finder.network, self.plan.starts)
        return [self._fit(counts, view, batch, found, start) for start in starts]

    def _fit(
        self, counts: NDArray[Any], view: View, batch: dict[str, Tensor], found: Tensor, start: Tensor | None
    ) -> Fit:
        """Return the solid that the features tell by an answer, fitted."""
        finder, network = self.finder, self.finder.network
        low_nm, high_nm = _box(partial(finder.odds_of, found, batch, start), view)
        voxel_nm = max(self.voxel_nm, float(np.prod(high_nm - low_nm) / MOST_VOXELS) ** (1 / 3))
        solid = TracedFeatures(network, batch, found.float(), start)
        law = NoiseLaw.of(counts) if self.law is None else self.law
        observed = torch.from_numpy(counts.astype(np.float32))
        with telling(network):
            done = fit(solid, Synthesis.about(view, low_nm, high_nm, voxel_nm, self.label), observed, law, self.plan)
        nats = done.misfit[-1] * counts.size + self.plan.prior * float(solid.cost().detach())
        return Fit(partial(finder.odds_of, solid.features.detach(), batch, solid.answer), nats)


def answers_of(network: Any, count: int) -> list[Tensor | None]:
    """Return the middle one of a network's answers and others, drawn; the only one where it has no more."""
    if not network.answers:
        return [None]
    drawn = torch.randn(count - 1, 1, network.answers, generator=torch.Generator().manual_seed(0))
    return [torch.zeros(1, network.answers), *drawn]


def _box(odds: Odds, view: View) -> tuple[Points, Points]:
    """Return the corners of the box of all places that may come to be inside."""
    spans = zip(*field_of_view(view), strict=True)
    axes = [np.arange(start, end, COARSE_NM) for start, end in spans]
    places_nm = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    likely_nm = places_nm[odds(places_nm) > LIKELY]
    if not len(likely_nm):
        raise ShapeError("the network finds nothing inside: there is nothing to begin a fit with")
    return likely_nm.min(axis=0) - ROOM_NM, likely_nm.max(axis=0) + ROOM_NM
