"""What all exporters share: a folder that appears whole, with the dataset's card in it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.component import Component
from mishape.engine.dataset import Dataset
from mishape.engine.errors import DatasetError
from mishape.engine.files import canonical, disk_errors, whole_folder, write_text
from mishape.engine.integrity import check_files
from mishape.engine.manifest import NAME
from mishape.engine.wording import suggestion


class Exporter(Component):
    """Writes a dataset in another layout."""

    def export(self, dataset: Dataset, out: Path) -> None:
        """Write the dataset into a new folder, which appears whole or not at all.

        Raises
        ------
        DatasetError
            If the folder exists, or the dataset lacks what the layout needs.
        """
        from mishape.plugins.reports.card import card

        if out.exists():
            raise DatasetError(f"{str(out)!r} exists: remove it or choose another folder")
        if dataset.missing:
            raise DatasetError(f"{str(dataset.folder)!r} lacks shards: run generate again, then export it")
        _check(dataset)
        with disk_errors(out), whole_folder(out) as part:
            self.write(dataset, part)
            write_text(part / "README.md", f"{self._note()}\n\n{card(dataset)}")

    def _note(self) -> str:
        """Say how this copy came about."""
        options = [f"{name} {value}" for name, value in self.model_dump(exclude={"kind"}).items() if value is not None]
        return (
            f"Written by `mishape export --layout {self.kind}` from the dataset below"
            f"{', with ' if options else ''}{', '.join(options)}. docs/datasets.md of the project says what lies where."
        )

    @abstractmethod
    def write(self, dataset: Dataset, folder: Path) -> None:
        """Write all files but the card."""


def write_records(dataset: Dataset, folder: Path) -> None:
    """Write the records of all samples that were made, ``samples.jsonl``."""
    write_text(folder / "samples.jsonl", "".join(canonical(record) + "\n" for record in dataset.records()))


def _check(dataset: Dataset) -> None:
    """Refuse a dataset that is damaged, or whose records name what it does not have."""
    faults = [fault for part in check_files(dataset) for fault in part.faults]
    if faults:
        raise DatasetError(f"{str(dataset.folder)!r} is damaged: {faults[0]}")
    splits = {record["split"] for record in dataset.records()}
    if not splits:
        raise DatasetError(f"{str(dataset.folder)!r} holds no sample that could be made")
    if unknown := splits - {*dataset.manifest.splits}:
        raise DatasetError(f"{str(dataset.folder)!r} is damaged: {NAME} has no split {min(unknown)!r}")


def view_of(dataset: Dataset, view: str | None) -> str:
    """Return the view that is meant; the only one need not be named."""
    views = [*dataset.manifest.views]
    if view is None and len(views) == 1:
        return views[0]
    if view is None:
        raise DatasetError(f"the dataset has the views {', '.join(views)}: choose one by --view")
    if view not in views:
        raise DatasetError(f"the dataset has no view {view!r}: {suggestion(view, views)}")
    return view


def write_image(path: Path, image: NDArray[Any], size_um: Mapping[str, float]) -> None:
    """Write a (Y, X) or (Z, Y, X) image as a TIFF that Fiji and others read with its physical size.

    Parameters
    ----------
    size_um
        Of a pixel along X and Y, and Z where that is known, micrometres.
    """
    import tifffile

    axes = "ZYX"[-image.ndim :]
    depth = {"spacing": size_um["Z"]} if "Z" in size_um and image.ndim == 3 else {}
    tifffile.imwrite(
        path,
        np.ascontiguousarray(image),
        imagej=True,
        resolution=(1 / size_um["X"], 1 / size_um["Y"]),
        metadata={"axes": axes, "unit": "um", **depth},
    )
