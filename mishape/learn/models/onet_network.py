"""The network of `OnetVae`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from mishape.engine.occupancy import HALF_WIDTH
from mishape.learn.models.layers import ACTIVE

if TYPE_CHECKING:
    from mishape.learn.models.onet_vae import OnetVae

BLOCKS = 5


class OnetNetwork(nn.Module):
    """Encoder of labelled points and decoder of places, in units of a shape's longest edge."""

    steps: Tensor
    """Losses that were asked for, by which the divergence's weight rises."""

    def __init__(self, plan: OnetVae) -> None:
        super().__init__()
        self.plan = plan
        self.encoder = _Encoder(plan.hidden, plan.latent)
        self.decoder = _Decoder(plan.hidden, plan.latent)
        self.inside_above = math.log(plan.threshold / (1 - plan.threshold))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def encode(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of the latent numbers, each (B, numbers)."""
        inside = (batch["distance"] < 0).to(batch["places"])
        mean, log_deviation = self.encoder(batch["places"] * HALF_WIDTH, inside)
        return mean, 2 * log_deviation

    def features(self, latent: Tensor, edges: Tensor) -> Tensor:
        """Return what `distance` reads: the latent numbers themselves."""
        return latent

    def distance(self, features: Tensor, places: Tensor, edges: Tensor) -> Tensor:
        """Return values, (B, n), at (B, n, 3) places: negative where occupancy is above the threshold."""
        return self.inside_above - self.decoder(places * HALF_WIDTH, features)  # type: ignore[no-any-return]

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return cross entropy summed over a shape's points, and the divergence in nats, both in the mean of shapes."""
        mean, log_variance = self.encode(batch)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        told = self.decoder(batch["places"] * HALF_WIDTH, mean + noise * (log_variance / 2).exp())
        inside = (batch["distance"] < 0).to(told)
        wrong = functional.binary_cross_entropy_with_logits(told, inside, reduction="none")
        error = (wrong * batch["seen"]).sum(dim=1).mean()
        each = (0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)).mean(dim=0)
        counted = each.clamp(min=self.plan.free_nats).sum()
        self.steps += 1
        share = min(1.0, float(self.steps) / self.plan.kl_warm_up) if self.plan.kl_warm_up else 1.0
        active = float((mean.detach().var(dim=0) > ACTIVE).sum()) if len(mean) > 1 else 0.0
        numbers = {"divergence": float(each.detach().sum()), "active": active}
        return error + self.plan.kl_weight * share * counted, numbers


class _Encoder(nn.Module):
    """Labelled points -> mean and logarithm of the deviation, by two rounds of telling each point what all have."""

    def __init__(self, hidden: int, latent: int) -> None:
        super().__init__()
        self.place, self.label = nn.Linear(3, hidden), nn.Linear(1, hidden)
        self.first = nn.Linear(hidden, hidden)
        self.rounds = nn.ModuleList(nn.Linear(2 * hidden, hidden) for _ in range(2))
        self.mean, self.log_deviation = nn.Linear(hidden, latent), nn.Linear(hidden, latent)

    def forward(self, places: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        found = self.first(functional.relu(self.label(inside[..., None]) + self.place(places)))
        for layer in self.rounds:
            highest = found.amax(dim=1, keepdim=True).expand_as(found)
            found = layer(functional.relu(torch.cat([found, highest], dim=2)))
        highest = found.amax(dim=1)
        return self.mean(highest), self.log_deviation(highest)


class _Decoder(nn.Module):
    """Places and latent numbers -> logarithms of the odds of being inside."""

    def __init__(self, hidden: int, latent: int) -> None:
        super().__init__()
        self.place, self.latent = nn.Linear(3, hidden), nn.Linear(latent, hidden)
        self.blocks = nn.ModuleList(_Block(hidden) for _ in range(BLOCKS))
        self.out = nn.Linear(hidden, 1)

    def forward(self, places: Tensor, latent: Tensor) -> Tensor:
        found = self.place(places) + self.latent(latent)[:, None]
        for block in self.blocks:
            found = block(found)
        return self.out(functional.relu(found))[..., 0]  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Two layers beside the input itself; the second begins at 0."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        nn.init.zeros_(self.second.weight)

    def forward(self, found: Tensor) -> Tensor:
        return found + self.second(functional.relu(self.first(functional.relu(found))))  # type: ignore[no-any-return]
