"""Samples for torch's DataLoader: read from a dataset, or made as they are asked for; both the same to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from mishape.engine.dataset import Dataset
from mishape.engine.errors import DatasetError
from mishape.engine.shard_writing import rasters_of
from mishape.engine.simulate import simulate
from mishape.engine.spec import Spec
from mishape.engine.wording import suggestion

Arrays = dict[str, NDArray[Any]]


class StoredDataset(TorchDataset[Arrays]):
    """Samples of a dataset on disk, memory-mapped: name -> array, as ``epi.image`` (Z, Y, X).

    Parameters
    ----------
    dataset
        The dataset.
    names
        Which arrays; by default all that lie on a grid, which are of one size and make batches.
    split
        Samples of one split alone; by default all but those that failed when they were made.
    """

    def __init__(self, dataset: Dataset, names: Sequence[str] | None = None, split: str | None = None) -> None:
        records = [*dataset.records()]
        self.dataset, self.names = dataset, names
        self.numbers = [record["index"] for record in records if split in (None, record["split"])]
        if not self.numbers:
            known = {str(record["split"]) for record in records}
            raise DatasetError(f"{str(dataset.folder)!r} has no sample of split {split!r}: {suggestion(split, known)}")

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: int) -> Arrays:
        item = self.dataset[self.numbers[place]]
        names = self.names or [name for name in item.arrays if self.dataset.is_raster(name)]
        # A copy: what is mapped from a file cannot be written to, and tensors can.
        return {name: np.array(item[name]) for name in names}


class LiveDataset(TorchDataset[Arrays]):
    """Samples of a scene, made as they are asked for: item i has the bytes of sample i of the dataset on disk.

    Parameters
    ----------
    spec
        The scene.
    names
        Which arrays; by default all that lie on a grid.
    device
        Where images are computed, as for `simulate`.
    """

    def __init__(self, spec: Spec, names: Sequence[str] | None = None, device: str = "cpu") -> None:
        self.spec, self.names, self.device = spec, names, device

    def __len__(self) -> int:
        return self.spec.samples

    def __getitem__(self, number: int) -> Arrays:
        if not 0 <= number < len(self):
            raise IndexError(f"sample {number} given, the scene has 0 to {len(self) - 1}")
        sample = simulate(self.spec.scene(number), describe=False, device=self.device)
        rasters = {name: np.asarray(raster.data) for name, raster in rasters_of(sample).items()}
        tables = {name: truth for name, truth in sample.truths.items() if isinstance(truth, np.ndarray)}
        every = {**tables, **rasters}
        for name in self.names or ():
            if name not in every:
                raise DatasetError(f"samples of this scene have no array {name!r}: {suggestion(name, every)}")
        return {name: every[name] for name in self.names or rasters}
