"""Reading a dataset: records and arrays of every sample, memory-mapped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.document import layout_faults
from mishape.engine.errors import DatasetError
from mishape.engine.library import Library, open_library
from mishape.engine.manifest import NAME, Manifest, read_manifest
from mishape.engine.seals import ShardSeal, read_seal
from mishape.engine.shard_files import HOLE, RECORDS, SEAL, SHAPES, shard_folder
from mishape.engine.spec import Spec
from mishape.engine.wording import suggestion
from mishape.engine.yaml_marks import Source

OME = ".ome.tif"


@dataclass(frozen=True)
class Item:
    """One sample on disk: its record, and its arrays by name."""

    record: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name} {array.shape}" for name, array in self.arrays.items())
        return f"Item(sample {self.record['index']}, split {self.record['split']!r}: {arrays})"

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.arrays:
            raise DatasetError(f"sample {self.record['index']} has no array {name!r}: {suggestion(name, self.arrays)}")
        return self.arrays[name]


class Dataset:
    """A dataset on disk: `len`, iteration, and ``dataset[i]["epi.image"]``.

    Samples that failed and were left out count in `len`; iteration goes past them.

    Parameters
    ----------
    folder
        The dataset's folder.
    spec_folder
        Where the scene's relative paths start; by default where they started when the dataset was begun.

    Raises
    ------
    DatasetError
        If the folder is not a dataset, or is damaged or newer than this reader.
    """

    def __init__(self, folder: str | Path, spec_folder: Path | None = None) -> None:
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(self.folder)
        self._spec_folder = spec_folder or Path(self.manifest.spec_folder)
        self._opened = lru_cache(maxsize=64)(Shard)

    def __reduce__(self) -> tuple[type[Dataset], tuple[Path, Path]]:
        return Dataset, (self.folder, self._spec_folder)  # what is open stays here: another process opens its own

    @cached_property
    def spec(self) -> Spec:
        """The spec that made the dataset."""
        source = Source("scene of " + str(self.folder), self.manifest.spec_text)
        faults = [text for _, text in layout_faults(self.manifest.spec)]
        if faults:
            raise DatasetError(f"{str(self.folder / NAME)!r} is damaged: its spec is no scene: {faults[0]}")
        return Spec(self.manifest.spec, source, self._spec_folder)

    @property
    def missing(self) -> list[int]:
        """Numbers of the shards that are not there yet, or not as long as the dataset is meant to be by now."""
        return [n for n in range(self.manifest.shards) if not self._is_whole(n)]

    @property
    def finished(self) -> list[int]:
        """Numbers of the shards that are there, as long as they are meant to be."""
        return [n for n in range(self.manifest.shards) if self._is_whole(n)]

    @property
    def sealed(self) -> list[int]:
        """Numbers of the shards whose seal can be read, also if they are damaged, or not yet as long as meant."""

        def can_be_read(shard: int) -> bool:
            with suppress(DatasetError):
                return bool(self.shard(shard).seal)
            return False

        return [n for n in range(self.manifest.shards) if can_be_read(n)]

    def _is_whole(self, shard: int) -> bool:
        seal = shard_folder(self.folder, shard) / SEAL
        try:
            samples = json.loads(seal.read_text(encoding="utf-8"))["samples"]
        except FileNotFoundError:
            return False
        except (OSError, ValueError, LookupError, TypeError):
            return True  # it is there; whoever reads it says what is wrong with it
        return bool(samples == len(self.manifest.shard_samples(shard)))

    @property
    def holes(self) -> dict[int, str]:
        """Samples that failed and were left out, and why: number -> error."""
        lines = (line for shard in self.finished for line in self.shard(shard).records)
        return {line["index"]: line[HOLE] for line in lines if HOLE in line}

    def __len__(self) -> int:
        return self.manifest.samples

    def __iter__(self) -> Iterator[Item]:
        return (self[record["index"]] for record in self.records())

    def __getitem__(self, number: int) -> Item:
        if not 0 <= number < len(self):
            raise IndexError(f"sample {number} given, the dataset has 0 to {len(self) - 1}")
        shard, row = divmod(number, self.manifest.shard_size)
        part = self.shard(shard)
        if not row < len(part.records):
            raise DatasetError(f"sample {number} of {str(self.folder)!r} is missing: run generate again to make it")
        record = part.records[row]
        if HOLE in record:
            raise DatasetError(f"sample {number} failed when it was made, and was left out: {record[HOLE]}")
        return Item(record, {name: part.row(name, row) for name in part.names})

    def existing_records(self) -> Iterator[dict[str, Any]]:
        """Yield the record of every sample that is there, of finished shards alone."""
        for shard in self.finished:
            yield from (record for record in self.shard(shard).records if HOLE not in record)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the record of every sample but those that were left out."""
        for shard in range(self.manifest.shards):
            yield from (record for record in self.shard(shard).records if HOLE not in record)

    def shard(self, number: int) -> Shard:
        """Return one shard."""
        folder = shard_folder(self.folder, number)
        if not (folder / SEAL).is_file():
            raise DatasetError(f"shard {number} of {str(self.folder)!r} is missing: run generate again to make it")
        return self._opened(folder)

    def is_raster(self, name: str) -> bool:
        """Tell whether an array lies on a grid, rather than having one row per item."""
        return self._with(name).has_stack(name)

    def pixel_um(self, name: str) -> Mapping[str, float]:
        """Return the size of a raster's pixels by axis, um; without Z where planes lie at uneven distances."""
        return self._with(name).pixel_um(name)

    def _with(self, name: str) -> Shard:
        """Return the first shard that has an array: one without samples has none."""
        for number in range(self.manifest.shards):
            if name in (shard := self.shard(number)).names:
                return shard
        raise DatasetError(f"{str(self.folder)!r} has no array {name!r}")

    def libraries(self) -> dict[str, Library]:
        """Return the dataset's copies of the finite shape sources it used, by name."""
        folders = sorted((self.folder / "library").glob("*"))
        return {folder.name: open_library(folder) for folder in folders if folder.is_dir()}


class Shard:
    """A finished folder of samples; arrays are memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = lru_cache(maxsize=None)(self._map_stack)
        self._table = lru_cache(maxsize=None)(self._map_table)
        self.pixel_um = lru_cache(maxsize=None)(self._pixel_um)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The samples' records."""
        path = self.folder / RECORDS
        with _damage(path):
            records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            if not all(isinstance(record, dict) and "index" in record for record in records):
                raise ValueError("a line is not the record of a sample")
        return records

    @cached_property
    def seal(self) -> ShardSeal:
        """The content of shard.json: number of samples, finite sources, SHA-256 of each file."""
        return read_seal(ShardSeal, self.folder / SEAL)

    @cached_property
    def names(self) -> list[str]:
        """Names of all arrays."""
        stacks = [path.name.removesuffix(OME) for path in self.folder.glob(f"*{OME}")]
        tables = [path.name.removesuffix(".offsets.npy") for path in self.folder.glob("*.offsets.npy")]
        return sorted([*stacks, *tables])

    @cached_property
    def shapes(self) -> Library | None:
        """The shapes made for this shard, if a truth asked for them."""
        return open_library(self.folder / SHAPES) if (self.folder / SHAPES).is_dir() else None

    def has_stack(self, name: str) -> bool:
        """Tell whether an array is a stack, not a table."""
        return (self.folder / f"{name}{OME}").is_file()

    def row(self, name: str, number: int) -> NDArray[Any]:
        """Return one sample's array: (Z, Y, X) of a stack, or the rows of a table."""
        if self.has_stack(name):
            return np.asarray(self._stack(name)[number])
        table, offsets = self._table(name)
        return np.asarray(table[offsets[number] : offsets[number + 1]])

    def _pixel_um(self, name: str) -> Mapping[str, float]:
        """Return the size of a stack's pixels by axis, um, as its file says."""
        from xml.etree import ElementTree

        import tifffile

        path = self.folder / f"{name}{OME}"
        with _damage(path), tifffile.TiffFile(path) as tiff:
            pixels = ElementTree.fromstring(tiff.ome_metadata or "").find(".//{*}Pixels")
            if pixels is None:
                raise ValueError("it has no physical sizes")
        sizes = {axis: pixels.get(f"PhysicalSize{axis}") for axis in "XYZ"}
        return {axis: float(size) for axis, size in sizes.items() if size is not None}

    def _map_stack(self, name: str) -> NDArray[Any]:
        import tifffile

        path = self.folder / f"{name}{OME}"
        samples = len(self.records)
        with _damage(path):
            stack = tifffile.memmap(path, mode="r")
            with tifffile.TiffFile(path) as tiff:
                planes = tiff.series[0].shape
            return np.asarray(stack).reshape(samples, -1, *planes[-2:])

    def _map_table(self, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        with _damage(self.folder / f"{name}.npy"):
            table, offsets = (
                np.load(self.folder / f"{name}{ending}", mmap_mode="r", allow_pickle=False)
                for ending in (".npy", ".offsets.npy")
            )
        return table, offsets


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Say of any error that a file is damaged: it may fail in any way."""
    try:
        yield
    except Exception as error:
        raise DatasetError(
            f"{str(path)!r} is damaged ({type(error).__name__}: {error}): mishape verify --repair makes it anew"
        ) from None


def open_dataset(folder: str | Path) -> Dataset:
    """Open a dataset folder.

    Raises
    ------
    DatasetError
        If the folder is not a dataset, or is damaged or newer than this reader.
    """
    return Dataset(folder)
