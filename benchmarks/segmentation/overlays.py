"""What methods find in the same pictures, as one page to look at: no number is claimed.

python -m benchmarks.segmentation.overlays DATA RUNS [-o PAGE.html]

DATA: the folder of third-party data with physeg_real and physeg_sim. RUNS: that of the tables, whose networks are used.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods import METHODS, Segmenter
from benchmarks.segmentation.sets import MIXTURE, ORIGINS, SIMULATED_NM, simulated
from mishape.engine.files import write_whole
from mishape.learn.picture_files import read_picture
from mishape.learn.segmenting import Network, load_network
from mishape.plugins.reports.drawing import data_uri
from mishape.plugins.reports.overlay import overlay
from mishape.plugins.reports.page import figure, heading, page, paragraph

Found = Callable[[NDArray[np.float32], float], NDArray[np.bool_]]
REAL_NM = 80.0
"""Assumed: the files do not say it."""
CROP = 384
FOLDERS = ("h9c2_epi", "mcc13", "airyscan")
EACH = 2
"""Frames of each folder, and simulated pictures."""


def finders(runs: Path) -> dict[str, Found]:
    """Return what finds masks, by name: methods without labels, and the networks of the tables."""
    blind = {name: method.segment for name, method in METHODS.items() if isinstance(method, Segmenter)}
    found: dict[str, Found] = {name: segment for name, segment in blind.items() if "kanezaki" not in name}
    for origin in (*ORIGINS, MIXTURE):
        weights = runs / "networks" / f"{origin}-projection/weights.safetensors"
        if weights.is_file():
            network = load_network(weights, 0)
            found[f"unet, {origin}"] = partial(_foreground, network)
    return found


def _foreground(network: Network, picture: NDArray[np.float32], pixel_nm: float) -> NDArray[np.bool_]:
    return network.chances_of(picture, pixel_nm) > 0.5


def frames(data: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the middles of the first frames of each folder."""
    for folder in FOLDERS:
        for file in sorted((data / "physeg_real" / folder).glob("*.png"))[:EACH]:
            picture, _ = read_picture(file)
            rows, columns = ((edge - min(edge, CROP)) // 2 for edge in picture.shape)
            yield f"{folder}/{file.stem}", picture[rows : rows + CROP, columns : columns + CROP]


def parts(data: Path, by: dict[str, Found]) -> Iterator[str]:
    """Yield the page's parts."""
    text = (
        "Outlines of what is found, in the middle of each frame; pixels of 80 nm are assumed. The truth is not known."
    )
    yield paragraph(text)
    for name, picture in frames(data):
        yield heading(name)
        yield _row({method: overlay(picture, find(picture, REAL_NM)) for method, find in by.items()})
    yield paragraph("Simulated by Sekh et al.: green is missed, red is false.")
    for pair in simulated(data, EACH):
        yield heading(pair.name)
        yield _row(
            {method: overlay(pair.picture, find(pair.picture, SIMULATED_NM), pair.mask) for method, find in by.items()}
        )


def _row(pictures: dict[str, Any]) -> str:
    figures = "".join(figure(data_uri(picture), name) for name, picture in pictures.items())
    return f'<div style="display: grid; grid-template-columns: repeat(auto-fill, 300px); gap: 1rem">{figures}</div>'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("overlays.html"))
    given = parser.parse_args()
    write_whole(given.out, page("Masks by several methods", list(parts(given.data, finders(given.runs)))))


if __name__ == "__main__":
    main()
