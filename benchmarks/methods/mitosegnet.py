"""MitoSegNet: a U-Net that learns from labelled images.

C. A. Fischer et al., iScience 23 (2020) 101601, doi 10.1016/j.isci.2020.101601. What it changes in the U-Net: borders
are padded, the contracting path has batch normalisation before each of its activations, nothing is dropped out, what
is enlarged passes a convolution of 2 x 2, and the end is one sigmoid. Weights begin as normal variates by the number
of inputs; background counts less in the loss, by the foreground's number of pixels over its own.

Ours differs: it is trained anew, where the comparison took the published weights; it is narrower (16 to 256 channels,
published 64 to 1024), learns by 1e-3 (published 1e-4) and for fewer steps, for time's sake; two activated maps before
the last are left out, as behind them only a bias tells background, which takes long to learn; crops are mirrored and
turned by quarters, with no shear, zoom or change of brightness; borders between near objects do not count more; images
are stretched to 0 to 1, and masks come from whole images, not tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.methods.method import Image, Learner, Mask, Sees, Segmenter, labelled
from mishape.learn.networks import new, one_thread

LEVELS = 5
MULTIPLE_PX = 1 << (LEVELS - 1)
"""Edges of what the network is given are multiples of it: they are halved from level to level."""


@dataclass(frozen=True)
class MitoSegNet(Learner):
    """A network that is trained on crops.

    Parameters
    ----------
    steps, batch, crop_px
        Steps of so many crops each; the edge of a crop is a multiple of 16 pixels.
    channels
        At the first of five levels, twice as many at each next one; time goes by their square.
    learning_rate
        Of Adam.
    """

    steps: int = 1000
    batch: int = 4
    crop_px: int = 128
    channels: int = 16
    learning_rate: float = 1e-3
    sees: ClassVar[Sees] = "training set"

    def __post_init__(self) -> None:
        if self.crop_px < MULTIPLE_PX or self.crop_px % MULTIPLE_PX:
            raise ValueError(f"crop_px is {self.crop_px}: give a multiple of {MULTIPLE_PX}")

    def trained(
        self, images: Sequence[NDArray[Any]], masks: Sequence[NDArray[Any]], pixel_nm: float, seed: int
    ) -> Segmenter:
        """Return the network after all steps; its weights and the crops are drawn by the seed."""
        pairs, rng = labelled(images, masks), np.random.default_rng(seed)
        background = sum(mask.sum() for _, mask in pairs) / sum((~mask).sum() for _, mask in pairs)
        network = new(seed, lambda: Network(self.channels))
        optimizer = torch.optim.Adam(network.parameters(), self.learning_rate)
        with one_thread():
            for _ in range(self.steps):
                drawn = [pairs[i] for i in rng.integers(len(pairs), size=self.batch)]
                crops = np.stack([_crop(unit, mask, self.crop_px, rng) for unit, mask in drawn])
                image, truth = torch.from_numpy(crops)[:, :, None].unbind(1)
                weight = torch.where(truth > 0, 1.0, float(background))
                loss: Any = functional.binary_cross_entropy_with_logits(network(image), truth, weight)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return TrainedMitoSegNet(network.eval())


@dataclass(frozen=True)
class TrainedMitoSegNet(Segmenter):
    """Pixels that a network takes for foreground by more than one half."""

    network: Any
    sees: ClassVar[Sees] = "training set"

    def _mask(self, unit: Image, pixel_nm: float) -> Mask:
        height, width = unit.shape
        wide = np.pad(unit, [(0, -edge % MULTIPLE_PX) for edge in unit.shape], mode="symmetric")
        with torch.no_grad(), one_thread():
            told = self.network(torch.from_numpy(wide)[None, None])[0, 0, :height, :width]
        return np.asarray((told > 0).numpy())


class Network(nn.Module):
    """The network: (B, 1, H, W) images to (B, 1, H, W) logits."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = [channels << level for level in range(LEVELS)]
        self.down = nn.ModuleList(_normalised(into, out) for into, out in pairwise([1, *widths]))
        upwards = [*pairwise(reversed(widths))]
        self.enlarge = nn.ModuleList(_activated(into, out, 2) for into, out in upwards)
        self.joined = nn.ModuleList(
            nn.Sequential(_activated(into, out, 3), _activated(out, out, 3)) for into, out in upwards
        )
        self.last = nn.Conv2d(channels, 1, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits; H and W are multiples of 16."""
        found = [self.down[0](image)]
        for level in self.down[1:]:
            found.append(level(functional.max_pool2d(found[-1], 2)))
        coarse = found.pop()
        for enlarge, joined in zip(self.enlarge, self.joined, strict=True):
            enlarged = enlarge(functional.interpolate(coarse, scale_factor=2.0))
            coarse = joined(torch.cat([found.pop(), enlarged], dim=1))
        told: Tensor = self.last(coarse)
        return told


def _normalised(into: int, out: int) -> nn.Module:
    """Return two convolutions, each normalised before it is activated."""
    pairs = [(nn.Conv2d(a, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()) for a in (into, out)]
    return nn.Sequential(*(layer for pair in pairs for layer in pair))


def _activated(into: int, out: int, edge: int) -> nn.Module:
    """Return an activated convolution that keeps the size, by a row and a column of 0 less at the start if even."""
    before, after = (edge - 1) // 2, edge // 2
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), nn.Conv2d(into, out, edge), nn.ReLU())


def _crop(unit: Image, mask: Mask, edge: int, rng: Generator) -> Image:
    """Return a random crop, (2, edge, edge), of an image and its mask, turned and mirrored.

    Where the image is smaller, it is mirrored at its edges first.
    """
    both = np.stack([unit, mask.astype(np.float32)])
    both = np.pad(both, [(0, 0), *((0, max(0, edge - size)) for size in unit.shape)], mode="symmetric")
    y, x = (rng.integers(size - edge + 1) for size in both.shape[1:])
    turned = np.rot90(both[:, y : y + edge, x : x + edge], int(rng.integers(4)), axes=(1, 2))
    return turned[..., :: rng.choice([-1, 1])]
