"""Cutting a label volume into blocks changes nothing: instances, voxels and pieces are those of the whole."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

from mishape.em.blocks import Cut, Foreground, cut_for, read_piece, scan, table_path
from mishape.em.instances import Instance, merged
from mishape.em.volumes import ArrayVolume
from mishape.engine.errors import VolumeError

Triple = tuple[int, int, int]
SMALL = st.integers(1, 3)


def volume(array: NDArray[Any]) -> ArrayVolume:
    return ArrayVolume("cell", array, "xyz")


def found(array: NDArray[Any], cut: Cut, folder: Path, foreground: Foreground) -> list[Instance]:
    for number in range(len(cut)):
        scan(volume(array), cut, number, folder, foreground)
    return merged(cut, folder, foreground.joined)


def put_together(instance: Instance, cut: Cut, folder: Path) -> NDArray[np.float64]:
    """The instance's filled fractions on the coarse grid of the whole volume."""
    factor = np.array(cut.factor)
    whole = np.zeros(-(-np.array(cut.shape) // factor))
    for part in instance.parts:
        low, high = np.array(part.box.low) // factor, -(-np.array(part.box.high) // factor)
        a, b, c = (high - low).tolist()
        place = tuple(slice(i, j) for i, j in zip(low, high, strict=True))
        whole[place] += read_piece(folder, part.block, part.place, (a, b, c), cut.factor)
    return whole


def coarse(mask: NDArray[np.bool_], factor: Triple) -> NDArray[np.float64]:
    """The same straight from the mask."""
    padded = np.pad(mask, [(0, -size % f) for size, f in zip(mask.shape, factor, strict=True)])
    a, b, c = (size // f for size, f in zip(padded.shape, factor, strict=True))
    x, y, z = factor
    return np.asarray(padded.reshape(a, x, b, y, c, z).mean(axis=(1, 3, 5)))


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(st.integers(4, 24), st.integers(4, 24), st.integers(4, 24)),
    blocks=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
    factor=st.tuples(SMALL, SMALL, SMALL),
    level=st.floats(-0.3, 0.4),
    seed=st.integers(0, 10**6),
)
@pytest.mark.parametrize("joined", [True, False], ids=["mask", "labels"])
def test_blocks_of_any_size_give_the_instances_of_the_whole(
    joined: bool, shape: Triple, blocks: Triple, factor: Triple, level: float, seed: int
) -> None:
    """Against scipy's connected components of the uncut volume."""
    mask = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.0) > level
    whole, count = label(mask, np.ones((3, 3, 3)))
    array = mask if joined else whole.astype(np.uint64) * 10**12
    x, y, z = (block * f for block, f in zip(blocks, factor, strict=True))
    cut = Cut(shape, (x, y, z), factor)
    with TemporaryDirectory() as name:
        instances = found(array, cut, Path(name), Foreground(binary=joined))
        assert len(instances) == count
        # scipy numbers components by their first voxels, as we do.
        for number, instance in enumerate(instances, start=1):
            voxels = np.argwhere(whole == number)
            assert instance.label == (number if joined else number * 10**12)
            assert instance.voxels == len(voxels)
            assert (instance.box.low, instance.box.high) == (
                tuple(voxels.min(axis=0).tolist()),
                tuple((voxels.max(axis=0) + 1).tolist()),
            )
            assert instance.touches_border == bool(((voxels == 0) | (voxels == np.array(shape) - 1)).any())
            np.testing.assert_allclose(
                put_together(instance, cut, Path(name)), coarse(whole == number, factor), atol=1e-6
            )


def test_a_finished_block_is_not_read_again(tmp_path: Path) -> None:
    array = np.ones((4, 4, 4), np.uint8)
    cut = Cut((4, 4, 4), (4, 4, 4), (1, 1, 1))
    scan(volume(array), cut, 0, tmp_path, Foreground())
    before = table_path(tmp_path, 0).read_bytes()
    scan(volume(array * 0), cut, 0, tmp_path, Foreground())
    assert table_path(tmp_path, 0).read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("chunk", "factor"), [((64, 64, 64), (1, 1, 1)), ((256, 256, 1), (3, 3, 3)), ((7, 1000, 90), (2, 1, 3))]
)
def test_blocks_are_made_of_whole_chunks_and_bounded(chunk: Triple, factor: Triple) -> None:
    shape = (1000, 1000, 900)
    array = np.broadcast_to(np.uint8(0), shape)
    one = ArrayVolume("cell", array, "xyz", chunk)
    cut = cut_for(one, factor, block_voxels=1 << 20)
    assert np.prod(cut.block) <= 2 * 2**20
    assert not any(block % f for block, f in zip(cut.block, factor, strict=True))
    whole = [block % c == 0 or block >= size for block, c, size in zip(cut.block, chunk, shape, strict=True)]
    assert all(whole)
    boxes = [cut.box(number) for number in range(len(cut))]
    assert sum(int(np.prod(box.shape)) for box in boxes) == np.prod(shape)


@pytest.mark.parametrize(("pages", "factor"), [(2000, (3, 3, 3)), (300, (1, 1, 1))])
def test_pages_that_are_read_whole_are_not_cut(pages: int, factor: Triple) -> None:
    """Blocks of a stack of large slices are as many slices as make a coarse one, so that each is read once."""
    stack = ArrayVolume("cell", np.broadcast_to(np.uint8(0), (pages, 8192, 8192)), "zyx", (1, 8192, 8192))
    stack.whole_chunks = True
    cut = cut_for(stack, factor)
    assert cut.block == (-(-8192 // factor[0]) * factor[0],) * 2 + (factor[2],)
    assert len(cut) == -(-pages // factor[2])


@pytest.mark.parametrize(
    ("array", "foreground", "message"),
    [
        (
            np.full((3, 3, 3), -2, np.int16),
            Foreground(),
            r"cell: label -2 in voxels \(0, 0, 0\) to \(3, 3, 3\): labels are 0 \(background\) or above; was an "
            r"unsigned volume saved as a signed one\?",
        ),
    ],
)
def test_values_that_are_no_labels(array: NDArray[Any], foreground: Foreground, message: str, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=message):
        found(array, Cut((3, 3, 3), (3, 3, 3), (1, 1, 1)), tmp_path, foreground)
    assert not list(tmp_path.iterdir())


def test_floats_are_foreground_above_a_value_alone(tmp_path: Path) -> None:
    array = np.linspace(0, 1, 27, dtype=np.float32).reshape(3, 3, 3)
    with pytest.raises(
        VolumeError,
        match=r"cell: it holds float32: labels are whole numbers. If these are labels saved as fractions, save them as "
        "uint32; if they are probabilities, say above which value "
        r"they are foreground \(--above 0.5\)",
    ):
        Foreground().check(volume(array))
    above = Foreground(above=0.5)
    above.check(volume(array))
    (instance,) = found(array, Cut((3, 3, 3), (2, 3, 3), (1, 1, 1)), tmp_path, above)
    assert instance.voxels == 13
