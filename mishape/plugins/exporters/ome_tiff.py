"""One OME-TIFF per sample and array."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Literal

import numpy as np

from mishape.engine.dataset import OME, Dataset, Item
from mishape.engine.files import save_array
from mishape.engine.ometiff import NAMESPACE
from mishape.plugins.exporters.exporter import Exporter, write_records


class OmeTiff(Exporter):
    """``epi.image/000000.ome.tif`` for each image and mask, ``emitters/000000.npy`` for each table, samples.jsonl."""

    kind: Literal["ome_tiff"] = "ome_tiff"

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Write all samples."""
        import tifffile

        for item in dataset:
            for name, array in item.arrays.items():
                (folder / name).mkdir(exist_ok=True)
                path = folder / name / f"{item.record['index']:06d}"
                if not dataset.is_raster(name):
                    save_array(path.with_name(f"{path.name}.npy"), array)
                    continue
                sizes = dataset.pixel_um(name)
                metadata: dict[str, float | str] = {f"PhysicalSize{axis}": size for axis, size in sizes.items()}
                metadata |= {f"PhysicalSize{axis}Unit": "µm" for axis in sizes}
                tifffile.imwrite(
                    path.with_name(f"{path.name}{OME}"),
                    np.ascontiguousarray(array),
                    ome=True,
                    photometric="minisblack",
                    metadata={"axes": "ZYX", "UUID": _uuid(dataset, name, item), **metadata},
                )
        write_records(dataset, folder)


def _uuid(dataset: Dataset, name: str, item: Item) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{dataset.manifest.spec_hash}/{item.record['index']}/{name}"))
