"""Whether a dataset's files are what was written: every file against its hash, and nothing beside them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mishape.engine.dataset import Dataset
from mishape.engine.errors import DatasetError
from mishape.engine.files import sha256
from mishape.engine.library_copies import sealed_files
from mishape.engine.manifest import NAME
from mishape.engine.seals import read_seal
from mishape.engine.shard_files import SEAL, shard_folder
from mishape.engine.sources import LibrarySeal, seal_of_copy


@dataclass(frozen=True)
class Part:
    """A part of a dataset that is made as a whole, and what is wrong with its files.

    Parameters
    ----------
    name
        Of its folder or file, seen from the dataset's.
    files
        How many files were hashed.
    faults
        What is wrong, one line each.
    """

    name: str
    files: int
    faults: list[str]


def check_files(dataset: Dataset, shards: Iterable[int] | None = None) -> list[Part]:
    """Return every part of a dataset, its files compared with their hashes; of its shards these alone, if given."""
    chosen = range(dataset.manifest.shards) if shards is None else shards
    parts = [_manifest(dataset), *(_shard(dataset, shard) for shard in chosen)]
    used = sorted(_used(dataset).items())
    return [*parts, _strays(dataset), *(_library(dataset, name, made_from) for name, made_from in used)]


def _manifest(dataset: Dataset) -> Part:
    """Compare what dataset.json says twice: once in its spec."""
    manifest, spec = dataset.manifest, dataset.spec
    said = {
        "spec_hash": (manifest.spec_hash, spec.hash),
        "seed": (manifest.seed, spec.seed),
        "samples": (manifest.samples, spec.samples),
        "shard_size": (manifest.shard_size, spec.head.dataset.shard_size),
        "splits": (manifest.splits, spec.head.dataset.splits),
    }
    faults = [
        f"dataset.json was altered: its {key} is {stated}, its spec says {meant}"
        for key, (stated, meant) in said.items()
        if stated != meant
    ]
    return Part(NAME, 0, faults)


def _shard(dataset: Dataset, number: int) -> Part:
    folder, expected = shard_folder(dataset.folder, number), len(dataset.manifest.shard_samples(number))
    name = folder.relative_to(dataset.folder).as_posix()
    try:
        seal = dataset.shard(number).seal
    except DatasetError as error:
        return Part(name, 0, [str(error)])
    faults = [
        f"{name}/{file} {fault}" for file, hash in seal.files.items() if (fault := _fault(folder / file, hash, name))
    ]
    extra = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {*seal.files, SEAL}
    faults += [f"{name}/{file} does not belong to the dataset" for file in sorted(extra)]
    if seal.samples != expected:
        faults.append(f"{name} holds {seal.samples} sample(s), dataset.json says {expected}")
    return Part(name, len(seal.files), faults)


def _strays(dataset: Dataset) -> Part:
    """Find what lies among the shards and is none of them."""
    expected = {shard_folder(dataset.folder, number) for number in range(dataset.manifest.shards)}
    found = sorted({*(dataset.folder / "shards").glob("*")} - expected)
    faults = [
        f"{path.relative_to(dataset.folder).as_posix()} does not belong to the dataset: remove it" for path in found
    ]
    return Part("shards", 0, faults)


def _used(dataset: Dataset) -> dict[str, set[str]]:
    """Return the hashes of the finite sources of all shards that can be read, by name; others are faults already."""
    found: dict[str, set[str]] = {}
    for shard in range(dataset.manifest.shards):
        with suppress(DatasetError):
            for name, used in dataset.shard(shard).seal.sources.items():
                found.setdefault(name, set()).add(used.sha256)
    return found


def _library(dataset: Dataset, name: str, made_from: set[str]) -> Part:
    part = f"library/{name}"
    try:
        files = sealed_files(dataset, name)
    except DatasetError as error:
        return Part(part, 0, [str(error)])
    faults = [
        f"{path.relative_to(dataset.folder).as_posix()} {fault}"
        for path, digest in files.items()
        if (fault := _fault(path, digest, path.parent.relative_to(dataset.folder).as_posix()))
    ]
    if read_seal(LibrarySeal, seal_of_copy(dataset.folder / part)).sha256 not in made_from or len(made_from) > 1:
        faults.append(f"{part} is not what all shards were made from")
    return Part(part, len(files), faults)


def _fault(path: Path, digest: str, part: str) -> str | None:
    """Tell what is wrong with a file of a part of the dataset that is made as a whole."""
    remedy = f"mishape verify --repair makes {part} anew"
    if not path.is_file():
        return f"is missing: {remedy}"
    return None if sha256(path) == digest else f"was altered (its SHA-256 differs): {remedy}"
