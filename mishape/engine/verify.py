"""Verifying a dataset: every file against its hash, and some samples against a fresh simulation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mishape.engine.dataset import Dataset, Item
from mishape.engine.errors import DatasetError
from mishape.engine.execute import one_thread
from mishape.engine.files import canonical, sha256
from mishape.engine.library_copies import sealed_files
from mishape.engine.seeding import Stage, stream
from mishape.engine.shard import SEAL, rasters_of, shard_folder
from mishape.engine.simulate import simulate
from mishape.engine.types import Raster, Sample


@dataclass(frozen=True)
class Verdict:
    """What `verify` found.

    Parameters
    ----------
    files, remade
        How many files were hashed; which samples were simulated anew.
    faults
        What is wrong, one line each; empty if all is well.
    """

    files: int
    remade: list[int]
    faults: list[str]


def verify(dataset: Dataset, remake: int = 3) -> Verdict:
    """Check a dataset.

    Parameters
    ----------
    remake
        How many samples, chosen at random by the dataset's seed, are simulated anew and compared byte by byte.
    """
    faults, files = [], 0
    for shard in range(dataset.manifest.shards):
        checked, wrong = _hashes(dataset, shard)
        files += checked
        faults += wrong
    for path, digest in sealed_files(dataset).items():
        files += 1
        if fault := _fault(path, digest):
            faults.append(f"{path.relative_to(dataset.folder).as_posix()} {fault}")
    chosen: list[int] = []
    if not faults and remake:
        rng = stream(dataset.manifest.seed, 0, Stage.TRUTH, "verify")
        chosen = sorted(int(n) for n in rng.permutation(len(dataset))[:remake])
        faults = [fault for number in chosen for fault in one_thread(lambda n: list(_remade(dataset, n)), number)]
    return Verdict(files, chosen, faults)


def _hashes(dataset: Dataset, number: int) -> tuple[int, list[str]]:
    folder = shard_folder(dataset.folder, number)
    name = folder.relative_to(dataset.folder).as_posix()
    try:
        listed: dict[str, str] = dataset.shard(number).seal["files"]
    except DatasetError as error:
        return 0, [str(error)]
    except (OSError, ValueError, KeyError) as error:
        return 0, [f"{name}/{SEAL} cannot be read ({error}): delete the folder and run generate again"]
    faults = [f"{name}/{file} {fault}" for file, digest in listed.items() if (fault := _fault(folder / file, digest))]
    extra = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {*listed, SEAL}
    faults += [f"{name}/{file} does not belong to the dataset" for file in sorted(extra)]
    return len(listed), faults


def _fault(path: Path, digest: str) -> str | None:
    remedy = "delete the folder that holds it and run generate again"
    if not path.is_file():
        return f"is missing: {remedy}"
    return None if sha256(path) == digest else f"was altered (its SHA-256 differs): {remedy}"


def _remade(dataset: Dataset, number: int) -> Iterator[str]:
    item, sample = dataset[number], simulate(dataset.spec.scene(number), describe=False)
    if canonical(item.record) != canonical(sample.record):
        yield f"sample {number}: its record differs from a fresh simulation"
    for name, fresh in arrays_of(sample).items():
        if not _same(item, name, fresh):
            yield f"sample {number}: {name} differs from a fresh simulation"


def arrays_of(sample: Sample) -> dict[str, Any]:
    """Return a sample's arrays under the names that they have on disk."""
    tables = {name: table for name, table in sample.truths.items() if not isinstance(table, Raster)}
    return {**{name: raster.data for name, raster in rasters_of(sample).items()}, **tables}


def _same(item: Item, name: str, fresh: Any) -> bool:
    stored = item.arrays.get(name)
    return stored is not None and stored.dtype == fresh.dtype and np.array_equal(stored, fresh)
