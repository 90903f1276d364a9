"""Joining what several runs made of one dataset, each in a folder of its own."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from mishape.engine import registry
from mishape.engine.dataset import Dataset
from mishape.engine.errors import DatasetError
from mishape.engine.files import disk_errors, whole_folder
from mishape.engine.generate import Progress, claim, finish, open_folder
from mishape.engine.library_copies import sealed_files
from mishape.engine.lock import locked
from mishape.engine.manifest import differences
from mishape.engine.seals import read_seal, write_seal
from mishape.engine.shard_files import SEAL, shard_folder
from mishape.engine.sources import LibrarySeal, copies_in, seal_of_copy

CHUNK = 1 << 22


def merge(parts: Sequence[str | Path], out: str | Path, progress: Progress = lambda done, total: None) -> Dataset:
    """Join partial outputs of one spec into one dataset, or add to one that was joined before.

    Parameters
    ----------
    parts
        Folders that `generate` made with different `shards`. They are read only, and each file is compared with its
        hash while it is copied.
    out
        The dataset's folder; new, empty, or holding a part of the same dataset.
    progress
        Called after each shard with (samples done, samples in all).

    Returns
    -------
    Dataset
        Its `missing` lists shards that are in none of the parts; `generate` makes them, or a later `merge` adds them.

    Raises
    ------
    DatasetError
        If the parts are not of one dataset, two of them hold different versions of a shard, a file was altered, or the
        disk cannot be written. What was joined before stays.
    """
    datasets, folder = [Dataset(part) for part in parts], Path(out)
    if not datasets:
        raise DatasetError("no parts given: give the folders that generate made with --shards")
    _check_same(datasets)
    with disk_errors(folder):
        open_folder(folder)
    with locked(folder), disk_errors(folder):
        claim(folder, datasets[0].manifest)
        joined = Dataset(folder, datasets[0].spec.folder)
        _check_origins([*datasets, joined])
        _copy_shards(datasets, joined, progress)
        for dataset in datasets:
            _copy_libraries(dataset, folder)
        with copies_in(folder.resolve() / "library"):
            failures = finish(joined)
    registry.ledger.update(failures)
    return joined


def _check_same(datasets: Sequence[Dataset]) -> None:
    first = datasets[0]
    for other in datasets[1:]:
        changed = differences(first.manifest, other.manifest)
        if first.manifest.samples < other.manifest.samples:
            changed.append(f"samples: {first.manifest.samples} there, {other.manifest.samples} here")
        if changed:
            raise DatasetError(
                f"{str(first.folder)!r} and {str(other.folder)!r} are not parts of one dataset; they differ in:\n  "
                + "\n  ".join(changed)
            )


def _check_origins(datasets: Sequence[Dataset]) -> None:
    """Refuse parts whose shards were made from libraries or files that held different things."""
    made_from: dict[str, tuple[str, Path]] = {}
    for dataset in datasets:
        for number in dataset.finished:
            seal = dataset.shard(number).seal
            hashes = {f"library {name}": used.sha256 for name, used in seal.sources.items()}
            hashes |= {f"file {name!r}": digest for name, digest in seal.inputs.items()}
            for name, digest in hashes.items():
                before, where = made_from.setdefault(name, (digest, dataset.folder))
                if before != digest:
                    raise DatasetError(
                        f"{str(where)!r} and {str(dataset.folder)!r} were not made from the same: {name} held "
                        "something else. Make one of them anew"
                    )


def _copy_shards(datasets: Sequence[Dataset], joined: Dataset, progress: Progress) -> None:
    """Copy every shard that is not there yet from the first part that has it; all that have it must agree."""
    manifest, missing = joined.manifest, {*joined.missing}
    there = [(dataset, {*dataset.finished}) for dataset in (*datasets, joined)]
    owners = {n: [dataset for dataset, finished in there if n in finished] for n in range(manifest.shards)}
    done = 0
    for number, holders in owners.items():
        _check_equal(holders, number)
        if number in missing and holders:
            seal = holders[0].shard(number).seal
            with whole_folder(shard_folder(joined.folder, number), replace=True) as target:
                for file, digest in seal.files.items():
                    copy_checked(shard_folder(holders[0].folder, number) / file, target / file, digest)
                shutil.copyfile(shard_folder(holders[0].folder, number) / SEAL, target / SEAL)
        done += len(manifest.shard_samples(number)) * bool(holders)
        progress(done, manifest.samples)


def _check_equal(holders: Sequence[Dataset], number: int) -> None:
    for other in holders[1:]:
        if other.shard(number).seal != holders[0].shard(number).seal:
            raise DatasetError(
                f"shard {number} is not the same in {str(holders[0].folder)!r} and {str(other.folder)!r}: find out "
                "which is whole by mishape verify, and leave the other out"
            )


def _copy_libraries(dataset: Dataset, out: Path) -> None:
    """Copy a part's copies of libraries that are not there yet."""
    for name in _sealed_copies(dataset):
        target = out / "library" / name
        if seal_of_copy(target).is_file():
            continue
        files = sealed_files(dataset, name)
        if files:
            with whole_folder(target, replace=True) as folder:
                for path, digest in files.items():
                    copy_checked(path, folder / path.name, digest)
        target.parent.mkdir(exist_ok=True)
        write_seal(seal_of_copy(target), read_seal(LibrarySeal, seal_of_copy(dataset.folder / "library" / name)))


def _sealed_copies(dataset: Dataset) -> Iterator[str]:
    return (path.stem for path in sorted((dataset.folder / "library").glob("*.json")))


def copy_checked(source: Path, target: Path, digest: str) -> None:
    """Copy a file and compare it with its SHA-256 on the way.

    Raises
    ------
    DatasetError
        If it was altered, or is gone.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.resolve() == target.resolve():
        raise DatasetError(f"{str(source)!r} cannot be copied onto itself")
    found = hashlib.sha256()
    try:
        with source.open("rb") as file, target.open("wb") as copy:
            while chunk := file.read(CHUNK):
                found.update(chunk)
                copy.write(chunk)
    except FileNotFoundError:
        raise DatasetError(f"{str(source)!r} is missing: mishape verify --repair makes it anew") from None
    if found.hexdigest() != digest:
        raise DatasetError(f"{str(source)!r} was altered (its SHA-256 differs): mishape verify --repair makes it anew")
