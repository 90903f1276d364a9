"""Crops of pictures and their masks, varied at random as they are learned from."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.component import Flag, Model, Real
from mishape.engine.seeding import Stage, stream
from mishape.learn.pairs import Pair, Pairs
from mishape.learn.pictures import normalised

CACHED = 4096
"""Pictures whose normalised form is kept."""


class PictureAugmentation(Model):
    """How much crops are varied; with all at 0 and without turns they stay as they are."""

    turn: Flag = True
    """Turn crops by quarters, and mirror half of them. Default true."""
    scale: Real = Field(default=1.25, ge=1, le=4)
    """Largest change of size, as a factor or its inverse; 1 to 4, default 1.25."""
    gain: Real = Field(default=0.3, ge=0, le=2)
    """Standard deviation of the logarithm of a change of brightness; 0 to 2, default 0.3."""
    offset: Real = Field(default=0.05, ge=0, le=1)
    """Standard deviation of a shift of brightness, where a picture goes from 0 to 1; 0 to 1, default 0.05."""
    noise: Real = Field(default=0.05, ge=0, le=1)
    """Largest standard deviation of noise that is added, likewise; 0 to 1, default 0.05."""


class CropDataset:
    """Crops of pairs, varied at each draw; an item is a pure function of its number and its draw.

    Items hold ``picture`` and ``mask``, both (crop, crop) float32.

    Parameters
    ----------
    pairs
        The pictures and masks.
    crop_px
        Edge of a crop.
    augmentation
        How crops are varied.
    foreground
        Share of the crops that are centred on a pixel of the foreground, where there is one.
    seed
        Of all that is drawn.
    """

    def __init__(
        self, pairs: Pairs, crop_px: int, augmentation: PictureAugmentation, foreground: float = 0.5, seed: int = 0
    ) -> None:
        self.pairs, self.crop_px, self.augmentation = pairs, crop_px, augmentation
        self.foreground, self.seed = foreground, seed
        self._ready = lru_cache(CACHED)(self._prepared)

    def _prepared(self, number: int) -> Pair:
        pair = self.pairs[number]
        return Pair(pair.name, normalised(pair.picture), pair.mask)

    def __len__(self) -> int:
        return len(self.pairs)

    def item(self, number: int, draw: int) -> dict[str, Any]:
        """Return a crop of a picture as it is varied at one draw."""
        rng = stream(self.seed, draw, Stage.TRUTH, f"learn.{number}")
        plan, pair = self.augmentation, self._ready(number)
        rows, columns = self._places(pair, float(np.exp(rng.uniform(-1, 1) * np.log(plan.scale))), rng)
        picture = _between(pair.picture, rows, columns)
        mask = _between(pair.mask.astype(np.float32), rows, columns) > 0.5
        if plan.turn:
            quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))
            picture, mask = _turned(picture, quarters, mirrored), _turned(mask, quarters, mirrored)
        picture = picture * np.exp(plan.gain * rng.standard_normal()) + plan.offset * rng.standard_normal()
        if plan.noise:
            picture = picture + plan.noise * rng.random() * rng.standard_normal(picture.shape)
        return {"picture": np.ascontiguousarray(picture, np.float32), "mask": np.ascontiguousarray(mask, np.float32)}

    def _places(self, pair: Pair, size: float, rng: Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return rows and columns, (crop,) each, of the picture, which a crop `size` times as large shows."""
        along = np.arange(self.crop_px) / size
        most = np.maximum(np.array(pair.mask.shape) - 1 - along[-1], 0)
        start = rng.uniform(0, 1, 2) * most
        if rng.random() < self.foreground and (inside := np.argwhere(pair.mask)).size:
            start = np.clip(inside[rng.integers(len(inside))] - along[-1] / 2, 0, most)
        if size == 1:
            start = np.floor(start)
        return start[0] + along, start[1] + along


def _between(picture: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[Any]:
    """Return a picture at rows x columns, linear between its pixels; beyond its edge it is mirrored."""
    return _along(_along(picture, rows).T, columns).T


def _along(picture: NDArray[Any], rows: NDArray[np.float64]) -> NDArray[Any]:
    last = len(picture) - 1
    if not last:
        return picture[np.zeros(len(rows), np.int64)]
    mirrored = last - np.abs(np.mod(rows, 2 * last) - last)
    low = np.minimum(mirrored.astype(np.int64), last - 1)
    share = (mirrored - low).astype(np.float32)[:, None]
    return np.asarray(picture[low] * (1 - share) + picture[low + 1] * share)


def _turned(picture: NDArray[Any], quarters: int, mirrored: bool) -> NDArray[Any]:
    turned = np.rot90(picture, quarters)
    return turned[::-1] if mirrored else turned
