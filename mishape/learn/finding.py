"""Shapes in images: a trained network asked all over the field, and the surface of what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mishape.engine.errors import ShapeError
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.engine.types import Points
from mishape.learn.batches import stacked
from mishape.learn.extract import field_of
from mishape.learn.light import LightError, light_of
from mishape.learn.light_plan import LightModel
from mishape.learn.networks import AT_ONCE, on_device
from mishape.learn.stored import component, filled, fitting
from mishape.learn.tensors import read_tensors

Odds = Callable[[Points], NDArray[np.float32]]
"""(n, 3) places of the world, nm -> logarithms of the odds that they are inside."""
COARSE_NM = 60.0
"""Step at which a field is asked first."""
DEPTH_NM = 1500.0
"""How far beyond the planes in focus solids are looked for."""
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

    def odds_at(self, counts: NDArray[Any], view: View, answer: Tensor | None = None) -> Odds:
        """Return what tells the odds at places of the world, for a (P, H, W) image.

        Raises
        ------
        LightError
            If the image does not fit the view or the model, or shows nothing.
        """
        planes = counts.shape[0]
        if not self.model.LEAST <= planes <= self.model.MOST:
            raise LightError(
                f"an image of {planes} plane(s) given: {self.model.kind} takes {self.model.LEAST} to {self.model.MOST}"
            )
        batch = on_device(stacked([light_of(counts, view).padded(planes)]), self.device)
        training = self.network.training
        self.network.eval()
        with torch.no_grad():
            features = self.network.features(batch)
        self.network.train(training)
        return partial(self._odds, features, batch, answer)

    @torch.no_grad()
    def _odds(
        self, features: Tensor, batch: dict[str, Tensor], answer: Tensor | None, world_nm: Points
    ) -> NDArray[np.float32]:
        asked = torch.from_numpy((world_nm / 1000).astype(np.float32))[None].to(self.device)
        parts = (asked[:, start : start + AT_ONCE] for start in range(0, len(world_nm), AT_ONCE))
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
    return replace(field, origin_nm=field.origin_nm + centre)


def _box_of(odds: Odds, view: View) -> tuple[Points, Points]:
    """Return the corners of the box of what is inside, with room around it."""
    from scipy.ndimage import find_objects, label

    half_x, half_y = view.grid.half_field_nm()
    focus = view.focus_in_sample_nm()
    spans = ((-half_x, half_x), (-half_y, half_y), (float(focus.min()) - DEPTH_NM, float(focus.max()) + DEPTH_NM))
    axes = [np.linspace(*span, round((span[1] - span[0]) / COARSE_NM) + 1) for span in spans]
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
        network = filled(model.network(), tensors).to(memory_format=torch.channels_last)
        return Finder(network, model), about
