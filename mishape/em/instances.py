"""From blocks to instances: what belongs together, how large it is, and where its pieces are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mishape.em.blocks import Cut, table_path
from mishape.em.volumes import Box


@dataclass(frozen=True)
class Part:
    """An instance's piece in one block: the block, its place in the file of pieces, and its box in voxels."""

    block: int
    place: tuple[int, int]
    box: Box


@dataclass(frozen=True)
class Instance:
    """All of one instance.

    Parameters
    ----------
    label
        In the file; for connected components their number, by the order of their first voxels.
    voxels
        How many it has.
    box
        That holds it.
    touches_border
        Whether it reaches the volume's border, and so may go on beyond.
    parts
        Its pieces.
    """

    label: int
    voxels: int
    box: Box
    touches_border: bool
    parts: tuple[Part, ...]


def merged(cut: Cut, folder: Path, joined: bool) -> list[Instance]:
    """Return all instances of a volume whose blocks are all scanned, in the order of their labels.

    Parameters
    ----------
    joined
        Whether labels are the blocks' own, to be joined over the blocks' faces; else they are the file's.
    """
    tables = [_Table.of(folder, number) for number in range(len(cut))]
    keys = _joined_keys(cut, folder, tables) if joined else np.concatenate([table.labels for table in tables])
    if not len(keys):
        return []
    block = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    whole = _Table(*(np.concatenate(parts) for parts in zip(*(table.columns for table in tables), strict=True)))
    _, group = np.unique(keys, return_inverse=True)
    order = np.argsort(group, kind="stable")
    bounds = np.flatnonzero(np.diff(group[order], prepend=-1, append=group.max() + 1))
    rows = [order[start:stop] for start, stop in pairwise(bounds.tolist())]
    if joined:
        # By first voxels, so that numbers do not depend on the blocks.
        rows.sort(key=lambda r: tuple(min(whole.first[r].tolist())))
        return [_instance(number + 1, r, block, whole, cut) for number, r in enumerate(rows)]
    return [_instance(int(keys[r[0]]), r, block, whole, cut) for r in rows]


@dataclass(frozen=True)
class _Table:
    """A block's table: one row for each label."""

    labels: NDArray[np.integer]
    counts: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    first: NDArray[np.int64]
    pieces: NDArray[np.int64]

    @classmethod
    def of(cls, folder: Path, number: int) -> _Table:
        with np.load(table_path(folder, number), allow_pickle=False) as table:
            return cls(*(table[name] for name in ("labels", "counts", "low", "high", "first", "pieces")))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def columns(self) -> tuple[NDArray[np.integer], ...]:
        return self.labels, self.counts, self.low, self.high, self.first, self.pieces


def _instance(label: int, rows: NDArray[np.int64], block: NDArray[np.int64], table: _Table, cut: Cut) -> Instance:
    low, high = table.low[rows].min(axis=0), table.high[rows].max(axis=0)
    parts = tuple(
        Part(
            int(block[row]),
            (int(table.pieces[row, 0]), int(table.pieces[row, 1])),
            _box(table.low[row], table.high[row]),
        )
        for row in rows.tolist()
    )
    touches = bool((low == 0).any() or (high == np.array(cut.shape)).any())
    return Instance(label, int(table.counts[rows].sum()), _box(low, high), touches, parts)


def _box(low: NDArray[np.int64], high: NDArray[np.int64]) -> Box:
    (a, b, c), (d, e, f) = low.tolist(), high.tolist()
    return Box((a, b, c), (d, e, f))


def _joined_keys(cut: Cut, folder: Path, tables: list[_Table]) -> NDArray[np.int64]:
    """Return one number per row of the tables, equal for rows of one component."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    tops = [_top(folder, number) for number in range(len(tables))]
    starts = np.concatenate([[0], np.cumsum([top + 1 for top in tops])])
    pairs = [np.empty((0, 2), np.int64)]
    for block, after, axis in cut.neighbours():
        here, there = (_face(folder, number, name, axis) for number, name in ((block, "high"), (after, "low")))
        both = (here > 0) & (there > 0)
        pairs.append(np.unique(np.stack([here[both] + starts[block], there[both] + starts[after]], axis=1), axis=0))
    edges, count = np.concatenate(pairs), int(starts[-1])
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    component = connected_components(graph, directed=False)[1]
    return np.concatenate([component[table.labels + starts[i]] for i, table in enumerate(tables)])


def _face(folder: Path, number: int, name: str, axis: int) -> NDArray[np.int64]:
    with np.load(table_path(folder, number), allow_pickle=False) as table:
        return np.asarray(table[f"{name}{axis}"], np.int64)


def _top(folder: Path, number: int) -> int:
    """Return a block's highest number, those of its overlap included."""
    with np.load(table_path(folder, number), allow_pickle=False) as table:
        faces = [table[name] for name in table.files if name.startswith(("low", "high")) and name[-1].isdigit()]
        return int(max((array.max(initial=0) for array in (*faces, table["labels"])), default=0))


def chunks_are_missing(cut: Cut, folder: Path) -> bool:
    """Tell whether chunks of the file were missing in any block."""
    for number in range(len(cut)):
        with np.load(table_path(folder, number), allow_pickle=False) as table:
            if table["missing"]:
                return True
    return False
