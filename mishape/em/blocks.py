"""Label volumes block by block: what each block holds of each instance, found once and kept on disk.

A block's file holds, for each label in it, how many voxels it has, where, and its piece: how much of each voxel of the
coarser level the label fills. Pieces of one instance put together are all that is needed to make its shape, so a volume
is read once, whatever its size. A binary volume's blocks overlap by one voxel, and keep the labels of their faces:
components that share a voxel there are one.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.em.volumes import Box, Volume
from mishape.engine.errors import VolumeError
from mishape.engine.files import TEMPORARY, sync

BLOCK_VOXELS = 1 << 24
CONNECTIVITY = 26
"""Voxels that share a corner are joined."""
Labels = NDArray[np.integer]


@dataclass(frozen=True)
class Cut:
    """How a volume is cut into blocks.

    Parameters
    ----------
    shape
        Of the volume, voxels.
    block
        Of a block; a multiple of the factor.
    factor
        Voxels of the volume in one of the coarser level, along each axis.
    """

    shape: tuple[int, int, int]
    block: tuple[int, int, int]
    factor: tuple[int, int, int]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Number of blocks along each axis."""
        x, y, z = (-(-size // block) for size, block in zip(self.shape, self.block, strict=True))
        return x, y, z

    def __len__(self) -> int:
        return math.prod(self.counts)

    def box(self, number: int, overlap: int = 0) -> Box:
        """Return a block's voxels, and so many further ones along each axis if the volume has them."""
        place = np.unravel_index(number, self.counts)
        low = [int(i) * block for i, block in zip(place, self.block, strict=True)]
        high = [
            min(start + block + overlap, size) for start, block, size in zip(low, self.block, self.shape, strict=True)
        ]
        return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))

    def neighbours(self) -> Iterator[tuple[int, int, int]]:
        """Yield all (block, next block, axis) that share a face."""
        for place in product(*(range(count) for count in self.counts)):
            for axis in range(3):
                if place[axis] + 1 < self.counts[axis]:
                    after = tuple(i + (a == axis) for a, i in enumerate(place))
                    block, next_block = (int(np.ravel_multi_index(p, self.counts)) for p in (place, after))
                    yield block, next_block, axis


def cut_for(volume: Volume, factor: tuple[int, int, int], block_voxels: int = BLOCK_VOXELS) -> Cut:
    """Return blocks of about so many voxels, made of whole chunks of the file where those are small enough.

    Chunks that cannot be read in part are never cut, however large they are.
    """
    limits = [-(-size // f) * f for size, f in zip(volume.shape, factor, strict=True)]
    sides = [math.lcm(chunk, f) for chunk, f in zip(volume.chunk, factor, strict=True)]
    grown = [min(side, limit) for side, limit in zip(sides, limits, strict=True)]
    if math.prod(grown) > 2 * block_voxels and not volume.whole_chunks:
        grown = list(factor)
    while True:
        free = [axis for axis in range(3) if grown[axis] < limits[axis]]
        if not free or math.prod(grown) * 2 > block_voxels * 1.5:
            return Cut(volume.shape, (grown[0], grown[1], grown[2]), factor)
        axis = min(free, key=lambda axis: grown[axis])
        grown[axis] = min(2 * grown[axis], limits[axis])


@dataclass(frozen=True)
class Foreground:
    """What counts as an instance in a volume.

    Parameters
    ----------
    binary
        Whether everything that is not 0 is foreground, and instances are its connected components.
    above
        Foreground are values above this instead; it makes the volume binary, and lets it hold floats.
    """

    binary: bool = False
    above: float | None = None

    @property
    def joined(self) -> bool:
        """Whether instances are connected components."""
        return self.binary or self.above is not None

    def check(self, volume: Volume) -> None:
        """Raise a `VolumeError` if the volume's type is not one of labels."""
        if volume.dtype.kind not in "biu" and self.above is None:
            raise VolumeError(
                f"{volume.name}: it holds {volume.dtype}: labels are whole numbers. If these are labels saved as "
                "fractions, save them as uint32; if they are probabilities, say above which value they are foreground "
                "(--above 0.5)"
            )

    def labels(self, array: NDArray[Any], volume: Volume, box: Box) -> tuple[Labels, NDArray[Any]]:
        """Return a block's own numbers of its instances, from 1, and the labels in the file that they stand for."""
        import cc3d
        import fastremap

        if self.joined:
            mask = array > self.above if self.above is not None else array != 0
            joined, count = cc3d.connected_components(mask, connectivity=CONNECTIVITY, return_N=True)
            return joined, np.arange(count + 1)
        if array.dtype.kind == "i" and array.size and array.min() < 0:
            raise VolumeError(
                f"{volume.name}: label {array.min()} in voxels {box.low} to {box.high}: labels are 0 (background) or "
                "above; was an unsigned volume saved as a signed one?"
            )
        if array.dtype == np.bool_:
            return array.astype(np.uint8), np.arange(2)
        numbers, meaning = fastremap.renumber(array, preserve_zero=True)
        labels = np.zeros(int(max(meaning.values())) + 1, np.uint64)
        labels[list(meaning.values())] = list(meaning.keys())
        return numbers, labels


def scan(volume: Volume, cut: Cut, number: int, folder: Path, foreground: Foreground) -> None:
    """Read a block and write what it holds, unless that is there.

    Raises
    ------
    VolumeError
        If it holds labels that are negative or no whole numbers, or cannot be read.
    """
    if table_path(folder, number).is_file():
        return
    box, core = cut.box(number, overlap=int(foreground.joined)), cut.box(number)
    array = volume.read(box)
    numbers, labels = foreground.labels(array, volume, box)
    inner = numbers[tuple(slice(0, size) for size in core.shape)]
    there, counts, low, high = _boxes(inner)
    # Those of the overlap alone are kept too: a component may pass through it.
    table: dict[str, NDArray[Any]] = {
        "labels": labels[there],
        "counts": counts,
        "low": low + core.low,
        "high": high + core.low,
    }
    table["first"] = np.array([_first(inner, *one) for one in zip(there, low, high, strict=True)], np.int64)
    table["first"] = table["first"].reshape(-1, 3) + core.low
    blobs = [_piece(inner, *one, cut.factor) for one in zip(there, low, high, strict=True)]
    lengths = np.array([len(blob) for blob in blobs], np.int64)
    table["pieces"] = np.stack([np.cumsum(lengths) - lengths, lengths], axis=1)
    table["missing"] = np.array(box in getattr(volume, "missing", ()))
    if foreground.joined:
        table |= _faces(numbers, core.shape)
    write_file(pieces_path(folder, number), b"".join(blobs))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **table)
    write_file(table_path(folder, number), buffer.getvalue())


def table_path(folder: Path, number: int) -> Path:
    """Where a block's table is; it is there when the block is finished."""
    return folder / f"{number:07d}.npz"


def pieces_path(folder: Path, number: int) -> Path:
    """Where a block's pieces are."""
    return folder / f"{number:07d}.pieces"


def _boxes(numbers: Labels) -> tuple[NDArray[np.int64], ...]:
    """Return the numbers that occur, their voxels, and the boxes that hold them."""
    import cc3d

    found = cc3d.statistics(numbers, no_slice_conversion=True)
    counts, boxes = (np.asarray(found[key]).astype(np.int64) for key in ("voxel_counts", "bounding_boxes"))
    there = np.flatnonzero(counts)
    there = there[there > 0]
    # Cells are (first, last) along each axis in turn.
    return there, counts[there], boxes[there, 0::2], boxes[there, 1::2] + 1


def _first(numbers: Labels, number: int, low: NDArray[np.int64], high: NDArray[np.int64]) -> list[int]:
    plane = numbers[low[0], low[1] : high[1], low[2] : high[2]] == number
    y, z = np.unravel_index(int(plane.argmax()), plane.shape)
    return [int(low[0]), int(low[1] + y), int(low[2] + z)]


def _piece(
    numbers: Labels, number: int, low: NDArray[np.int64], high: NDArray[np.int64], factor: tuple[int, int, int]
) -> bytes:
    """Return how many voxels of each coarse voxel an instance fills, packed."""
    start = low // factor * factor
    stop = -(-high // factor) * factor
    mask = numbers[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] == number
    if math.prod(factor) == 1:
        return zlib.compress(np.packbits(mask).tobytes(), 1)
    short = (stop - start) - mask.shape
    if short.any():
        mask = np.pad(mask, [(0, int(n)) for n in short])
    (a, b, c), (x, y, z) = (stop - start) // factor, factor
    filled = mask.reshape(a, x, b, y, c, z).sum(axis=(1, 3, 5), dtype=np.uint32)
    return zlib.compress(filled.astype(_piece_type(factor)).tobytes(), 1)


def _piece_type(factor: tuple[int, int, int]) -> np.dtype[Any]:
    return np.min_scalar_type(math.prod(factor))


def read_piece(
    folder: Path, number: int, place: tuple[int, int], shape: tuple[int, int, int], factor: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Return one piece: the filled fraction of each coarse voxel."""
    with pieces_path(folder, number).open("rb") as file:
        file.seek(place[0])
        data = np.frombuffer(zlib.decompress(file.read(place[1])), np.uint8)
    if math.prod(factor) == 1:
        return np.unpackbits(data, count=math.prod(shape)).reshape(shape).astype(np.float32)
    filled = data.view(_piece_type(factor)).reshape(shape)
    return (filled / np.float32(math.prod(factor))).astype(np.float32)


def _faces(numbers: Labels, core: tuple[int, int, int]) -> dict[str, Labels]:
    """Return the labels of the first planes, and of those that overlap the next blocks' first."""
    found = {}
    for axis in range(3):
        found[f"low{axis}"] = np.take(numbers, 0, axis=axis)
        if numbers.shape[axis] > core[axis]:
            found[f"high{axis}"] = np.take(numbers, core[axis], axis=axis)
    return found


def write_file(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all."""
    temporary = path.with_name(f"{path.name}{TEMPORARY}")
    temporary.write_bytes(data)
    sync(temporary)
    temporary.rename(path)
