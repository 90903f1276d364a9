"""Scores of masks, and what may be said of them: means, intervals, differences between methods on the same pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.kept import kept
from mishape.learn.overlap import betti_error, dice, intersection_over_union
from mishape.learn.pairs import Pair

DRAWS = 2000


@dataclass(frozen=True)
class Scores:
    """Of each picture: Dice and intersection over union, 1 where both masks are empty, 0 where one is; Betti error.

    Parameters
    ----------
    dice, overlap, betti
        (n,) each.
    """

    dice: NDArray[np.float64]
    overlap: NDArray[np.float64]
    betti: NDArray[np.float64]

    @classmethod
    def of(cls, masks: Sequence[NDArray[np.bool_]], pairs: Sequence[Pair]) -> Self:
        """Score masks of pictures."""
        both = [(found, pair.mask) for found, pair in zip(masks, pairs, strict=True)]
        measures = (dice, intersection_over_union, betti_error)
        return cls(*(np.array([measure(*one) for one in both], np.float64) for measure in measures))

    def plain(self) -> dict[str, list[float]]:
        """Return the scores as JSON holds them."""
        return {name: getattr(self, name).tolist() for name in ("dice", "overlap", "betti")}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Sequence[float]]) -> Self:
        """Return the scores of `plain`."""
        return cls(**{name: np.array(values, np.float64) for name, values in plain.items()})

    def row(self, rng: Generator) -> list[str]:
        """Return Dice with its deviation and interval, overlap and Betti error, as a table's cells."""
        low, high = interval(self.dice, rng)
        return [
            f"{self.dice.mean():.3f} ± {self.dice.std(ddof=1) if len(self.dice) > 1 else 0:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{self.overlap.mean():.3f}",
            f"{self.betti.mean():.2f}",
            str(len(self.dice)),
        ]


HEADS = ["Dice ± SD", "95 % of its mean", "IoU", "Betti error", "pictures"]
"""Of `Scores.row`."""


def interval(values: NDArray[np.float64], rng: Generator) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean over pictures."""
    means = rng.choice(values, (DRAWS, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975)).tolist()
    return low, high


def difference(one: Scores, other: Scores, rng: Generator) -> str:
    """Return how much larger the first Dice is, with its paired interval: on the pictures that both have."""
    count = min(len(one.dice), len(other.dice))
    apart = one.dice[:count] - other.dice[:count]
    low, high = interval(apart, rng)
    return f"{apart.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def kept_scores(file: Path, make: Callable[[], Scores]) -> Scores:
    """Return scores from a file, made and written now if it is not there."""
    return Scores.from_plain(kept(file, lambda: make().plain()))
