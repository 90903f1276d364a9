"""Images beside their masks, as segmentation networks are trained on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine import registry
from mishape.engine.dataset import Dataset, Item
from mishape.engine.errors import DatasetError
from mishape.engine.wording import suggestion
from mishape.plugins.exporters.exporter import Exporter, view_of


@dataclass(frozen=True)
class Pair:
    """One image and its mask, both (Y, X) or both (Z, Y, X).

    Parameters
    ----------
    number, split
        Of the sample.
    image, mask
        uint16; 0 is background.
    size_um
        Of a pixel, by axis.
    """

    number: int
    split: str
    image: NDArray[np.uint16]
    mask: NDArray[np.uint16]
    size_um: Mapping[str, float]

    @property
    def name(self) -> str:
        """Its files' name."""
        return f"{self.number:06d}"


class PairExporter(Exporter):
    """Writes images with masks of one view.

    A mask of as many planes as the image goes with all of it; a mask of one plane goes with the plane of a stack that
    lies nearest the middle of the field.
    """

    view: str | None = None
    """Which view; default the only one."""
    masks: str | None = None
    """Which truth the masks are, as masks_2d or masks_3d; default masks_3d where its voxels are the image's, else
    masks_2d."""

    def pairs(self, dataset: Dataset, instances: bool) -> Iterator[Pair]:
        """Yield all pairs.

        Parameters
        ----------
        instances
            Whether masks must number the objects.

        Raises
        ------
        DatasetError
            If there are no such masks.
        """
        view = view_of(dataset, self.view)
        first = next(iter(dataset))
        masks = self._masks(first, view)
        kind = masks.partition(".")[2]
        if instances and not _numbers_objects(first, kind):
            raise DatasetError(
                f"{kind} tells foreground from background alone: instances are needed. Make the dataset with truths: "
                f"{{{kind}: {{instances: true}}}}, or use masks_3d"
            )
        for item in dataset:
            yield _pair(dataset, item, view, masks)

    def _masks(self, item: Item, view: str) -> str:
        planes = {name: array.shape for name, array in item.arrays.items() if name.startswith(f"{view}.")}
        image = planes.pop(f"{view}.image")
        fitting = [name for name, shape in planes.items() if shape[1:] == image[1:] and shape[0] in (1, image[0])]
        if self.masks is not None:
            if f"{view}.{self.masks}" not in fitting:
                known = suggestion(self.masks, [name.partition(".")[2] for name in fitting])
                raise DatasetError(f"no masks {self.masks!r} of the image's size in view {view!r}: {known}")
            return f"{view}.{self.masks}"
        wanted = [name for kind in ("masks_3d", "masks_2d") if (name := f"{view}.{kind}") in fitting]
        if not wanted:
            raise DatasetError(
                f"view {view!r} has no masks of its image's size: make the dataset with truths: "
                "{masks_2d: {instances: true}}"
            )
        return wanted[0]


def _numbers_objects(item: Item, kind: str) -> bool:
    """Tell whether a truth's masks number the objects: one that has a choice says so in each record."""
    fields = registry.load("truths", kind).model_fields
    given = item.record["scene"]["truths"].get(kind, {})
    return bool(given.get("instances", fields["instances"].default if "instances" in fields else True))


def _pair(dataset: Dataset, item: Item, view: str, masks: str) -> Pair:
    image, mask = item[f"{view}.image"], item[masks]
    if len(mask) == 1:
        middle = int(np.argmin(np.abs(item.record["views"][view]["focus_in_sample_nm"])))
        image, mask = image[middle], mask[0]
    size_um = dataset.pixel_um(f"{view}.image")
    return Pair(item.record["index"], item.record["split"], image, mask.astype(np.uint16), size_um)


def train_and_test(splits: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return which splits are trained on, and which are held out: those called test, or beginning so."""
    test = [name for name in splits if name.lower().startswith("test")]
    return [name for name in splits if name not in test], test
