"""The files of one shard, written sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import PluginError
from mishape.engine.files import canonical, save_array, sha256
from mishape.engine.library_writing import write_library
from mishape.engine.montage import tiled_grid
from mishape.engine.ometiff import StackWriter
from mishape.engine.seals import ShardSeal, UsedSource, write_seal
from mishape.engine.shard_files import HOLE, RECORDS, SEAL, SHAPES
from mishape.engine.simulate import describe_shape
from mishape.engine.sources import content_hash
from mishape.engine.types import Raster, Sample, Shape
from mishape.engine.used_inputs import used_inputs


@dataclass(frozen=True)
class Hole:
    """Stands for a sample that failed."""

    number: int
    why: str


class ShardWriter:
    """Collects the samples of one shard in a folder."""

    def __init__(self, folder: Path, identity: str, samples: int, open_files: ExitStack) -> None:
        self.folder, self.identity, self.samples, self.open_files = folder, identity, samples, open_files
        self.stacks: dict[str, StackWriter] = {}
        self.tables: dict[str, dict[int, NDArray[Any]]] = {}
        self.holes: dict[int, str] = {}
        self.shapes: dict[str, tuple[Shape, dict[str, NDArray[Any]]]] = {}
        self.sources: dict[str, UsedSource] = {}
        self.inputs: dict[str, str] = {}
        self.records = open_files.enter_context((folder / RECORDS).open("w", encoding="utf-8", newline="\n"))

    def add(self, row: int, sample: Sample) -> None:
        for name, raster in rasters_of(sample).items():
            self._stack(name, raster).write(row, raster.data)
        for name, table in sample.truths.items():
            if not isinstance(table, Raster):
                self.tables.setdefault(name, {})[row] = table
        for said in sample.record["objects"]:
            self._keep_shape(sample, said)
        self.inputs.update(used_inputs(sample.scene))
        self.records.write(canonical(sample.record) + "\n")

    def leave_out(self, hole: Hole) -> None:
        """Record a sample that failed: zeros in all stacks, no rows in any table."""
        self.holes[hole.number] = hole.why
        self.records.write(canonical({"index": hole.number, HOLE: hole.why}) + "\n")

    def _stack(self, name: str, raster: Raster) -> StackWriter:
        if name not in self.stacks:
            file = f"{name}.ome.tif"
            writer = StackWriter(
                self.folder / file, raster.grid, raster.data.dtype, self.samples, f"{self.identity}/{file}"
            )
            self.stacks[name] = self.open_files.enter_context(writer)
        return self.stacks[name]

    def _keep_shape(self, sample: Sample, said: Mapping[str, Any]) -> None:
        """Remember which finite source an object used, or keep its generated shape if a truth asks for shapes."""
        number, name = said["number"], said["library"]
        if name in self.sources:
            return
        if name is not None:
            plain = sample.record["scene"]["objects"][number]["shape"]
            self.sources[name] = UsedSource(source=plain, sha256=content_hash(sample.scene.objects[number].shape))
        elif _describes(sample) and said["shape_id"] not in self.shapes:
            shape = sample.sources[number]
            self.shapes[shape.id] = (shape, describe_shape(sample.scene, shape))

    def finish(self) -> None:
        self.open_files.close()
        made = self.samples - len(self.holes)
        for name, tables in self.tables.items():
            if len(tables) != made:
                raise PluginError(f"{name!r} was measured in {len(tables)} of {made} samples: give it in all")
            save_array(self.folder / f"{name}.npy", np.concatenate([*tables.values()]))
            lengths = [len(tables.get(row, ())) for row in range(self.samples)]
            save_array(self.folder / f"{name}.offsets.npy", np.cumsum([0, *lengths], dtype=np.int64))
        if self.shapes:
            shapes, arrays = zip(*self.shapes.values(), strict=True)
            write_shapes(self.folder / SHAPES, "shapes made for this shard", shapes, arrays)
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        hashes = {path.relative_to(self.folder).as_posix(): sha256(path) for path in files}
        write_seal(self.folder / SEAL, self._sealed(hashes))

    def _sealed(self, files: dict[str, str]) -> ShardSeal:
        return ShardSeal(samples=self.samples, sources=self.sources, inputs=self.inputs, files=files)


def rasters_of(sample: Sample) -> dict[str, Raster]:
    """Return everything of a sample that lies on a grid, under its file's name."""
    views = sample.scene.views
    images = {
        f"{name}.image": Raster(image, tiled_grid(views[name].grid, views[name].montage))
        for name, image in sample.images.items()
    }
    return {**images, **{name: truth for name, truth in sample.truths.items() if isinstance(truth, Raster)}}


def _describes(sample: Sample) -> bool:
    return any(hasattr(truth, "describe") for truth in sample.scene.truths.values())


def write_shapes(
    folder: Path,
    name: str,
    shapes: Sequence[Shape],
    descriptions: Sequence[Mapping[str, NDArray[Any]]],
    citation: str = "",
) -> None:
    """Write shapes and their truths as a library; provenance and licences travel along."""
    arrays = {key: [description[key] for description in descriptions] for key in descriptions[0]}
    meta = {
        "name": name,
        "source": "; ".join(_distinct(shape.source for shape in shapes)),
        "licence": "; ".join(_distinct(shape.licence for shape in shapes)),
        "citation": citation,
    }
    write_library(folder, shapes, meta, arrays)


def _distinct(texts: Iterator[str]) -> list[str]:
    return sorted({text for text in texts if text})
