"""dataset.json: what a dataset is made from, and how it is laid out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from mishape.engine.component import Model, Whole
from mishape.engine.devices import HOST, Device, Kind
from mishape.engine.errors import DatasetError
from mishape.engine.fast import SWITCH, CodePath, code_path, compiler
from mishape.engine.files import write_whole
from mishape.engine.scene import Name, Scene
from mishape.engine.spec import Spec
from mishape.engine.versions import versions_of

NAME = "dataset.json"
FORMAT: Literal[1] = 1


class Manifest(Model):
    """The content of dataset.json."""

    format: Literal["mishape-dataset"] = "mishape-dataset"
    """Always mishape-dataset."""
    version: Whole = FORMAT
    """Version of the format; this is 1."""
    spec_text: str
    """The scene file, verbatim."""
    spec: dict[str, Any]
    """The scene file's data, with what the command line changed."""
    spec_folder: str
    """Where the scene file's relative paths start."""
    spec_hash: str
    """SHA-256 of the scene's data without `samples`."""
    seed: Whole
    """Seed of all random streams."""
    samples: Whole = Field(ge=1, le=100_000_000)
    """Number of samples."""
    shard_size: Whole = Field(ge=1, le=100_000)
    """Samples per shard; the last one may hold fewer."""
    splits: dict[Name, float]
    """Share of each split."""
    views: dict[Name, Any]
    """Grid and montage of each view."""
    versions: dict[str, str]
    """Version of mishape, of NumPy, SciPy and of every plugin's distribution; of numba, CuPy or torch where their code
    made the data."""
    code_path: CodePath = "core"
    """Which code worked on the host: the core's or the compiled one (fast), whose bytes differ. Default core: datasets
    that do not say are from before there was another."""
    device: Kind = "cpu"
    """Where images were computed: cpu (NumPy), cuda (CuPy), torch:cpu or torch:cuda (torch), whose bytes differ; which
    of several GPUs does not matter. Default cpu: datasets that do not say are from before there was another."""

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.samples // self.shard_size)

    def shard_samples(self, shard: int) -> range:
        """Return the numbers of a shard's samples."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, self.samples))


def manifest_of(spec: Spec, device: Device = HOST) -> Manifest:
    """Return the manifest of the dataset that a spec makes on a device."""
    first = spec.scene(0)
    return Manifest(
        spec_text=spec.source.text,
        spec=dict(spec.document),
        spec_folder=str(spec.folder),
        spec_hash=spec.hash,
        seed=spec.seed,
        samples=spec.samples,
        shard_size=spec.head.dataset.shard_size,
        splits=spec.head.dataset.splits,
        views=_views(first),
        versions={**versions_of(first), **compiler(), **device.versions},
        code_path=code_path(),
        device=device.kind,
    )


def _views(scene: Scene) -> dict[str, Any]:
    plain = scene.model_dump(mode="json", include={"views"})["views"]
    return {name: {"grid": view["grid"], "montage": view["montage"]} for name, view in plain.items()}


def read_manifest(folder: Path) -> Manifest:
    """Read a dataset's manifest.

    Raises
    ------
    DatasetError
        If the folder is not a dataset, its manifest is damaged, or it is newer than this reader.
    """
    path = folder / NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(f"{str(folder)!r} is not a dataset: it holds no {NAME}") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{str(path)!r} cannot be read: {error}") from None
    if isinstance(data, dict) and isinstance(data.get("version"), int) and data["version"] > FORMAT:
        raise DatasetError(f"{str(folder)!r} is of format {data['version']}, newer than this mishape reads ({FORMAT})")
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        raise DatasetError(f"{str(path)!r} is damaged: {error.errors()[0]['msg']}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a dataset's manifest, whole or not at all."""
    write_whole(folder / NAME, manifest.model_dump_json(indent=2) + "\n")


def other_path(made: Manifest) -> str:
    """Return a line for a dataset made on another code path than this process's, with what to do about it."""
    remedy = {
        "fast": f"pip install 'mishape[fast]', and do not set {SWITCH}=0",
        "core": f"set the environment variable {SWITCH}=0",
    }
    return f"code path: {made.code_path} there, {code_path()} here ({remedy[made.code_path]})"


def differences(old: Manifest, new: Manifest) -> list[str]:
    """Return, one line each, why a run of `new` cannot go on in a folder of `old`; more samples are no reason."""
    before, after = old.model_dump(), new.model_dump()
    lines = []
    if old.samples > new.samples:
        lines.append(f"samples: {old.samples} there, {new.samples} here; a dataset can grow, but not shrink")
    if old.shard_size != new.shard_size:
        lines.append(f"shard_size: {old.shard_size} there, {new.shard_size} here")
    told: set[str] = set()
    if old.device != new.device:
        lines.append(f"device: {old.device} there, {new.device} here (--device {old.device})")
        told |= {"cupy", "torch"}
    if old.code_path != new.code_path:
        lines.append(other_path(old))
        told |= {"numba"}
    for key in sorted({*before["versions"], *after["versions"]} - told):
        there, here = before["versions"].get(key), after["versions"].get(key)
        if there != here:
            lines.append(f"version of {key}: {there} there, {here} here")
    if old.spec_hash != new.spec_hash:
        lines += list(_data_differences(before["spec"], after["spec"], ""))
    return lines


def _data_differences(there: Any, here: Any, path: str) -> list[str]:
    if isinstance(there, dict) and isinstance(here, dict):
        keys = sorted({*there, *here} - ({"samples"} if not path else set()))
        return [
            line
            for key in keys
            for line in _data_differences(there.get(key), here.get(key), f"{path}.{key}".strip("."))
        ]
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        return [
            line
            for i, pair in enumerate(zip(there, here, strict=True))
            for line in _data_differences(*pair, f"{path}.{i}")
        ]
    return [] if there == here else [f"{path}: {there} there, {here} here"]
