"""One OME-Zarr image per sample and view, with its masks as labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mishape.engine.dataset import Dataset, Item
from mishape.engine.files import save_array
from mishape.engine.needs import needs
from mishape.plugins.exporters.exporter import Exporter, write_records

VERSION = "0.5"
"""Of OME-NGFF; its arrays are Zarr format 3."""
CHUNK = 1024


class OmeZarr(Exporter):
    """``epi/000000.ome.zarr`` for each view and sample: OME-NGFF 0.5, masks and other rasters as its labels.

    Tables lie beside it as ``emitters/000000.npy``, records in samples.jsonl.
    """

    kind: Literal["ome_zarr"] = "ome_zarr"

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Write all samples."""
        needs("zarr", "zarr")
        for item in dataset:
            number = f"{item.record['index']:06d}"
            for view in dataset.manifest.views:
                _write_view(folder / view / f"{number}.ome.zarr", dataset, item, view)
            for name, table in item.arrays.items():
                if not dataset.is_raster(name):
                    (folder / name).mkdir(exist_ok=True)
                    save_array(folder / name / f"{number}.npy", table)
        write_records(dataset, folder)


def _write_view(path: Path, dataset: Dataset, item: Item, view: str) -> None:
    import zarr

    image = zarr.open_group(path, mode="w", zarr_format=3)
    array = item[f"{view}.image"]
    name = f"{view} {path.name.partition('.')[0]}"
    image.attrs["ome"] = {
        "version": VERSION,
        "multiscales": [_scales(image, name, array, dataset.pixel_um(f"{view}.image"))],
        "omero": {"channels": [{"label": view, "color": "FFFFFF", "active": True, "window": _window(array)}]},
    }
    labels = [name for name in sorted(item.arrays) if name.startswith(f"{view}.") and name != f"{view}.image"]
    labels = [name for name in labels if dataset.is_raster(name)]
    if labels:
        group = image.create_group("labels")
        group.attrs["ome"] = {"version": VERSION, "labels": [name.partition(".")[2] for name in labels]}
        for name in labels:
            kind = name.partition(".")[2]
            label = group.create_group(kind)
            # A label of one plane is as thick as a plane of the image.
            size_um = {**dataset.pixel_um(f"{view}.image"), **dataset.pixel_um(name)}
            scales = _scales(label, kind, item[name], size_um)
            source = {"source": {"image": "../../"}}
            label.attrs["ome"] = {"version": VERSION, "multiscales": [scales], "image-label": source}


def _scales(group: Any, name: str, array: NDArray[Any], size_um: Mapping[str, float]) -> dict[str, Any]:
    """Write an array as a group's only scale and return what describes it."""
    axes = "zyx"
    chunks = (1, *(min(CHUNK, side) for side in array.shape[1:]))
    stored = group.create_array("0", shape=array.shape, chunks=chunks, dtype=array.dtype, dimension_names=list(axes))
    stored[:] = np.asarray(array)
    # A single plane, or planes at uneven distances, have no size along z: 1 stands for it there.
    scale = [float(size_um.get(axis.upper(), 1.0)) for axis in axes]
    return {
        "name": name,
        "axes": [{"name": axis, "type": "space", "unit": "micrometer"} for axis in axes],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}],
    }


def _window(image: NDArray[Any]) -> dict[str, float]:
    low, high = float(image.min()), float(image.max())
    return {"min": 0.0, "max": 65535.0, "start": low, "end": max(high, low + 1)}
