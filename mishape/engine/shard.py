"""One shard: a finished folder of samples, a pure function of the spec and its number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine import hooks
from mishape.engine.devices import find_device
from mishape.engine.errors import MishapeError, PluginError
from mishape.engine.execute import one_thread
from mishape.engine.files import canonical, disk_errors, save_array, sha256, whole_folder
from mishape.engine.library_writing import write_library
from mishape.engine.manifest import Manifest
from mishape.engine.montage import tiled_grid
from mishape.engine.ometiff import StackWriter
from mishape.engine.scene import Scene, SceneObject
from mishape.engine.seals import ShardSeal, UsedSource, write_seal
from mishape.engine.simulate import describe_shape, simulate_many
from mishape.engine.sources import content_hash
from mishape.engine.spec import Spec
from mishape.engine.types import Raster, Sample, Shape
from mishape.engine.used_inputs import used_inputs

SEAL, RECORDS, SHAPES = "shard.json", "samples.jsonl", "shapes"
BATCH_SAMPLES = 64
"""Samples that a GPU works on together, at most: the host holds them all, with their truths."""
BATCH_PIXELS = 1 << 24
"""... and pixels of all their views."""


def shard_folder(dataset: Path, shard: int) -> Path:
    """Return the folder of a shard."""
    return dataset / "shards" / f"{shard:06d}"


@dataclass(frozen=True)
class Made:
    """What comes back from making a shard.

    Parameters
    ----------
    samples
        How many samples it holds.
    failures
        Hook plugins that failed at one of them, and why they did so first: a worker's own ledger is lost with it.
    """

    samples: int
    failures: dict[str, str]


@dataclass(frozen=True)
class ShardJob:
    """Makes one shard: call it with the shard's number, in any process."""

    spec: Spec
    folder: Path
    manifest: Manifest
    device: str = "cpu"

    def __call__(self, shard: int) -> Made:
        """Write the shard, with one BLAS thread whoever the executor is."""
        find_device(self.device)  # what it loads must be there to be limited
        return one_thread(self._make, shard)

    def _make(self, shard: int) -> Made:
        numbers = self.manifest.shard_samples(shard)
        target = shard_folder(self.folder, shard)
        failures: dict[str, str] = {}
        with disk_errors(target), whole_folder(target) as part, ExitStack() as open_files:
            writer = _ShardWriter(
                part, f"{self.manifest.spec_hash}/{self.manifest.shard_size}/{shard}", len(numbers), open_files
            )
            for row, sample in enumerate(self._samples(numbers)):
                failures = {**hooks.call("mishape_sample_done", sample=sample), **failures}
                writer.add(row, sample)
            writer.finish()
        return Made(len(numbers), failures)

    def _samples(self, numbers: range) -> Iterator[Sample]:
        """Make the samples, as many at a time as the device is quicker with."""
        scenes, step = self.spec.scenes(numbers), self._batch_size()
        for first in range(0, len(numbers), step):
            batch = []
            for number in numbers[first : first + step]:
                with self._named(number):
                    batch.append(next(scenes))
            yield from self._together(batch)

    def _batch_size(self) -> int:
        if not find_device(self.device).is_gpu:
            return 1
        views = self.manifest.views.values()
        pixels: int = sum(math.prod(view["grid"]["shape"]) * math.prod(view["montage"]) for view in views)
        return max(1, min(BATCH_SAMPLES, BATCH_PIXELS // pixels))

    def _together(self, scenes: Sequence[Scene]) -> list[Sample]:
        """Make a batch; one that fails is halved until the sample that fails is alone, and can be named."""
        if len(scenes) == 1:
            with self._named(scenes[0].sample):
                return simulate_many(scenes, describe=False, device=self.device)
        try:
            return simulate_many(scenes, describe=False, device=self.device)
        except Exception:
            half = len(scenes) // 2
            return [*self._together(scenes[:half]), *self._together(scenes[half:])]

    @contextmanager
    def _named(self, number: int) -> Iterator[None]:
        """Say of every error which sample it was."""
        option = "" if self.device == "cpu" else f" --device {self.device}"
        alone = f"mishape render SCENE --sample {number}{option}"
        try:
            yield
        except MishapeError as error:
            error.add_note(f"This was sample {number}; to see it alone: {alone}")
            raise
        except Exception as error:  # a stranger's component may fail in any way
            raise PluginError(
                f"sample {number} failed: {type(error).__name__}: {error}. To see it alone: {alone}"
            ) from error


class _ShardWriter:
    """Collects the samples of one shard in a folder."""

    def __init__(self, folder: Path, identity: str, samples: int, open_files: ExitStack) -> None:
        self.folder, self.identity, self.samples, self.open_files = folder, identity, samples, open_files
        self.stacks: dict[str, StackWriter] = {}
        self.tables: dict[str, list[NDArray[Any]]] = {}
        self.shapes: dict[str, tuple[Shape, dict[str, NDArray[Any]]]] = {}
        self.sources: dict[str, UsedSource] = {}
        self.inputs: dict[str, str] = {}
        self.records = open_files.enter_context((folder / RECORDS).open("w", encoding="utf-8", newline="\n"))

    def add(self, row: int, sample: Sample) -> None:
        for name, raster in rasters_of(sample).items():
            self._stack(name, raster).write(row, raster.data)
        for name, table in sample.truths.items():
            if not isinstance(table, Raster):
                self.tables.setdefault(name, []).append(table)
        for number, thing in enumerate(sample.scene.objects):
            self._keep_shape(sample, number, thing)
        for view in sample.scene.views.values():
            self.inputs.update(used_inputs(view))
        self.records.write(canonical(sample.record) + "\n")

    def _stack(self, name: str, raster: Raster) -> StackWriter:
        if name not in self.stacks:
            file = f"{name}.ome.tif"
            writer = StackWriter(
                self.folder / file, raster.grid, raster.data.dtype, self.samples, f"{self.identity}/{file}"
            )
            self.stacks[name] = self.open_files.enter_context(writer)
        return self.stacks[name]

    def _keep_shape(self, sample: Sample, number: int, thing: SceneObject) -> None:
        """Remember which finite source was used, or keep a generated shape if a truth asks for shapes."""
        record = next(item for item in sample.record["objects"] if item["number"] == number)
        name = record["library"]
        if name in self.sources:
            return
        if name is not None:
            plain = sample.record["scene"]["objects"][number]["shape"]
            self.sources[name] = UsedSource(source=plain, sha256=content_hash(thing.shape))
        elif _describes(sample) and record["shape_id"] not in self.shapes:
            shape = sample.sources[number]
            self.shapes[shape.id] = (shape, describe_shape(sample.scene, shape))

    def finish(self) -> None:
        self.open_files.close()
        for name, tables in self.tables.items():
            if len(tables) != self.samples:
                raise PluginError(f"{name!r} was measured in {len(tables)} of {self.samples} samples: give it in all")
            save_array(self.folder / f"{name}.npy", np.concatenate(tables))
            offsets = np.cumsum([0, *(len(table) for table in tables)], dtype=np.int64)
            save_array(self.folder / f"{name}.offsets.npy", offsets)
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
