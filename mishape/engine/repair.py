"""Repairing a dataset: what `verify` finds damaged or missing is made anew, with the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from mishape.engine import registry
from mishape.engine.dataset import Dataset
from mishape.engine.errors import DatasetError
from mishape.engine.execute import named_executor
from mishape.engine.files import disk_errors
from mishape.engine.generate import Progress, finish, make_shards
from mishape.engine.integrity import check_files
from mishape.engine.library_copies import used_sources
from mishape.engine.lock import locked
from mishape.engine.manifest import NAME
from mishape.engine.protocols import Executor
from mishape.engine.shard import ShardJob
from mishape.engine.shard_files import HOLE, shard_folder
from mishape.engine.sources import copies_in, seal_of_copy
from mishape.engine.used_inputs import changed_inputs
from mishape.engine.verify import hindrance
from mishape.engine.versions import other_versions


def repair(
    dataset: Dataset,
    workers: int = 1,
    executor: Executor | str | None = None,
    progress: Progress = lambda done, total: None,
) -> list[str]:
    """Make anew what is damaged or missing, and try those samples again that failed.

    Whole copies of libraries stand in for their sources, which need not be there any more. A damaged shard stays until
    the new one is ready.

    Parameters
    ----------
    workers, executor, progress
        As for `generate`.

    Returns
    -------
    list
        Names of the parts that were made anew, as shards/000003.

    Raises
    ------
    DatasetError
        If this process cannot make what the dataset holds (a missing plugin, other versions, another code path, no such
        device), if dataset.json itself was altered, files that microscopes or detectors read have changed, or the
        source of a damaged copy is gone; nothing is changed then. If a sample fails that did not fail before.
    """
    if reason := hindrance(dataset.manifest) or "; ".join(other_versions(dataset.manifest.versions)):
        raise DatasetError(f"{str(dataset.folder)!r} cannot be repaired: {reason}")
    chosen = named_executor(executor, workers) if isinstance(executor, str) else executor
    folder = dataset.folder.resolve()
    with locked(folder):
        faulty = _faulty(dataset)
        whole = [n for n in range(dataset.manifest.shards) if _name(dataset, n) not in faulty]
        with copies_in(folder / "library"):
            used_sources(dataset)
        if changed := [*changed_inputs(dataset)]:
            raise DatasetError("\n".join([*changed, "Put back what they held: else repaired shards would differ"]))
        holes = {record["index"] for n in whole for record in dataset.shard(n).records if HOLE in record}
        size = dataset.manifest.shard_size
        shards = sorted({*range(dataset.manifest.shards)} - {*whole} | {hole // size for hole in holes})
        _remove_copies(dataset, [name for name in faulty if name.startswith("library/")], whole)
        copies, device = folder / "library", dataset.manifest.device
        job = ShardJob(dataset.spec, folder, dataset.manifest, device, frozenset(holes), copies=copies)
        failures = make_shards(dataset, job, shards, chosen, workers, progress)
        with copies_in(copies):
            failures = {**finish(Dataset(folder)), **failures}
    registry.ledger.update(failures)
    return sorted({*faulty, *(_name(dataset, shard) for shard in shards)})


def _faulty(dataset: Dataset) -> list[str]:
    """Return the names of the damaged or missing parts that can be made."""
    parts = check_files(dataset)
    altered = [fault for part in parts if part.name == NAME for fault in part.faults]
    if altered:
        raise DatasetError("\n".join([*altered, f"Nothing but {NAME} says what to make: put back what it held"]))
    return [part.name for part in parts if part.faults and part.name.count("/")]


def _name(dataset: Dataset, shard: int) -> str:
    return shard_folder(dataset.folder, shard).relative_to(dataset.folder).as_posix()


def _remove_copies(dataset: Dataset, names: Sequence[str], whole: Sequence[int]) -> None:
    """Remove damaged copies of libraries, whose sources must be there to be copied again."""
    if names:
        used_sources(dataset, whole)
    with disk_errors(dataset.folder):
        for name in names:
            shutil.rmtree(dataset.folder / name, ignore_errors=True)
            seal_of_copy(dataset.folder / name).unlink(missing_ok=True)
