"""``library/``: the finite shape sources that a dataset used, copied or by their hash, and checked.

::

    library/<name>.json   the source as the scene gives it, its shapes' hash, the copy's files with their SHA-256
    library/<name>/       the copy: meshes in their own frames, with the truths that belong to a shape
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mishape.engine import registry
from mishape.engine.dataset import Dataset
from mishape.engine.files import canonical, sha256, write_whole
from mishape.engine.seeding import Stage, stream
from mishape.engine.shard import write_shapes
from mishape.engine.simulate import describe_shape
from mishape.engine.types import Shape


def keep_libraries(dataset: Dataset) -> None:
    """Write what is missing of ``library/``."""
    sources: dict[str, Any] = {}
    for shard in range(dataset.manifest.shards):
        sources.update(dataset.shard(shard).seal["sources"])
    for name, plain in sorted(sources.items()):
        copied = not dataset.spec.head.dataset.copy_library or (dataset.folder / "library" / name).is_dir()
        if not (copied and _seal_path(dataset, name).is_file()):
            _keep(dataset, name, plain)


def _keep(dataset: Dataset, name: str, plain: dict[str, Any]) -> None:
    cls = registry.load("shapes", plain["kind"])
    source = cls.model_validate(plain, context={"folder": dataset.spec.folder})
    rngs = {shape_id: stream(dataset.manifest.seed, 0, Stage.SHAPE, shape_id) for shape_id in sorted(source.keys())}
    shapes = [source.sample(rng, shape_id) for shape_id, rng in rngs.items()]
    files: dict[str, str] = {}
    if dataset.spec.head.dataset.copy_library:
        target = dataset.folder / "library" / name
        if not target.exists():
            scene = dataset.spec.scene(0)
            described = [describe_shape(scene, shape) for shape in shapes]
            write_shapes(target, name, shapes, described, getattr(source, "citation", ""))
        files = {path.name: sha256(path) for path in sorted(target.iterdir())}
    seal = {"source": plain, "shapes": len(shapes), "sha256": _content_hash(shapes), "files": files}
    _seal_path(dataset, name).parent.mkdir(exist_ok=True)
    write_whole(_seal_path(dataset, name), canonical(seal, indent=2) + "\n")


def _seal_path(dataset: Dataset, name: str) -> Path:
    return dataset.folder / "library" / f"{name}.json"


def _content_hash(shapes: Iterable[Shape]) -> str:
    digest = hashlib.sha256()
    for shape in shapes:
        digest.update(shape.id.encode())
        digest.update(shape.surface.vertices_nm.tobytes())
        digest.update(shape.surface.faces.tobytes())
    return digest.hexdigest()


def sealed_files(dataset: Dataset) -> dict[Path, str]:
    """Return every file of the copies with the SHA-256 that it should have."""
    sealed = {}
    for path in sorted((dataset.folder / "library").glob("*.json")):
        files: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["files"]
        sealed.update({path.with_suffix("") / name: digest for name, digest in files.items()})
    return sealed
