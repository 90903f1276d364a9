"""The network of `Flow`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from mishape.learn.models.flow import Flow

WAVES = 32
"""Sines, and as many cosines, by which the network is told the time."""


class FlowNetwork(nn.Module):
    """The velocity of numbers at a time from 0, noise, to 1, data; it keeps the data's mean and spread."""

    mean: Tensor
    spread: Tensor

    def __init__(self, plan: Flow, numbers: int) -> None:
        super().__init__()
        self.steps = plan.steps
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("spread", torch.ones(numbers))
        self.into = nn.Linear(numbers + 2 * WAVES, plan.width)
        self.blocks = nn.ModuleList(_Block(plan.width) for _ in range(plan.blocks))
        self.out = nn.Linear(plan.width, numbers)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def velocity(self, numbers: Tensor, time: Tensor) -> Tensor:
        """Return the velocity, (B, n), of (B, n) standardised numbers at (B,) times."""
        angles = time[:, None] * torch.arange(1, WAVES + 1, device=time.device) * math.pi
        hidden = self.into(torch.cat([numbers, angles.sin(), angles.cos()], dim=1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.out(functional.silu(hidden))  # type: ignore[no-any-return]

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return the mean squared error of the velocity on straight paths from noise to data."""
        data = (batch["numbers"] - self.mean) / self.spread
        noise = torch.randn(data.shape, generator=generator).to(data)
        time = torch.rand(len(data), generator=generator).to(data)
        path = time[:, None] * data + (1 - time[:, None]) * noise
        return (self.velocity(path, time) - (data - noise)).square().mean(), {}

    @torch.no_grad()
    def sample(self, noise: Tensor) -> Tensor:
        """Return (B, n) numbers for (B, n) normally distributed ones, by Heun's method."""
        found, step = noise, 1 / self.steps
        for number in range(self.steps):
            now = torch.full((len(found),), number * step).to(found)
            first = self.velocity(found, now)
            second = self.velocity(found + step * first, now + step)
            found = found + step / 2 * (first + second)
        return found * self.spread + self.mean


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.down(functional.silu(self.up(functional.silu(self.norm(hidden)))))  # type: ignore[no-any-return]
