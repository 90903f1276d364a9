"""Pictures of any size through a network: in tiles that overlap, so that none is read near its own edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mishape.learn.networks import telling
from mishape.learn.pictures import fitted_shape, normalised, resized
from mishape.learn.stored import component, filled, fitting
from mishape.learn.tensors import read_tensors

TILE, RIM = 512, 32
"""Edge of a tile, and how much of it at each side is read for what is beside it alone; pixels."""


@dataclass(frozen=True)
class Network:
    """A network that segments.

    Parameters
    ----------
    network
        (B, H, W) normalised pictures -> logarithms of odds.
    step_px
        Edges of what it is given are multiples of it.
    pixel_nm
        Least and largest size of the pixels that it learned from.
    device
        Where it is.
    """

    network: Any
    step_px: int
    pixel_nm: Sequence[float]
    device: str = "cpu"

    @torch.no_grad()
    def chances(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of foreground, (H, W) float32, of each pixel of a (H, W) picture."""
        bright = normalised(picture)
        found = np.zeros_like(bright)
        if bright.any():  # one that is the same all over shows nothing
            with telling(self.network):
                for inner, around in _tiles(bright.shape):
                    found[inner] = self._tile(bright, inner, around)
        return found

    def chances_of(self, picture: NDArray[np.float32], pixel_nm: float) -> NDArray[np.float32]:
        """Return `chances` of a picture of any pixels: those that it knows none of are made as large as it knows."""
        low, high = self.pixel_nm
        factor = pixel_nm / min(max(pixel_nm, low), high)
        return resized(self.chances(resized(picture, fitted_shape(picture.shape, factor))), picture.shape)

    def _tile(self, bright: NDArray[np.float32], inner: Window, around: Window) -> NDArray[np.float32]:
        given = bright[around]
        more = [(0, -edge % self.step_px) for edge in given.shape]
        padded = np.pad(given, more, mode="symmetric")
        told = torch.sigmoid(self.network(torch.from_numpy(padded)[None].to(self.device)).float())[0].cpu().numpy()
        rows, columns = (
            slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(inner, around, strict=True)
        )
        return np.asarray(told[rows, columns])


@lru_cache(maxsize=4)
def load_network(path: Path, changed_ns: int) -> Network:
    """Return the network of a file of weights, as it was at a time.

    Raises
    ------
    WeightsError
        If they are damaged, of something else, or of a model that is not installed.
    """
    tensors, about = read_tensors(path)
    with fitting(path, "a model that segments"):
        model = component(about["model"])
        network = filled(model.network(), tensors).to(memory_format=torch.channels_last)
        low, high = map(float, about["pixel_nm"])
        return Network(network, model.step_px, (low, high))


Window = tuple[slice, slice]


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[Window, Window]]:
    """Yield windows that fill a picture, each with the wider one that is read for it."""
    for rows, more_rows in _spans(shape[0]):
        for columns, more_columns in _spans(shape[1]):
            yield (rows, columns), (more_rows, more_columns)


def _spans(edge: int) -> Iterator[tuple[slice, slice]]:
    count = max(1, -(-edge // (TILE - 2 * RIM)))
    ends = np.linspace(0, edge, count + 1).astype(int).tolist()
    for start, end in pairwise(ends):
        yield slice(start, end), slice(max(0, start - RIM), min(edge, end + RIM))
