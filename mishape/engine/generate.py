"""Making a dataset: the missing shards, then copies of the libraries, then the hooks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mishape.engine import hooks, registry
from mishape.engine.dataset import Dataset
from mishape.engine.devices import find_device
from mishape.engine.errors import DatasetError
from mishape.engine.execute import named_executor
from mishape.engine.files import disk_errors, remove_leftovers
from mishape.engine.library_copies import keep_libraries, used_sources
from mishape.engine.licences import refuse_sources
from mishape.engine.lock import LOCK, locked
from mishape.engine.manifest import NAME, Manifest, differences, manifest_of, read_manifest, write_manifest
from mishape.engine.protocols import Executor
from mishape.engine.shard import ShardJob
from mishape.engine.shard_files import SEAL, shard_folder
from mishape.engine.spec import Spec, load_spec
from mishape.engine.used_inputs import changed_inputs

Progress = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""


def generate(
    spec: Spec | str | Path,
    out: str | Path,
    samples: int | None = None,
    workers: int = 1,
    executor: Executor | str | None = None,
    progress: Progress = lambda done, total: None,
    device: str = "cpu",
    *,
    shards: range | None = None,
    skip_errors: bool = False,
    commercial_ok: bool = False,
) -> Dataset:
    """Make a dataset, or what is missing of one that was interrupted or is to be longer.

    Parameters
    ----------
    spec
        A spec, or the path of a scene file.
    out
        The dataset's folder; new, empty, or holding a dataset of the same spec with as many samples or fewer.
    samples
        Number of samples; the spec's own by default.
    workers
        Worker processes; 1 works in this process. The bytes do not depend on it.
    executor
        Name of an installed executor, which is made with `workers`, or anything with `imap`. By default `processes`
        for more than one worker, else `inline`.
    progress
        Called after each shard with (samples done, samples in all).
    device
        Where images are computed: cpu, cuda, cuda:N, torch:cpu, torch:cuda or torch:cuda:N. Several workers share it.
    shards
        Make these shards alone, for `merge` to join with what other runs make; all by default.
    skip_errors
        Leave out samples that fail (`Dataset.holes` says which, and why), where else the first of them ends the run.
    commercial_ok
        Refuse shapes that may not be used commercially, or do not say so.

    Raises
    ------
    SpecError
        If the scene is wrong.
    MishapeError
        If there is no such device.
    DatasetError
        If the folder holds something else or another run works in it, if a library has changed, or if the disk cannot
        be written. Finished shards stay.
    PluginError
        If the executor is unknown, or a plugin fails.
    ShapeError
        If a shape may not be used commercially, and that is asked for.
    """
    spec = (spec if isinstance(spec, Spec) else load_spec(spec)).with_values(samples=samples)
    folder = Path(out)
    manifest = manifest_of(spec, find_device(device))
    chosen = named_executor(executor, workers) if isinstance(executor, str) else executor
    if commercial_ok:
        refuse_sources(spec.shape_sources())
    with disk_errors(folder):
        open_folder(folder)
    with locked(folder):
        with disk_errors(folder):
            claim(folder, manifest)
        # A folder may have moved since it was begun: the paths of today's scene count.
        dataset = Dataset(folder, spec.folder)
        used_sources(dataset)  # before hours of work, rather than after them
        if changed := [*changed_inputs(dataset)]:
            raise DatasetError("\n".join([*changed, "Put back what they held, or give another output folder"]))
        wanted = _wanted(dataset, shards)
        may_fail = range(manifest.samples if skip_errors else 0)
        job = ShardJob(spec, folder.resolve(), manifest, device, may_fail, commercial_ok)
        failures = make_shards(dataset, job, wanted, chosen, workers, progress)
        dataset = Dataset(folder, spec.folder)  # shards that grew are opened anew
        failures = {**finish(dataset), **failures}
    registry.ledger.update(failures)
    return dataset


def _wanted(dataset: Dataset, shards: range | None) -> list[int]:
    """Return which of the missing shards are to be made."""
    if shards is not None and not shards.start < min(shards.stop, dataset.manifest.shards):
        raise DatasetError(
            f"shards {shards.start}:{shards.stop} asked for: the dataset has {dataset.manifest.shards}, "
            f"so give a part of 0:{dataset.manifest.shards}"
        )
    return [number for number in dataset.missing if shards is None or number in shards]


def make_shards(
    dataset: Dataset, job: ShardJob, shards: Sequence[int], executor: Executor | None, workers: int, progress: Progress
) -> dict[str, str]:
    """Make shards; return which hook plugins failed, and why they did so first."""
    manifest, wanted = dataset.manifest, set(shards)
    total = sum(len(manifest.shard_samples(n)) for n in {*dataset.finished} | wanted)
    done = total - sum(len(manifest.shard_samples(n)) for n in wanted)
    progress(done, total)
    failures: dict[str, str] = {}
    workers = min(workers, len(shards))
    executor = executor or named_executor("processes" if workers > 1 else "inline", workers)
    for made in executor.imap(job, shards):
        done += made.samples
        failures = {**made.failures, **failures}
        progress(done, total)
    return failures


def finish(dataset: Dataset) -> dict[str, str]:
    """Keep the libraries of what is there, and call the hooks once all is; return which of them failed, and why."""
    with disk_errors(dataset.folder):
        _clear(dataset.folder)  # an executor may have gone on after a worker died
        keep_libraries(dataset)
        if dataset.missing:
            return {}
        if next(dataset.records(), None) is None:
            raise DatasetError(f"none of {len(dataset)} samples could be made; the first: {dataset.holes[0]}")
        return hooks.call("mishape_dataset_done", dataset=dataset)


def open_folder(folder: Path) -> None:
    """Make the dataset's folder, or make sure that what is there was begun by us."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
    elif not _may_be_ours(folder):
        raise DatasetError(f"{str(folder)!r} exists and is not a dataset: give a new or empty folder")


def _may_be_ours(folder: Path) -> bool:
    """Tell whether a folder holds a dataset, or no more than a run leaves that is killed in its first moment."""
    return folder.is_dir() and (
        (folder / NAME).is_file() or all(path.name.startswith((LOCK, f"{NAME}.")) for path in folder.iterdir())
    )


def claim(folder: Path, manifest: Manifest) -> None:
    """Begin the dataset, or make sure that the one in the folder is the same, or will be when it is longer.

    What is not finished is removed.
    """
    before = read_manifest(folder) if (folder / NAME).is_file() else None
    if before is not None:
        changed = differences(before, manifest)
        if changed:
            raise DatasetError(
                f"{str(folder)!r} holds another dataset; it differs in:\n  "
                + "\n  ".join(changed)
                + "\nGive another output folder, or the same scene and versions to go on with this one"
            )
    if before is None or before.samples < manifest.samples:
        write_manifest(folder, manifest)
    (folder / "shards").mkdir(exist_ok=True)
    _clear(folder)
    for shard in Dataset(folder).missing:
        if not (shard_folder(folder, shard) / SEAL).is_file():
            shutil.rmtree(shard_folder(folder, shard), ignore_errors=True)


def _clear(folder: Path) -> None:
    """Remove what is not finished."""
    for part in (folder, folder / "shards", folder / "library"):
        remove_leftovers(part)
