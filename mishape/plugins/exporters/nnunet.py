"""Images and masks as nnU-Net (version 2) reads a raw dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from mishape.engine.component import Whole
from mishape.engine.dataset import Dataset
from mishape.engine.files import canonical, write_text
from mishape.plugins.exporters.exporter import write_image
from mishape.plugins.exporters.pairs import Pair, PairExporter, train_and_test


class NnUNet(PairExporter):
    """A folder ``Dataset001_mishape`` for nnUNet_raw; foreground is 1, whatever object it belongs to.

    Splits called test go to imagesTs and labelsTs, all others to imagesTr and labelsTr. Where there are several of the
    latter, ``splits_final.json`` keeps those called val apart: copy it to the dataset's folder in nnUNet_preprocessed.
    """

    kind: Literal["nnunet"] = "nnunet"
    number: Whole = Field(default=1, ge=1, le=999)
    """The dataset's number there."""

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Write all pairs."""
        root = folder / f"Dataset{self.number:03d}_mishape"
        _, test = train_and_test(dataset.manifest.splits)
        cases: dict[str, list[str]] = {}
        axes = 2
        for pair in self.pairs(dataset, instances=False):
            axes = pair.image.ndim
            _write_case(root, pair, "Ts" if pair.split in test else "Tr")
            cases.setdefault(pair.split, []).append(pair.name)
        training = {split: names for split, names in cases.items() if split not in test}
        write_text(root / "dataset.json", canonical(_description(training, axes), indent=2) + "\n")
        if len(training) > 1:
            write_text(root / "splits_final.json", canonical([_fold(training)], indent=2) + "\n")


def _write_case(root: Path, pair: Pair, part: str) -> None:
    foreground = (pair.mask > 0).astype(np.uint8)
    for kind, name, array in (("images", f"{pair.name}_0000", pair.image), ("labels", pair.name, foreground)):
        place = root / f"{kind}{part}"
        place.mkdir(parents=True, exist_ok=True)
        write_image(place / f"{name}.tif", array, pair.size_um)
        if array.ndim == 3:
            # Its reader of 3D TIFFs takes the size of voxels from here.
            spacing = [pair.size_um.get("Z", pair.size_um["X"]), pair.size_um["Y"], pair.size_um["X"]]
            write_text(place / f"{name.removesuffix('_0000')}.json", canonical({"spacing": spacing}) + "\n")


def _description(training: Mapping[str, list[str]], axes: int) -> dict[str, Any]:
    return {
        "channel_names": {"0": "fluorescence"},
        "labels": {"background": 0, "foreground": 1},
        "numTraining": sum(map(len, training.values())),
        "file_ending": ".tif",
        # Left to itself, it reads stacks of three or four planes as one image of three or four colours.
        "overwrite_image_reader_writer": "NaturalImage2DIO" if axes == 2 else "Tiff3DIO",
    }


def _fold(training: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the one fold that the splits make: validation is what is called val, or comes last."""
    named = [split for split in training if split.lower().startswith("val")]
    held_out = named[0] if named else [*training][-1]
    return {
        "train": [name for split, names in training.items() if split != held_out for name in names],
        "val": training[held_out],
    }
