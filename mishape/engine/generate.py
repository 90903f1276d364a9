"""Making a dataset: the missing shards, then copies of the libraries, then the hooks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from mishape.engine import hooks, registry
from mishape.engine.dataset import Dataset
from mishape.engine.devices import find_device
from mishape.engine.errors import DatasetError
from mishape.engine.execute import named_executor
from mishape.engine.files import disk_errors, remove_leftovers
from mishape.engine.library_copies import keep_libraries, used_sources
from mishape.engine.lock import LOCK, locked
from mishape.engine.manifest import NAME, Manifest, differences, manifest_of, read_manifest, write_manifest
from mishape.engine.protocols import Executor
from mishape.engine.shard import ShardJob, shard_folder
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
) -> Dataset:
    """Make a dataset, or the shards that are missing in one that was interrupted.

    Parameters
    ----------
    spec
        A spec, or the path of a scene file.
    out
        The dataset's folder; new, empty, or holding an unfinished dataset of the same spec.
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
    """
    spec = (spec if isinstance(spec, Spec) else load_spec(spec)).with_values(samples=samples)
    folder = Path(out)
    manifest = manifest_of(spec, find_device(device))
    chosen = named_executor(executor, workers) if isinstance(executor, str) else executor
    with disk_errors(folder):
        _open_folder(folder)
    with locked(folder):
        with disk_errors(folder):
            _claim(folder, manifest)
        # A folder may have moved since it was begun: the paths of today's scene count.
        dataset = Dataset(folder, spec.folder)
        used_sources(dataset)  # before hours of work, rather than after them
        if changed := [*changed_inputs(dataset)]:
            raise DatasetError("\n".join([*changed, "Put back what they held, or give another output folder"]))
        job = ShardJob(spec, folder.resolve(), manifest, device)
        failures = _make_missing(dataset, job, chosen, workers, progress)
        with disk_errors(folder):
            keep_libraries(dataset)
            failures = {**hooks.call("mishape_dataset_done", dataset=dataset), **failures}
    registry.ledger.update(failures)
    return dataset


def _make_missing(
    dataset: Dataset, job: ShardJob, executor: Executor | None, workers: int, progress: Progress
) -> dict[str, str]:
    """Make the missing shards; return which hook plugins failed, and why they did so first."""
    manifest, missing = dataset.manifest, dataset.missing
    done = sum(len(manifest.shard_samples(n)) for n in range(manifest.shards) if n not in set(missing))
    progress(done, manifest.samples)
    failures: dict[str, str] = {}
    workers = min(workers, len(missing))
    executor = executor or named_executor("processes" if workers > 1 else "inline", workers)
    for made in executor.imap(job, missing):
        done += made.samples
        failures = {**made.failures, **failures}
        progress(done, manifest.samples)
    return failures


def _open_folder(folder: Path) -> None:
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


def _claim(folder: Path, manifest: Manifest) -> None:
    """Begin the dataset, or make sure that the one in the folder is the same; remove what is not finished."""
    if (folder / NAME).is_file():
        changed = differences(read_manifest(folder), manifest)
        if changed:
            raise DatasetError(
                f"{str(folder)!r} holds another dataset; it differs in:\n  "
                + "\n  ".join(changed)
                + "\nGive another output folder, or the same scene and versions to go on with this one"
            )
    else:
        write_manifest(folder, manifest)
    (folder / "shards").mkdir(exist_ok=True)
    for part in (folder, folder / "shards", folder / "library"):
        remove_leftovers(part)
    for shard in Dataset(folder).missing:  # one that has lost its seal would be in the way
        shutil.rmtree(shard_folder(folder, shard), ignore_errors=True)
