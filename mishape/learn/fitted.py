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

    def odds_at(
        self, counts: NDArray[Any], view: View, answer: Tensor | None = None, centre_z_nm: float | None = None
    ) -> Odds:
        """Return what tells the odds at places of the world, for a (P, H, W) image, as `Finder.odds_at` does.

        Raises
        ------
        LightError
            If the image does not fit the view or the model, or shows nothing.
        ShapeError
            If the network finds nothing to begin with.
        """
        finder, network = self.finder, self.finder.network
        batch, found = finder.features_of(counts, view, None, centre_z_nm)
        low_nm, high_nm = _box(partial(finder.odds_of, found, batch, answer), view)
        voxel_nm = max(self.voxel_nm, float(np.prod(high_nm - low_nm) / MOST_VOXELS) ** (1 / 3))
        if answer is None and network.answers:
            answer = found.new_zeros(1, network.answers)
        solid = TracedFeatures(network, batch, found.float(), answer)
        law = NoiseLaw.of(counts) if self.law is None else self.law
        observed = torch.from_numpy(counts.astype(np.float32))
        with telling(network):
            fit(solid, Synthesis.about(view, low_nm, high_nm, voxel_nm, self.label), observed, law, self.plan)
        return partial(finder.odds_of, solid.features.detach(), batch, solid.answer)


def _box(odds: Odds, view: View) -> tuple[Points, Points]:
    """Return the corners of the box of all places that may come to be inside."""
    spans = zip(*field_of_view(view), strict=True)
    axes = [np.arange(start, end, COARSE_NM) for start, end in spans]
    places_nm = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    likely_nm = places_nm[odds(places_nm) > LIKELY]
    if not len(likely_nm):
        raise ShapeError("the network finds nothing inside: there is nothing to begin a fit with")
    return likely_nm.min(axis=0) - ROOM_NM, likely_nm.max(axis=0) + ROOM_NM
