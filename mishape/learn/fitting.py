"""Analysis by synthesis: the solid whose image explains the photons, near what a network or a prior expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from mishape.learn.noise_law import NoiseLaw
from mishape.learn.reimaging import levels
from mishape.learn.synthesis import Synthesis

SETTLED = 0.6
"""Share of the steps after which they become smaller."""


class Free(Protocol):
    """A solid with numbers that may change."""

    def parameters(self) -> Sequence[Tensor]:
        """Return the numbers."""
        ...

    def odds(self, places_nm: Tensor) -> Tensor:
        """Return logarithms of the odds, (n,), of being inside at (n, 3) places of the world, nm."""
        ...

    def cost(self) -> Tensor:
        """Return how unlikely the numbers are, nats."""
        ...


@dataclass(frozen=True)
class FitPlan:
    """How a fit goes.

    Parameters
    ----------
    steps
        Of the optimiser, Adam.
    rate
        Its step.
    sharp
        By what odds are multiplied at last: a network that is not sure tells broad surfaces, and light comes from thin
        ones.
    prior
        Weight of the cost of the numbers, beside the photons' likelihood.
    starts
        Answers of the network from which fits begin, where it has more than one.
    """

    steps: int = 40
    rate: float = 0.02
    sharp: float = 4.0
    prior: float = 3.0
    starts: int = 1


@dataclass(frozen=True)
class Explained:
    """How well a fitted solid explains an image.

    Parameters
    ----------
    misfit
        (steps,) negative logarithm of the likelihood of the pixels that were fitted, over their number, as it went.
    background, brightness
        Of the image.
    expected
        (P, H, W) counts.
    """

    misfit: Sequence[float]
    background: float
    brightness: float
    expected: Tensor


def fit(
    solid: Free, synthesis: Synthesis, counts: Tensor, law: NoiseLaw, plan: FitPlan, seen: Tensor | None = None
) -> Explained:
    """Change a solid's numbers until its image explains counts.

    Parameters
    ----------
    counts
        (P, H, W) as the detector gave them.
    law
        Of the noise.
    seen
        (P, H, W) weights of pixels, 0 for those that are left out; by default all 1.
    """
    weights = torch.ones_like(counts) if seen is None else seen
    optimizer = torch.optim.Adam(list(solid.parameters()), lr=plan.rate)
    misfits: list[float] = []
    for step in range(plan.steps + 1):
        done = step / max(plan.steps, 1)
        light = synthesis.image(solid.odds(synthesis.places_nm) * (1 + (plan.sharp - 1) * min(1.0, done / SETTLED)))
        background, brightness = _levels(light, counts, law, weights)
        expected = background + brightness * light
        variance = law.variance(expected)
        wrong = (((counts - expected).square() / variance + variance.log()) * weights).sum() / 2
        misfits.append(float(wrong.detach() / weights.sum()))
        if step == plan.steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * (1.0 if done < SETTLED else 0.3)
        optimizer.zero_grad()
        (wrong + plan.prior * solid.cost()).backward()
        optimizer.step()
    return Explained(misfits, background, brightness, expected.detach())


def _levels(light: Tensor, counts: Tensor, law: NoiseLaw, weights: Tensor) -> tuple[float, float]:
    """Return the background and brightness that explain counts best.

    The likelihood is at its best in both, so its slope by all other numbers is what it is with these held.
    """
    lit, seen, shares = (one.detach().cpu().double().numpy() for one in (light, counts, weights))
    background, brightness, _ = levels(lit, seen, law, shares)
    return background, brightness


@dataclass
class TracedFeatures:
    """A network's solid whose features may change: near those that it found, and read as it reads all.

    Parameters
    ----------
    network
        A `LightNetwork` in evaluation mode.
    batch
        Of one image.
    found
        (1, F, H, W) the features that it found.
    answer
        (1, answers) numbers that choose a solid; may change too.
    """

    network: Any
    batch: dict[str, Tensor]
    found: Tensor
    answer: Tensor | None = None

    def __post_init__(self) -> None:
        self.spread = self.found.std(dim=(2, 3), keepdim=True).clamp(min=1e-3)
        self.change = torch.zeros_like(self.found).requires_grad_(True)
        if self.answer is not None:
            self.answer = self.answer.detach().clone().requires_grad_(True)

    @property
    def features(self) -> Tensor:
        """(1, F, H, W) the features as they are by now."""
        return self.found + self.spread * self.change

    def parameters(self) -> Sequence[Tensor]:
        """Return the changes of the features, in units of their spread over the image, and the answer."""
        return [self.change] if self.answer is None else [self.change, self.answer]

    def odds(self, places_nm: Tensor) -> Tensor:
        """Return logarithms of the odds at places of the world."""
        told: Tensor = self.network.odds(self.features, self.batch, places_nm[None] / 1000, self.answer)[0]
        return told.float()

    def cost(self) -> Tensor:
        """Return half of the squares of all changes."""
        own = self.change.square().sum() / 2
        return own if self.answer is None else own + self.answer.square().sum() / 2
