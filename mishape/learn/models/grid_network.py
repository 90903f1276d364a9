"""The network of `GridVae`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from mishape.learn.models.layers import Residual, at_places, with_edges

if TYPE_CHECKING:
    from mishape.learn.models.grid_vae import GridVae

UNIT = 0.02
"""Of the distances that come out, as a share of the box's longest edge: the slope at which points are told apart."""
SCALE = 8.0
"""Distances are told up to about so many units."""


class GridNetwork(nn.Module):
    """Encoder and decoder; everything is in units of the box's longest edge."""

    def __init__(self, plan: GridVae) -> None:
        super().__init__()
        width = plan.width
        self.cells, self.kl_weight = plan.cells, plan.kl_weight
        self.into = nn.Conv3d(4, width // 2, 3, stride=2, padding=1)
        halve = nn.Conv3d(width // 2, width, 3, stride=2, padding=1)
        self.encoder = nn.Sequential(nn.SiLU(), halve, Residual(width), Residual(width))
        self.heads = nn.Conv3d(width, 2 * plan.channels, 1)
        self.out_of = nn.Conv3d(plan.channels + 3, width, 3, padding=1)
        self.decoder = nn.Sequential(Residual(width), Residual(width))
        layers = [nn.Linear(width + 3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1)]
        self.read = nn.Sequential(*layers)
        self.middle = tuple(-(-corners // 4) for corners in plan.lattice)

    def encode(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of the latent numbers, each (B, numbers)."""
        features = self.encoder(self.into(with_edges(batch["lattice"] / (SCALE * UNIT), batch["edges"])))
        if tuple(features.shape[2:]) != self.cells:
            features = _resampled(features, self.cells)
        mean, log_variance = self.heads(features).chunk(2, 1)
        return mean.flatten(1), log_variance.flatten(1).clamp(-12, 4)

    def features(self, latent: Tensor, edges: Tensor) -> Tensor:
        """Return features, (B, width, ...), for `distance` to read, of (B, numbers) and the boxes' (B, 3) edges."""
        latent = latent.reshape(len(latent), -1, *self.cells)
        return _subdivided(self.decoder(_resampled(self.out_of(with_edges(latent, edges)), self.middle)))

    def distance(self, features: Tensor, places: Tensor, edges: Tensor) -> Tensor:
        """Return signed distances, (B, n), at (B, n, 3) places."""
        here = torch.cat([at_places(features, places), places * edges[:, None]], dim=-1)
        return self.read(here)[..., 0] * UNIT  # type: ignore[no-any-return]

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return what is to be made small: the mean error of the points that are seen, and the divergence in nats."""
        mean, log_variance = self.encode(batch)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        latent = mean + noise * (log_variance / 2).exp()
        features = self.features(latent, batch["edges"])
        found = self.distance(features, batch["places"], batch["edges"]) / UNIT
        true = batch["distance"] / UNIT
        # The odds of being inside fall with the true distance: hard labels would make a step of it, and no distance.
        told = functional.binary_cross_entropy_with_logits(-found, torch.sigmoid(-true), reduction="none")
        apart = (torch.tanh(found / SCALE) - torch.tanh(true / SCALE)).abs()
        seen = batch["seen"]
        error = ((told + 2 * apart) * seen).sum() / seen.sum().clamp(min=1)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        return error + self.kl_weight * divergence, {"divergence": float(divergence.detach())}


def _resampled(grid: Tensor, size: tuple[int, ...]) -> Tensor:
    return functional.interpolate(grid, size=size, mode="trilinear", align_corners=True)


def _subdivided(grid: Tensor) -> Tensor:
    """Return a grid with half the step, as control points of the same quadratic spline (Chaikin's corner cutting).

    Features that are linear between them have creases of half the height, and so have surfaces that are told by them.
    """
    return functional.interpolate(grid, scale_factor=2, mode="trilinear", align_corners=False)
