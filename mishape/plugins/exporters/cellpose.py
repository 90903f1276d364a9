"""Images and masks as Cellpose trains on them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mishape.engine.dataset import Dataset
from mishape.plugins.exporters.exporter import write_image
from mishape.plugins.exporters.pairs import PairExporter


class Cellpose(PairExporter):
    """``<split>/000000.tif`` beside ``<split>/000000_masks.tif``, whose objects are numbered.

    `cellpose --train --dir train --test_dir test --mask_filter _masks` reads them.
    """

    kind: Literal["cellpose"] = "cellpose"

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Write all pairs."""
        for pair in self.pairs(dataset, instances=True):
            (folder / pair.split).mkdir(exist_ok=True)
            write_image(folder / pair.split / f"{pair.name}.tif", pair.image, pair.size_um)
            write_image(folder / pair.split / f"{pair.name}_masks.tif", pair.mask, pair.size_um)
