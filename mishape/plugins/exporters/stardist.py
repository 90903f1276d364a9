"""Images and masks as StarDist's examples train on them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mishape.engine.dataset import Dataset
from mishape.plugins.exporters.exporter import write_image
from mishape.plugins.exporters.pairs import PairExporter


class StarDist(PairExporter):
    """``<split>/images/000000.tif`` and ``<split>/masks/000000.tif``, whose objects are numbered."""

    kind: Literal["stardist"] = "stardist"

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Write all pairs."""
        for pair in self.pairs(dataset, instances=True):
            for name, image in (("images", pair.image), ("masks", pair.mask)):
                place = folder / pair.split / name
                place.mkdir(parents=True, exist_ok=True)
                write_image(place / f"{pair.name}.tif", image, pair.size_um)
