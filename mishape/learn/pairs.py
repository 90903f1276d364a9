"""Pictures with the masks that they are to be given, of datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mishape.engine.dataset import Dataset
from mishape.engine.errors import DatasetError
from mishape.engine.wording import suggestion
from mishape.learn.pictures import picture_of

IMAGE = ".image"


@dataclass(frozen=True)
class Pair:
    """A picture and its mask.

    Parameters
    ----------
    name
        What it is called.
    picture
        (H, W) float32.
    mask
        (H, W) bool.
    """

    name: str
    picture: NDArray[np.float32]
    mask: NDArray[np.bool_]


class Pairs(Protocol):
    """Pairs, read as they are asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, number: int) -> Pair: ...


class DatasetPairs:
    """Pairs of a dataset: the image of one view, and a truth of it.

    Parameters
    ----------
    dataset
        The dataset.
    splits
        Of which splits; all if none are given.
    view
        By default the only one that has that truth.
    masks
        Name of the truth.

    Raises
    ------
    DatasetError
        If there is no such view, truth or split.

    Items of stacks, or of views of several colours, raise a `PictureError`.
    """

    def __init__(
        self, dataset: Dataset, splits: Sequence[str] = (), view: str | None = None, masks: str = "masks_2d"
    ) -> None:
        self.dataset, records = dataset, [*dataset.records()]
        known = {str(record["split"]) for record in records}
        for split in splits:
            if split not in known:
                raise DatasetError(f"{str(dataset.folder)!r} has no split {split!r}: {suggestion(split, known)}")
        self.numbers = [record["index"] for record in records if not splits or str(record["split"]) in splits]
        self.view, self.masks = self._view(view, masks), masks
        self.pixel_nm = 1000 * dataset.pixel_um(self.view + IMAGE)["X"]

    def _view(self, view: str | None, masks: str) -> str:
        names = self.dataset.shard(0).names
        views = [name.removesuffix("." + masks) for name in names if name.endswith("." + masks)]
        if not views:
            raise DatasetError(
                f"{str(self.dataset.folder)!r} has no truth {masks!r}: its arrays are {', '.join(names)}"
            )
        if view is None and len(views) > 1:
            raise DatasetError(f"{str(self.dataset.folder)!r} has views {', '.join(views)}: name one (view)")
        if view is not None and view not in views:
            raise DatasetError(f"{str(self.dataset.folder)!r} has no view {view!r}: {suggestion(view, views)}")
        return view or views[0]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, number: int) -> Pair:
        item, name = self.dataset[self.numbers[number]], f"sample {self.numbers[number]}"
        image, mask = item[self.view + IMAGE], item[f"{self.view}.{self.masks}"]
        return Pair(name, picture_of(image, f"the image of {name}"), picture_of(mask, f"the mask of {name}") > 0)


@dataclass(frozen=True)
class Together:
    """Pairs of several origins, one after the other."""

    parts: Sequence[Pairs]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, number: int) -> Pair:
        for part in self.parts:
            if number < len(part):
                return part[number]
            number -= len(part)
        raise IndexError(f"pair {number} given beyond the last")
