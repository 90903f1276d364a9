"""Shapes in images: a trained network asked all over the field, and the surface of what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mishape.engine.errors import ShapeError
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.engine.types import Points
from mishape.learn.batches import stacked
from mishape.learn.extract import field_of
from mishape.learn.known_box import KnownBox
from mishape.learn.light import LightError, light_of
from mishape.learn.light_plan import LightModel
from mishape.learn.lit_shapes import field_of_view
from mishape.learn.networks import AT_ONCE, on_device, telling
from mishape.learn.stored import component, filled, fitting
from mishape.learn.tensors import read_tensors

Odds = Callable[[Points], NDArray[np.float32]]
"""(n, 3) places of the world, nm -> logarithms of the odds that they are inside."""
COARSE_NM = 60.0
"""Step at which a field is asked first."""
ROOM = 2
"""Coarse steps around what they find inside."""


@dataclass(frozen=True)
class Finder:
    """A network that finds shapes.

    Parameters
    ----------
    network
        The network.
    model
        Its parameters.
    device
        Where it is.
    """

    network: Any
    model: LightModel
    device: str = "cpu"

    def odds_at(
        self,
        counts: NDArray[Any],
        view: View,
        answer: Tensor | None = None,
        box: KnownBox | None = None,
        centre_z_nm: float | None = None,
    ) -> Odds:
        """Return what tells the odds at places of the world, for a (P, H, W) image.

        Parameters
        ----------
        answer
            (1, answers) numbers that choose one of the solids that an image leaves open; the middle one if not given.
        box
            What `known_box` gives in the model's frame; models that find places and sizes themselves need none.
        centre_z_nm
            World z of the shape's centre, where it is known.

        Raises
        ------
        LightError
            If the image does not fit the view or the model, or shows nothing, or the model needs a box.
        """
        batch, features = self.features_of(counts, view, box, centre_z_nm)
        return partial(self.odds_of, features, batch, answer)

    def features_of(
        self, counts: NDArray[Any], view: View, box: KnownBox | None = None, centre_z_nm: float | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return an image as the network is given it, and the features that it finds; for the rest see `odds_at`."""
        planes = counts.shape[0]
        if not self.model.LEAST <= planes <= self.model.MOST:
            raise LightError(
                f"an image of {planes} plane(s) given: {self.model.kind} takes {self.model.LEAST} to {self.model.MOST}"
            )
        item = {**light_of(counts, view, centre_z_nm).padded(planes), **self._told(box)}
        batch = on_device(stacked([item]), self.device)
        with torch.no_grad(), telling(self.network):
            return batch, self.network.features(batch)

    def _told(self, box: KnownBox | None) -> dict[str, NDArray[np.float32]]:
        """Return what the model is told of the truth."""
        if self.model.frame == "world":
            return {}
        if box is None:
            raise LightError(
                f"{self.model.kind} tells a shape in its box, whose true centre and edge it is told: give the box "
                f"(known_box, {self.model.frame!r}), or take grid_image or grid_stack, which need none"
            )
        return box.arrays()

    @torch.no_grad()
    def odds_of(
        self, features: Tensor, batch: dict[str, Tensor], answer: Tensor | None, world_nm: Points
    ) -> NDArray[np.float32]:
        """Return the odds at (n, 3) places of the world, nm, that features of an image's pixels tell."""
        asked = torch.from_numpy((world_nm / 1000).astype(np.float32))[None].to(self.device)
        parts = (asked[:, start : start + AT_ONCE] for start in range(0, max(len(world_nm), 1), AT_ONCE))
        with telling(self.network):
            found = [self.network.odds(features, batch, part, answer)[0].float() for part in parts]
        return np.asarray(torch.cat(found).cpu().numpy())


def solid_in(odds: Odds, view: View, corners: int = 65) -> SampledField:
    """Return the largest solid in a field, as distances on a lattice of the world, nm.

    Parameters
    ----------
    corners
        Of the lattice along its box's longest edge.

    Raises
    ------
    ShapeError
        If there is none.
    """
    low, high = _box_of(odds, view)
    centre, half = (low + high) / 2, (high - low) / 2
    field = field_of(lambda places: -odds(places * half + centre), half / half.max(), 2 * float(half.max()), corners)
    return field.shifted(centre)


def _box_of(odds: Odds, view: View) -> tuple[Points, Points]:
    """Return the corners of the box of what is inside, with room around it."""
    from scipy.ndimage import find_objects, label

    spans = zip(*field_of_view(view), strict=True)
    axes = [np.linspace(start, end, round((end - start) / COARSE_NM) + 1) for start, end in spans]
    counts = tuple(map(len, axes))
    inside = odds(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)).reshape(counts) > 0
    parts, count = label(inside)
    if not count:
        raise ShapeError("the network finds nothing inside: the image may show no shape, or none that it knows")
    largest = find_objects(parts)[int(np.argmax(np.bincount(parts.ravel())[1:]))]
    ends = [
        (max(part.start - ROOM, 0), min(part.stop - 1 + ROOM, len(axis) - 1))
        for part, axis in zip(largest, axes, strict=True)
    ]
    low, high = (np.array([axis[pair[end]] for pair, axis in zip(ends, axes, strict=True)]) for end in (0, 1))
    return low, high


def channels_last(network: nn.Module) -> nn.Module:
    """Return a network whose convolutions of images lie in memory as processors compute them quickest."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)
    return network


@lru_cache(maxsize=4)
def load_finder(path: Path, changed_ns: int) -> tuple[Finder, dict[str, Any]]:
    """Return the network of a file of weights, as it was at a time, and what they say of themselves.

    Raises
    ------
    WeightsError
        If they are damaged, of something else, or of a model that is not installed.
    """
    tensors, about = read_tensors(path)
    with fitting(path, "a model that finds shapes in images"):
        model = component(about["model"])
        if about["kind"] != "light":
            raise ValueError(f"they are of kind {about['kind']!r}")
        network = channels_last(filled(model.network(), tensors)).requires_grad_(False)
        return Finder(network, model), about
