"""Layers that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVE = 0.01
"""Variance of a latent number's mean over shapes above which it says something (Burda et al., ICLR 2016)."""


class Residual(nn.Module):
    """Two convolutions, each after a normalisation by groups of channels, beside the input itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(8, channels) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv3d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, grid: Tensor) -> Tensor:
        """Return (B, channels, ...) of the same size."""
        found = grid
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            found = convolution(functional.silu(norm(found)))
        return grid + found


def with_edges(grid: Tensor, edges: Tensor) -> Tensor:
    """Return a (B, C, ...) grid with the (B, 3) edges of its boxes as three more channels."""
    return torch.cat([grid, edges[:, :, None, None, None].expand(-1, -1, *grid.shape[2:])], dim=1)


def at_places(grid: Tensor, places: Tensor) -> Tensor:
    """Return features, (B, n, C), of a (B, C, X, Y, Z) grid at (B, n, 3) places from -1 to 1: linear between nodes.

    Nodes are the middles of the cells that the box is divided into.
    """
    zyx = places.flip(-1)[:, :, None, None]
    found = functional.grid_sample(grid, zyx, align_corners=False, padding_mode="border")
    return found[..., 0, 0].transpose(1, 2)
