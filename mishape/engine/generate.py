"""Making a dataset: the missing shards, then copies of the libraries, then the hooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mishape.engine import hooks
from mishape.engine.dataset import Dataset, open_dataset
from mishape.engine.errors import DatasetError
from mishape.engine.execute import executor_for
from mishape.engine.files import disk_errors, remove_leftovers
from mishape.engine.library_copies import keep_libraries
from mishape.engine.manifest import NAME, Manifest, differences, manifest_of, read_manifest, write_manifest
from mishape.engine.protocols import Executor
from mishape.engine.shard import ShardJob
from mishape.engine.spec import Spec, load_spec

Progress = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""


def generate(
    spec: Spec | str | Path,
    out: str | Path,
    samples: int | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Progress = lambda done, total: None,
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
        Anything with `imap`, in place of `workers`.
    progress
        Called after each shard with (samples done, samples in all).

    Raises
    ------
    SpecError
        If the scene is wrong.
    DatasetError
        If the folder holds something else, or cannot be written. Finished shards stay.
    """
    spec = (spec if isinstance(spec, Spec) else load_spec(spec)).with_values(samples=samples)
    folder = Path(out)
    manifest = manifest_of(spec)
    with disk_errors(folder):
        _claim(folder, manifest)
    dataset = open_dataset(folder)
    missing = dataset.missing
    done = sum(len(manifest.shard_samples(n)) for n in range(manifest.shards) if n not in set(missing))
    progress(done, manifest.samples)
    if missing:
        chosen = executor or executor_for(min(workers, len(missing)))
        for made in chosen.imap(ShardJob(spec, folder.resolve(), manifest), missing):
            done += made
            progress(done, manifest.samples)
    with disk_errors(folder):
        keep_libraries(dataset)
        hooks.call("mishape_dataset_done", dataset=dataset)
    return dataset


def _claim(folder: Path, manifest: Manifest) -> None:
    """Begin the dataset, or make sure that the one in the folder is the same."""
    if (folder / NAME).is_file():
        changed = differences(read_manifest(folder), manifest)
        if changed:
            raise DatasetError(
                f"{str(folder)!r} holds another dataset; it differs in:\n  "
                + "\n  ".join(changed)
                + "\nGive another output folder, or the same scene and versions to go on with this one"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{str(folder)!r} exists and is not a dataset: give a new or empty folder")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(folder, manifest)
    (folder / "shards").mkdir(exist_ok=True)
    for part in (folder, folder / "shards", folder / "library"):
        remove_leftovers(part)
