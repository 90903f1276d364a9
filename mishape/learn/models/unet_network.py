"""The network of `Unet`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from mishape.learn.models.efficientnet import EfficientNetB0

if TYPE_CHECKING:
    from mishape.learn.models.unet import Unet

B0_WIDTHS = (16, 32, 64, 128, 256)
"""Channels of the decoder at each step beside EfficientNet-B0, the finest first."""


class UnetNetwork(nn.Module):
    """Pictures, normalised, -> logarithms of the odds that a pixel is foreground."""

    def __init__(self, plan: Unet) -> None:
        super().__init__()
        self.encoder = PlainEncoder(plan.widths) if plan.encoder == "plain" else EfficientNetB0()
        *fine, coarsest = self.encoder.channels
        widths = plan.widths[:-1] if plan.encoder == "plain" else B0_WIDTHS
        given = [*widths[1:], coarsest]
        self.decoder = nn.ModuleList(
            twice(below + beside, width) for below, beside, width in zip(given, fine, widths, strict=True)
        )
        self.head = nn.Conv2d(widths[0], 1, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (B, H, W) logarithms of odds of (B, H, W) pictures, whose edges are multiples of the model's step."""
        *fine, found = self.encoder(pictures[:, None].contiguous(memory_format=torch.channels_last))
        for layer, beside in zip(reversed(self.decoder), reversed(fine), strict=True):
            found = layer(torch.cat([functional.interpolate(found, scale_factor=2.0), beside], dim=1))
        return self.head(found)[:, 0]  # type: ignore[no-any-return]

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return cross entropy in the mean of pixels, and 1 - Dice of the whole batch (Milletari et al., 3DV 2016)."""
        told, mask = self(batch["picture"]), batch["mask"]
        wrong = functional.binary_cross_entropy_with_logits(told, mask)
        chance = torch.sigmoid(told)
        dice = (2 * (chance * mask).sum() + 1) / (chance.sum() + mask.sum() + 1)
        return wrong + 1 - dice, {"soft_dice": float(dice.detach())}


class PlainEncoder(nn.Module):
    """Two convolutions at each step, each step half of the size before."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = list(widths)
        self.levels = nn.ModuleList(twice(*pair) for pair in zip((1, *widths), widths, strict=False))

    def forward(self, found: Tensor) -> list[Tensor]:
        """Return features of each step, the finest first."""
        every: list[Tensor] = []
        for level in self.levels:
            found = level(functional.max_pool2d(found, 2) if every else found)
            every.append(found)
        return every


def twice(given: int, width: int) -> nn.Sequential:
    """Return two convolutions, each normalised over the batch and cut at 0."""
    layers: list[nn.Module] = []
    for channels in (given, width):
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
