"""The network of `OnetImage` and `OnetStack`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from mishape.engine.occupancy import HALF_WIDTH
from mishape.learn.models.resnets import ResNet18

if TYPE_CHECKING:
    from mishape.learn.models.onet_image import OnetLight

BLOCKS = 5
BEYOND = -10.0
"""Logarithm of the odds that are told beyond the cube in which places are drawn: nothing was learned there."""


class OnetLightNetwork(nn.Module):
    """Planes -> one vector for each image -> the odds that a place of the known box is inside."""

    def __init__(self, plan: OnetLight) -> None:
        super().__init__()
        self.dimensions = plan.DIMENSIONS
        convolutions = ResNet18(plan.encoder_width, self.dimensions)
        self.encoder = nn.Sequential(convolutions, nn.Linear(convolutions.features, plan.condition))
        self.decoder = _Decoder(plan.hidden, plan.condition)
        self.inside_above = math.log(plan.threshold / (1 - plan.threshold))

    def features(self, batch: dict[str, Tensor]) -> Tensor:
        """Return a vector, (B, condition), of each of the images, as `Light.padded` gives them.

        Stacks are read in groups of as many planes: what is padded behind them would be taken for planes.
        """
        planes = batch["planes"]
        if self.dimensions == 2:
            return self.encoder(planes)  # type: ignore[no-any-return]
        counts = batch["lit"].sum(dim=1).long()
        groups = [(count, (counts == count).nonzero()[:, 0]) for count in sorted({*counts.tolist()})]
        found = torch.cat([self.encoder(planes[rows, None, :count]) for count, rows in groups])
        return found[torch.cat([rows for _, rows in groups]).argsort()]

    def odds(
        self, features: Tensor, batch: dict[str, Tensor], places_um: Tensor, answer: Tensor | None = None
    ) -> Tensor:
        """Return values, (B, n), at (B, n, 3) places of the world, um: positive where occupancy is above the threshold.

        They are logarithms of odds over those of the threshold. There is one answer alone, and nothing beyond the cube.
        """
        places = in_box(batch, places_um)
        told = self.decoder(places, features) - self.inside_above
        return torch.where(places.abs().amax(dim=-1) <= HALF_WIDTH, told, BEYOND)

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return cross entropy summed over a shape's places, in the mean of shapes."""
        told = self.decoder(in_box(batch, batch["places_um"]), self.features(batch)).float()
        inside = (batch["distance_nm"] < 0).to(told)
        each = functional.binary_cross_entropy_with_logits(told, inside, reduction="none")
        return each.sum(dim=1).mean(), {"wrong": float(each.detach().mean())}


def in_box(batch: dict[str, Tensor], places_um: Tensor) -> Tensor:
    """Return where (B, n, 3) places of the world, um, lie in known boxes, in units of the longest edge.

    A batch holds these as `KnownBox.arrays` gives them. No product of matrices: on GPUs, 16 bits would be too few.
    """
    box_um, turned = batch["box_um"][:, None], (batch["turn"][:, None] * places_um[..., None, :]).sum(dim=-1)
    return (turned - box_um[..., :3]) / box_um[..., 3:]


class _Decoder(nn.Module):
    """Places of a box and the vector of an image -> logarithms of the odds of being inside."""

    def __init__(self, hidden: int, condition: int) -> None:
        super().__init__()
        self.place = nn.Linear(3, hidden)
        self.blocks = nn.ModuleList(_Block(hidden, condition) for _ in range(BLOCKS))
        self.norm = _Conditioned(hidden, condition)
        self.out = nn.Linear(hidden, 1)

    def forward(self, places: Tensor, condition: Tensor) -> Tensor:
        found = self.place(places)
        for block in self.blocks:
            found = block(found, condition)
        return self.out(functional.relu(self.norm(found, condition)))[..., 0]  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Two layers, each after a conditioned normalisation, beside the input itself; the second begins at 0."""

    def __init__(self, hidden: int, condition: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(_Conditioned(hidden, condition) for _ in range(2))
        self.first, self.second = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        nn.init.zeros_(self.second.weight)

    def forward(self, given: Tensor, condition: Tensor) -> Tensor:
        found = self.first(functional.relu(self.norms[0](given, condition)))
        return given + self.second(functional.relu(self.norms[1](found, condition)))  # type: ignore[no-any-return]


class _Conditioned(nn.Module):
    """Normalisation over all places of a batch, stretched and shifted by the condition (de Vries et al., NIPS 2017).

    At first the stretch is 1 and the shift 0, whatever the condition.
    """

    def __init__(self, hidden: int, condition: int) -> None:
        super().__init__()
        self.normal = nn.BatchNorm1d(hidden, affine=False)
        self.stretch, self.shift = nn.Linear(condition, hidden), nn.Linear(condition, hidden)
        for layer, value in ((self.stretch, 1.0), (self.shift, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, value)

    def forward(self, found: Tensor, condition: Tensor) -> Tensor:
        normal = self.normal(found.flatten(0, 1)).view_as(found)
        return self.stretch(condition)[:, None] * normal + self.shift(condition)[:, None]  # type: ignore[no-any-return]
