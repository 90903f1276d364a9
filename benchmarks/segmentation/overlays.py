"""What methods find in the same pictures, as one page to look at: no number is claimed.

python -m benchmarks.segmentation.overlays DATA RUNS [-o PAGE.html]

DATA: the folder of third-party data with physeg_real and physeg_sim. RUNS: that of the tables, whose networks are used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mishape
from benchmarks.methods import METHODS, Oracle, segmented
from benchmarks.segmentation.compared import SHOWN
from benchmarks.segmentation.models import default, masks
from benchmarks.segmentation.sets import MIXTURE, ORIGINS, PIXEL_NM, THEIRS, simulated
from mishape.engine.files import write_whole
from mishape.learn.pairs import DatasetPairs, Pair
from mishape.learn.picture_files import read_picture
from mishape.learn.segmenting import load_network
from mishape.plugins.reports.drawing import data_uri
from mishape.plugins.reports.overlay import overlay
from mishape.plugins.reports.page import figure, heading, page, paragraph

Pairs = Sequence[Pair]
Masks = dict[str, list[NDArray[np.bool_]]]
"""Of each method, those of all pictures."""
CROP = 384
FOLDERS = ("h9c2_epi", "mcc13", "airyscan")
EACH = 2
"""Frames of each folder, and simulated pictures."""


def found(runs: Path, pairs: Pairs) -> Masks:
    """Return what is found by all methods that need no truth, by the networks of the tables and the default one.

    What learns has learned from the noise and masks of Sekh et al.: real frames are as bright.
    """
    learned = DatasetPairs(mishape.open_dataset(runs / f"sets/train-em-em-{THEIRS}"))
    shown = [(pair.picture, pair.mask) for pair in (learned[number] for number in range(min(SHOWN, len(learned))))]
    tested = [(pair.picture, pair.mask) for pair in pairs]
    masks_of: Masks = {
        name: segmented(method, tested, shown, PIXEL_NM, 1)
        for name, method in METHODS.items()
        if not isinstance(method, Oracle)
    }
    for origin in (*ORIGINS, MIXTURE):
        network = load_network(runs / "networks" / f"{origin}-{THEIRS}/weights.safetensors", 0)
        masks_of[f"unet, {origin}"] = masks(network, pairs, PIXEL_NM)
    return masks_of | {"unet, default": default(pairs, PIXEL_NM)}


def frames(data: Path) -> Iterator[Pair]:
    """Yield the middles of the first frames of each folder, without masks."""
    for folder in FOLDERS:
        for file in sorted((data / "physeg_real" / folder).glob("*.png"))[:EACH]:
            picture, _ = read_picture(file)
            rows, columns = ((edge - min(edge, CROP)) // 2 for edge in picture.shape)
            middle = picture[rows : rows + CROP, columns : columns + CROP]
            yield Pair(f"{folder}/{file.stem}", middle, np.zeros(middle.shape, np.bool_))


def parts(data: Path, runs: Path) -> Iterator[str]:
    """Yield the page's parts."""
    text = (
        "Outlines of what is found, in the middle of each frame; pixels of 80 nm are assumed. The truth is not known."
    )
    yield paragraph(text)
    real = [*frames(data)]
    yield from _rows(real, found(runs, real), masked=False)
    yield paragraph("Simulated by Sekh et al.: green is missed, red is false.")
    pairs = simulated(data, EACH)
    yield from _rows(pairs, found(runs, pairs), masked=True)


def _rows(pairs: Pairs, by: Masks, masked: bool) -> Iterator[str]:
    for number, pair in enumerate(pairs):
        yield heading(pair.name)
        truth = pair.mask if masked else None
        yield _row({method: overlay(pair.picture, every[number], truth) for method, every in by.items()})


def _row(pictures: dict[str, Any]) -> str:
    figures = "".join(figure(data_uri(picture), name) for name, picture in pictures.items())
    return f'<div style="display: grid; grid-template-columns: repeat(auto-fill, 300px); gap: 1rem">{figures}</div>'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("overlays.html"))
    given = parser.parse_args()
    write_whole(given.out, page("Masks by several methods", list(parts(given.data, given.runs))))


if __name__ == "__main__":
    main()
