"""One folder per shape with its mesh, its labelled points and its images: 3DMSL and Occupancy Networks."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from mishape.em.exchange_write import Writing, check_name, export_library
from mishape.engine.component import Whole
from mishape.engine.dataset import Dataset, Item
from mishape.engine.errors import DatasetError
from mishape.engine.files import write_text
from mishape.engine.library import Library
from mishape.engine.occupancy import POINTS
from mishape.engine.seeding import Stage, stream
from mishape.plugins.exporters.exporter import Exporter, write_image
from mishape.plugins.exporters.pairs import train_and_test

LISTS = ("train.lst", "val.lst", "test.lst")


class ShapeFolders(Exporter):
    """Writes shapes as `mishape export` writes a library, with the images of each beside it.

    Every sample shows one shape. Images lie in ``<id>/<view>_imgs/<n>_<id>_<rotation>.tif``, where n counts images of
    one rotation from 0; rotations without a name are called by the sample's number.
    """

    layout: ClassVar[Literal["3dmsl", "onet"]]
    points: Whole = Field(default=POINTS, ge=1, le=10_000_000)
    """Labelled points per shape, and points on its surface; default 100000."""

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Write all shapes and images."""
        _check_views(dataset)
        self._write_shapes(dataset, folder)
        seen: Counter[tuple[str, str]] = Counter()
        for item in dataset:
            id, rotation = _id_of(item), _rotation_of(item)
            if not (folder / id).is_dir():
                raise DatasetError(
                    f"shape {id!r} is not in the dataset: make it with copy_library: true, and tubes with truths: "
                    "{mesh: {}}, so that it keeps its shapes"
                )
            for view in dataset.manifest.views:
                place = folder / id / f"{view.capitalize()}_imgs"
                place.mkdir(exist_ok=True)
                image = item[f"{view}.image"]
                image = image[0] if len(image) == 1 else image
                path = place / f"{seen[id, rotation]}_{id}_{rotation}.tif"
                write_image(path, image, dataset.pixel_um(f"{view}.image"))
            seen[id, rotation] += 1
        if self.layout == "onet":
            _write_lists(dataset, folder)

    def _write_shapes(self, dataset: Dataset, folder: Path) -> None:
        owners: dict[str, Path] = {}
        for library in _libraries(dataset):
            rng = stream(dataset.manifest.seed, 0, Stage.TRUTH, f"export.{library.folder.name}")
            part = folder / ".library"
            export_library(library, part, self.layout, Writing(None, self.points, self.points), rng)
            for place in sorted(path for path in part.iterdir() if path.is_dir()):
                owner = owners.setdefault(place.name, library.folder)
                if owner.parent.name == "library" and owner != library.folder:
                    raise DatasetError(
                        f"shape {place.name!r} stands for two shapes, of {owner.name} and {library.name}"
                    )
                if owner == library.folder:
                    place.rename(folder / place.name)
            shutil.rmtree(part)


class Msl3D(ShapeFolders):
    """``<id>/raw_mesh.off``, ``occupancies.npz``, ``pointcloud.ply`` and a folder of images per view, as in 3DMSL."""

    kind: Literal["3dmsl"] = "3dmsl"
    layout = "3dmsl"


class OccupancyNetworks(ShapeFolders):
    """``<id>/points.npz``, ``pointcloud.npz``, a folder of images per view, and train.lst, val.lst, test.lst."""

    kind: Literal["onet"] = "onet"
    layout = "onet"


def _libraries(dataset: Dataset) -> Iterator[Library]:
    """Yield all libraries that hold the dataset's shapes: copies, and what was made for each shard."""
    yield from dataset.libraries().values()
    for number in range(dataset.manifest.shards):
        if (made := dataset.shard(number).shapes) is not None:
            yield made


def _check_views(dataset: Dataset) -> None:
    views = [*dataset.manifest.views]
    if len({view.capitalize() for view in views}) < len(views):
        raise DatasetError(f"views {', '.join(views)} differ in capitals alone: this layout names folders Epi_imgs")


def _id_of(item: Item) -> str:
    things = item.record["objects"]
    if len(things) != 1:
        raise DatasetError(
            f"sample {item.record['index']} shows {len(things)} shapes: this layout holds images of one shape each"
        )
    id = str(things[0]["shape_id"])
    check_name(id)
    return id


def _rotation_of(item: Item) -> str:
    """Return the name of the perspective from which the shape is seen, else the sample's number."""
    rotation = item.record["scene"]["objects"][0].get("pose", {}).get("rotation", "0")
    named = isinstance(rotation, str) and rotation not in ("uniform", "flat")
    return rotation if named else f"sample{item.record['index']}"


def _write_lists(dataset: Dataset, folder: Path) -> None:
    """Write which shapes are trained on, validated and tested with, by the dataset's splits."""
    split_of = {record["objects"][0]["shape_id"]: record["split"] for record in dataset.records()}
    training, test = train_and_test(dataset.manifest.splits)
    validation = [split for split in training if split.lower().startswith("val")]
    splits = ([split for split in training if split not in validation], validation, test)
    for name, wanted in zip(LISTS, splits, strict=True):
        ids = sorted(id for id, split in split_of.items() if split in wanted)
        write_text(folder / name, "".join(f"{id}\n" for id in ids))
