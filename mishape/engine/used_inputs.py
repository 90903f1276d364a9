"""Files that a dataset's shapes, microscopes and detectors read: what they held when a shard was made, and do now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mishape.engine.component import Component
from mishape.engine.inputs import input_hash

if TYPE_CHECKING:
    from mishape.engine.dataset import Dataset
    from mishape.engine.scene import Scene


def used_inputs(scene: Scene) -> dict[str, str]:
    """Return the SHA-256 of each file that a scene reads beside its libraries, as it names it."""
    read = [part for view in scene.views.values() for part in (view.microscope, view.noise)]
    return {
        str(getattr(part, parameter)): input_hash(path)
        for part in (*read, *(thing.shape for thing in scene.objects))
        if isinstance(part, Component)
        for parameter, path in part.input_files().items()
    }


def changed_inputs(dataset: Dataset, shards: Sequence[int] | None = None) -> Iterator[str]:
    """Tell, one line each, which files are no longer what shards were made with; by default all that say it."""
    told: set[str] = set()
    for shard in dataset.sealed if shards is None else shards:
        for name, made_with in dataset.shard(shard).seal.inputs.items():
            path = dataset.spec.folder / name
            if name in told or (path.is_file() and input_hash(path) == made_with):
                continue
            told.add(name)
            fate = "holds something else now" if path.is_file() else f"is gone: there is no file {str(path)!r}"
            yield f"input file {name!r} {fate}; shard {shard} was made with the one of SHA-256 {made_with[:12]}..."
