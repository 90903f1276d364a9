"""The convolutions of ResNet-18 (He et al., CVPR 2016) and of its form for stacks, R3D-18 (Tran et al., CVPR 2018)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

GROWTH = (1, 2, 4, 8)
"""Channels of the four stages over those of the first."""
BLOCKS = 2
"""Blocks of a stage; all stages but the first begin with half of the size."""


class ResNet18(nn.Module):
    """Pictures, (B, 1, H, W), or stacks, (B, 1, P, H, W) -> features, (B, 8 * width): means over all places.

    Parameters
    ----------
    width
        Channels of the first stage; 64 in the papers.
    dimensions
        2 of pictures, 3 of stacks, whose planes are taken as depth.
    """

    def __init__(self, width: int, dimensions: int) -> None:
        super().__init__()
        self.stem = _picture_stem(width) if dimensions == 2 else _stack_stem(width)
        blocks, given = [], width
        for stage, growth in enumerate(GROWTH):
            for number in range(BLOCKS):
                stride = 2 if stage and not number else 1
                blocks.append(_Block(given, growth * width, stride, dimensions))
                given = growth * width
        self.blocks = nn.Sequential(*blocks)
        self.features = given
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, given: Tensor) -> Tensor:
        """Return features of pictures or stacks of any size."""
        return self.blocks(self.stem(given)).flatten(2).mean(dim=2)  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Two convolutions beside the input itself, or beside one of the right size made of it."""

    def __init__(self, given: int, channels: int, stride: int, dimensions: int) -> None:
        super().__init__()
        self.first = _convolution(given, channels, 3, stride, dimensions)
        self.second = _convolution(channels, channels, 3, 1, dimensions)
        same = stride == 1 and given == channels
        self.beside = nn.Identity() if same else _convolution(given, channels, 1, stride, dimensions)

    def forward(self, given: Tensor) -> Tensor:
        found = self.second(functional.relu(self.first(given)))
        return functional.relu(found + self.beside(given))


def _picture_stem(width: int) -> nn.Sequential:
    across = nn.Conv2d(1, width, 7, stride=2, padding=3, bias=False)
    return nn.Sequential(across, nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1))


def _stack_stem(width: int) -> nn.Sequential:
    across = nn.Conv3d(1, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False)
    return nn.Sequential(across, nn.BatchNorm3d(width), nn.ReLU(inplace=True))


def _convolution(given: int, channels: int, kernel: int, stride: int, dimensions: int) -> nn.Sequential:
    """Return a convolution, normalised over the batch."""
    if dimensions == 2:
        return nn.Sequential(
            nn.Conv2d(given, channels, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(channels)
        )
    return nn.Sequential(nn.Conv3d(given, channels, kernel, stride, kernel // 2, bias=False), nn.BatchNorm3d(channels))
