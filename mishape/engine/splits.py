"""Which split a sample belongs to, and which shapes that split may use.

All of it is a pure function of the seed and the sample's number, so it depends neither on how many samples are made
nor on who makes them. The split is drawn once per group of samples that repeat a shape; shapes come from that split's
keys alone, so no shape (and no fold) ever stands in two splits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import SpecError
from mishape.engine.seeding import Stage, stream

BLOCK = 4096
"""Groups whose splits are drawn by one stream."""

Ratios = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Place:
    """A group's split, and its number among the groups of that split."""

    split: str
    number: int


def place(seed: int, group: int, ratios: Ratios) -> Place:
    """Return where a group of samples belongs."""
    block, offset = divmod(group, BLOCK)
    drawn = _block(seed, block, ratios)
    choice = int(drawn[offset])
    before = _counts_before_blocks(seed, ratios)
    while len(before) <= block:
        counts = np.bincount(_block(seed, len(before) - 1, ratios), minlength=len(ratios))
        before.append(before[-1] + counts)
    return Place(ratios[choice][0], int(before[block][choice] + (drawn[:offset] == choice).sum()))


@lru_cache(maxsize=16)
def _counts_before_blocks(seed: int, ratios: Ratios) -> list[NDArray[np.int64]]:
    """Return, block by block, how many groups of each split come before it; `place` adds blocks as it needs them."""
    return [np.zeros(len(ratios), dtype=np.int64)]


@lru_cache(maxsize=64)
def _block(seed: int, block: int, ratios: Ratios) -> NDArray[np.int16]:
    edges = np.cumsum([share for _, share in ratios])
    drawn = stream(seed, block, Stage.SPLIT, "groups").random(BLOCK) * edges[-1]
    return np.asarray(np.searchsorted(edges[:-1], drawn, side="right"), dtype=np.int16)


def deal(seed: int, keys: Mapping[str, str], ratios: Ratios, source: str) -> dict[str, list[str]]:
    """Deal a source's shapes to the splits by their split keys.

    Parameters
    ----------
    keys
        Shape id -> split key.
    ratios
        (split, share) pairs with positive shares.
    source
        What to call the source in an error.

    Returns
    -------
    Split -> shape ids, in the order in which the split walks them.

    Raises
    ------
    SpecError
        If there are fewer split keys than splits.
    """
    folds = sorted(set(keys.values()))
    if len(folds) < len(ratios):
        raise SpecError(
            f"{source} has {len(folds)} split key(s) ({', '.join(folds[:5])}) for {len(ratios)} splits "
            f"({', '.join(name for name, _ in ratios)}): shapes of one key must stay together, so use fewer splits, "
            "or a library of more volumes (mishape prepare --regions 2,2,1 makes four of one)"
        )
    order = [folds[i] for i in stream(seed, 0, Stage.SPLIT, "keys").permutation(len(folds))]
    ids: dict[str, list[str]] = {}
    for shape_id in sorted(keys):
        ids.setdefault(keys[shape_id], []).append(shape_id)
    dealt, start = {}, 0
    for (name, _), count in zip(ratios, _shares(len(folds), ratios), strict=True):
        dealt[name] = [shape_id for key in order[start : start + count] for shape_id in ids[key]]
        start += count
    return dealt


def _shares(total: int, ratios: Ratios) -> list[int]:
    """Return whole shares that sum to the total, each at least 1, nearest to the ratios (largest remainder)."""
    spare = total - len(ratios)
    whole = sum(share for _, share in ratios)
    ideal = [max(total * share / whole - 1, 0) for _, share in ratios]
    scale = spare / sum(ideal) if sum(ideal) else 0.0
    counts = [math.floor(part * scale + 1e-9) for part in ideal]
    by_remainder = sorted(range(len(ratios)), key=lambda i: counts[i] - ideal[i] * scale)
    for i in by_remainder[: spare - sum(counts)]:
        counts[i] += 1
    return [count + 1 for count in counts]
