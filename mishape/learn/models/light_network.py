"""The network of `GridImage` and `GridStack`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from mishape.learn.light import HEIGHT, MISMATCH, OPTICS
from mishape.learn.models.unet_network import twice

if TYPE_CHECKING:
    from mishape.learn.models.grid_stack import GridLight

CONTEXT = 64
"""Numbers that the optics become."""
WAVES = 6
"""Sines, and as many cosines, by which a z is told; the longest wave is 4 um."""
IN_FOCUS = 0.2
"""Shapes known to lie this near to the focus, in units of the optics' height, may as well lie on its other side."""
EDGE_NM = 15.0
"""Distance over which the odds of being inside change by e: hard labels would make a step of it."""


class LightNetwork(nn.Module):
    """Planes, and how they were made -> features of each pixel -> the odds that a place of the world is inside.

    Heights are counted from the middle of the planes, so that the world's origin may lie anywhere. Planes are summed
    with weights that are 1, z, sines and cosines of where each is in focus: so there may be any number of them.
    """

    def __init__(self, plan: GridLight) -> None:
        super().__init__()
        widths, self.answers = plan.widths, plan.answers
        sums, told = 2 * WAVES + 2, OPTICS + 2 * WAVES + 1
        self.context = nn.Sequential(nn.Linear(told, CONTEXT), nn.SiLU(), nn.Linear(CONTEXT, CONTEXT), nn.SiLU())
        self.down = nn.ModuleList(_Told(*pair) for pair in zip((sums, *widths), widths, strict=False))
        finer = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.up = nn.ModuleList(_Told(below + width, width) for below, width in finer)
        self.head = nn.Conv2d(widths[0], plan.features, 1)
        known = plan.features + 2 * WAVES + 1
        self.read = _read(known + plan.answers, plan.hidden, 1, layers=4)
        if plan.answers:
            self.answer = _read(known + 1, plan.hidden, plan.hidden, layers=2)
            self.ways = nn.Linear(plan.hidden, 2 * plan.answers)
        self.divergence_weight = plan.divergence_weight

    def features(self, batch: dict[str, Tensor]) -> Tensor:
        """Return features, (B, F, H, W), of pixels of images as `Light.padded` gives them."""
        planes, lit = batch["planes"], batch["lit"]
        told = waves(batch["focus_um"] - middle_um(batch)[:, None])
        weights = torch.cat([torch.ones_like(lit)[..., None], told], dim=-1)
        weights = weights * (lit / lit.sum(dim=1, keepdim=True))[..., None]
        context = self.context(torch.cat([batch["optics"], weights[..., 1:].sum(dim=1)], dim=-1))
        found = torch.einsum("bpk,bphw->bkhw", weights, planes)
        every: list[Tensor] = []
        for layer in self.down:
            given = functional.max_pool2d(found, 2) if every else found.contiguous(memory_format=torch.channels_last)
            found = layer(given, context)
            every.append(found)
        for layer, beside in zip(self.up, every[-2::-1], strict=True):
            wider = functional.interpolate(found, size=beside.shape[2:], mode="bilinear")
            found = layer(torch.cat([wider, beside], dim=1), context)
        return self.head(found)  # type: ignore[no-any-return]

    def odds(
        self, features: Tensor, batch: dict[str, Tensor], places_um: Tensor, answer: Tensor | None = None
    ) -> Tensor:
        """Return logarithms of the odds, (B, n), of being inside at (B, n, 3) places of the world, um.

        Parameters
        ----------
        features
            Of the batch's images.
        answer
            (B, answers) numbers that choose one of the solids that an image leaves open; the middle one if not given.
        """
        known = self._known(features, batch, places_um)
        if self.answers:
            chosen = known.new_zeros(len(known), self.answers) if answer is None else answer
            known = torch.cat([known, chosen[:, None].expand(-1, known.shape[1], -1).to(known)], dim=-1)
        return self.read(known)[..., 0]  # type: ignore[no-any-return]

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Return cross entropy in the mean of places, and the weighted divergence of the answers.

        Where an image does not tell a solid from its mirror image, the one counts that the network's own answer is
        nearer to: so it tells one of the two, not what is between them.
        """
        features = self.features(batch)
        batch = {**batch, "places_um": self._settled(features, batch)}
        told = -batch["distance_nm"] / EDGE_NM
        answer, divergence = None, batch["distance_nm"].new_zeros(())
        if self.answers:
            answer, divergence = self._answered(features, batch, generator)
        odds = self.odds(features, batch, batch["places_um"], answer).float()
        wrong = functional.binary_cross_entropy_with_logits(odds, torch.sigmoid(told))
        numbers = {"wrong": float(wrong.detach()), "divergence": float(divergence.detach())}
        return wrong + self.divergence_weight * divergence, numbers

    @torch.no_grad()
    def _settled(self, features: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the places, or those on the other side of the focus, whichever an image's middle answer fits more."""
        places, free, told = batch["places_um"], is_mirrored(batch), torch.sigmoid(-batch["distance_nm"] / EDGE_NM)
        if not free.any():
            return places
        both = torch.stack([places, beyond_focus(batch, places)])
        wrong = torch.stack(
            [
                functional.binary_cross_entropy_with_logits(
                    self.odds(features, batch, one).float(), told, reduction="none"
                ).mean(dim=1)
                for one in both
            ]
        )
        return torch.where((free & (wrong[1] < wrong[0]))[:, None, None], both[1], both[0])

    def _known(self, features: Tensor, batch: dict[str, Tensor], places_um: Tensor) -> Tensor:
        """Return what is known of places: features of the pixels about them, and their z."""
        across = (places_um[..., :2] / batch["half_um"][:, None])[:, None]
        found = functional.grid_sample(features.float(), across.float(), align_corners=False, padding_mode="border")[
            :, :, 0
        ].transpose(1, 2)
        return torch.cat([found, waves(places_um[..., 2] - middle_um(batch)[:, None])], dim=-1)

    def _answered(
        self, features: Tensor, batch: dict[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw the numbers that stand for the solid itself; return them and their divergence in nats."""
        inside = torch.tanh(batch["distance_nm"] / (4 * EDGE_NM))[..., None]
        known = self._known(features, batch, batch["places_um"])
        told = functional.silu(self.answer(torch.cat([known, inside.to(known)], dim=-1)))
        mean, log_variance = self.ways(told.mean(dim=1)).float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-8, 4)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        return mean + noise * (log_variance / 2).exp(), divergence


class _Told(nn.Module):
    """Two convolutions whose features are stretched and shifted by what the context says (Perez et al., AAAI 2018)."""

    def __init__(self, given: int, width: int) -> None:
        super().__init__()
        self.convolutions = twice(given, width)
        self.told = nn.Linear(CONTEXT, 2 * width)
        nn.init.zeros_(self.told.weight)
        nn.init.zeros_(self.told.bias)

    def forward(self, found: Tensor, context: Tensor) -> Tensor:
        stretch, shift = self.told(context)[..., None, None].chunk(2, dim=1)
        return self.convolutions(found) * (1 + stretch) + shift  # type: ignore[no-any-return]


def middle_um(batch: dict[str, Tensor]) -> Tensor:
    """Return the mean of the z that are in focus, (B,) um."""
    return (batch["focus_um"] * batch["lit"]).sum(dim=1) / batch["lit"].sum(dim=1)


def is_mirrored(batch: dict[str, Tensor]) -> Tensor:
    """Tell of which images, (B,), a solid's mirror image in the focal plane would be the same.

    Those of one plane, in media of one index, whose solid is not known to lie above or below the focus.
    """
    optics, single = batch["optics"], batch["lit"].sum(dim=1) == 1
    return single & (optics[:, MISMATCH] == 0) & (optics[:, HEIGHT].abs() < IN_FOCUS)


def beyond_focus(batch: dict[str, Tensor], places_um: Tensor) -> Tensor:
    """Return where (B, n, 3) places of the world come to lie if it is mirrored in the middle of the planes, um."""
    return torch.cat([places_um[..., :2], 2 * middle_um(batch)[:, None, None] - places_um[..., 2:]], dim=-1)


def waves(z_um: Tensor) -> Tensor:
    """Return z, and sines and cosines of it, (..., 2 WAVES + 1)."""
    angles = z_um[..., None] * (torch.arange(1, WAVES + 1, device=z_um.device) * math.pi / 2)
    return torch.cat([z_um[..., None], angles.sin(), angles.cos()], dim=-1)


def _read(given: int, hidden: int, out: int, layers: int) -> nn.Sequential:
    """Return a perceptron."""
    widths = [given, *[hidden] * (layers - 1), out]
    parts: list[nn.Module] = []
    for number, (one, other) in enumerate(pairwise(widths)):
        parts += [nn.SiLU()] * (number > 0) + [nn.Linear(one, other)]
    return nn.Sequential(*parts)
