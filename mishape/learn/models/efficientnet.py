"""The convolutions of EfficientNet-B0 (Tan & Le, ICML 2019), for pictures of one channel.

No block is left out at random while it is trained, as the reference does: a step is a function of its number alone.
"""

from __future__ import annotations

from torch import Tensor, nn

STEM = 32
STAGES = (
    # growth, kernel, stride, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Table 1 of the paper, without its head."""
FEATURES = (0, 1, 2, 4, 6)
"""Stages after which features go across, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""
SQUEEZE = 4
"""A block's channels over those that weigh its channels."""


class EfficientNetB0(nn.Module):
    """Features at steps of 1 to 32 pixels: the picture itself and those of five stages."""

    def __init__(self, given: int = 1) -> None:
        super().__init__()
        self.channels = [given, *(STAGES[number][3] for number in FEATURES)]
        self.stem = _convolution(given, STEM, 3, 2)
        stages, width = [], STEM
        for growth, kernel, stride, channels, count in STAGES:
            blocks = []
            for block in range(count):
                blocks.append(Block(width, channels, growth, kernel, 1 if block else stride))
                width = channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Return the picture and features of each step, the finest first."""
        every, found = [picture], self.stem(picture)
        for number, stage in enumerate(self.stages):
            found = stage(found)
            if number in FEATURES:
                every.append(found)
        return every


class Block(nn.Module):
    """An inverted residual block (Sandler et al., CVPR 2018) whose channels are weighed (Hu et al., CVPR 2018)."""

    def __init__(self, given: int, channels: int, growth: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = given * growth
        self.adds = stride == 1 and given == channels
        self.grow = _convolution(given, inner, 1, 1) if growth > 1 else nn.Identity()
        self.across = _convolution(inner, inner, kernel, stride, groups=inner)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(inner, given // SQUEEZE, 1),
            nn.SiLU(),
            nn.Conv2d(given // SQUEEZE, inner, 1),
            nn.Sigmoid(),
        )
        self.shrink = _convolution(inner, channels, 1, 1)[:2]

    def forward(self, given: Tensor) -> Tensor:
        found = self.across(self.grow(given))
        found = self.shrink(found * self.weigh(found))
        return given + found if self.adds else found  # type: ignore[no-any-return]


def _convolution(given: int, channels: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    """Return a convolution, normalised over the batch, and SiLU."""
    across = nn.Conv2d(given, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(across, nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01), nn.SiLU())
