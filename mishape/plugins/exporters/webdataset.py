"""Tar files of samples, as WebDataset streams them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.component import Whole
from mishape.engine.dataset import Dataset, Item
from mishape.engine.files import canonical
from mishape.plugins.exporters.exporter import Exporter


class WebDataset(Exporter):
    """``<split>-000000.tar`` with ``000000.json`` and ``000000.epi.image.npy`` for each sample, one after the other.

    Equal datasets give equal bytes: no times, no owners. The json holds the sample's record, and in `pixel_um` the size
    of each raster's pixels by axis.
    """

    kind: Literal["webdataset"] = "webdataset"
    samples_per_tar: Whole = Field(default=1000, ge=1, le=1_000_000)
    """How many samples a tar file holds; the last one of a split may hold fewer; default 1000."""

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Write all tar files."""
        for split in dataset.manifest.splits:
            items = (dataset[record["index"]] for record in dataset.records() if record["split"] == split)
            for number, batch in enumerate(_batches(items, self.samples_per_tar)):
                with tarfile.open(folder / f"{split}-{number:06d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
                    for item in batch:
                        _add_sample(tar, dataset, item)


def _batches(items: Iterator[Item], size: int) -> Iterator[Iterator[Item]]:
    for first in items:
        yield _first_and(first, items, size)


def _first_and(first: Item, items: Iterator[Item], size: int) -> Iterator[Item]:
    yield first
    for _, item in zip(range(size - 1), items, strict=False):
        yield item


def _add_sample(tar: tarfile.TarFile, dataset: Dataset, item: Item) -> None:
    key = f"{item.record['index']:06d}"
    sizes = {name: dict(dataset.pixel_um(name)) for name in item.arrays if dataset.is_raster(name)}
    _add(tar, f"{key}.json", canonical({**item.record, "pixel_um": sizes}).encode())
    for name, array in sorted(item.arrays.items()):
        _add(tar, f"{key}.{name}.npy", _npy(array))


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
