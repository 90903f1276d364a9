"""Batches of what is drawn at random, each a pure function of its step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from mishape.engine.seeding import Stage, stream


class Varied(Protocol):
    """Items that are varied at each draw."""

    @property
    def seed(self) -> int: ...
    def __len__(self) -> int: ...
    def item(self, number: int, draw: int) -> dict[str, Any]:
        """Return an item as it is varied at one draw: name -> float32 array."""
        ...


@dataclass(frozen=True)
class Drawn:
    """Batches of items drawn at random.

    Parameters
    ----------
    data
        The items.
    batch
        How many a step has, over all processes.
    rank, count
        Which of how many processes this is: it has every so manieth item of a batch.
    """

    data: Varied
    batch: int
    rank: int = 0
    count: int = 1

    def __call__(self, step: int) -> dict[str, torch.Tensor]:
        """Return this process's part of a step's batch."""
        slots = range(self.rank, self.batch, self.count)
        numbers = stream(self.data.seed, step, Stage.SPLIT, "learn.batch").integers(len(self.data), size=self.batch)
        return stacked([self.data.item(int(numbers[slot]), step * self.batch + slot) for slot in slots])


def stacked(items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Return items as one batch of tensors."""
    return {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}
