"""Verifying a dataset: every file against its hash, and some samples against a fresh simulation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mishape.engine.dataset import Dataset, Item
from mishape.engine.devices import Device, find_device
from mishape.engine.errors import MishapeError
from mishape.engine.execute import one_thread
from mishape.engine.fast import code_path
from mishape.engine.files import canonical
from mishape.engine.integrity import check_files
from mishape.engine.manifest import Manifest, other_path
from mishape.engine.seeding import Stage, stream
from mishape.engine.shard_writing import rasters_of
from mishape.engine.simulate import simulate
from mishape.engine.sources import copies_in
from mishape.engine.types import Raster, Sample
from mishape.engine.used_inputs import changed_inputs
from mishape.engine.versions import absent_plugins

LIGHT = ("photons", "photons_peak", "saturated")
"""What a record says of a view's light."""
ROUNDED = 0.01
"""Share of counts that may come out differently after a GPU: about 1e-7 for each photon that they stand for."""


@dataclass(frozen=True)
class Verdict:
    """What `verify` found.

    Parameters
    ----------
    files, remade
        How many files were hashed; which samples were simulated anew.
    faults
        What is wrong, one line each; empty if all is well.
    holes
        Samples that failed when the dataset was made, and were left out: number -> error.
    """

    files: int
    remade: list[int]
    faults: list[str]
    holes: dict[int, str] = field(default_factory=dict)


def verify(dataset: Dataset, remake: int = 3, partial: bool = False) -> Verdict:
    """Check a dataset.

    Parameters
    ----------
    remake
        How many samples, chosen at random by the dataset's seed, are simulated anew on a device like that which the
        dataset was made on, and compared byte by byte; after a GPU, within the rounding of single precision.
    partial
        Whether shards that are not made yet are no fault.
    """
    parts = check_files(dataset, dataset.finished if partial else None)
    files = sum(part.files for part in parts)
    faults = [fault for part in parts for fault in part.faults]
    if faults:
        return Verdict(files, [], faults)
    holes, faults = dataset.holes, [*changed_inputs(dataset)] if remake else []
    chosen: list[int] = []
    if not faults and remake and (reason := hindrance(dataset.manifest)):
        faults = [f"no sample can be made anew: {reason}; all files are as they were written"]
    if not faults and remake:
        rng = stream(dataset.manifest.seed, 0, Stage.TRUTH, "verify")
        there = {record["index"] for record in dataset.existing_records()}
        made = [int(n) for n in rng.permutation(len(dataset)) if int(n) in there]
        chosen = sorted(made[:remake])
        # A dataset may have moved away from its libraries: its own copies are what it was made from.
        with copies_in(dataset.folder / "library"):
            faults = [fault for number in chosen for fault in one_thread(lambda n: list(_remade(dataset, n)), number)]
    return Verdict(files, chosen, faults, holes)


def hindrance(manifest: Manifest) -> str | None:
    """Return why this process cannot make what the dataset holds."""
    if absent := absent_plugins(manifest.versions):
        return absent
    if manifest.code_path != code_path():
        return other_path(manifest)
    try:
        find_device(manifest.device)
    except MishapeError as error:
        return str(error)
    return None


def _remade(dataset: Dataset, number: int) -> Iterator[str]:
    item, device = dataset[number], find_device(dataset.manifest.device)
    try:
        sample = simulate(dataset.spec.scene(number), describe=False, device=device.kind)
    except MishapeError as error:
        yield f"sample {number} cannot be made anew: {error}"
        return
    if not _same_record(item.record, sample.record, device):
        yield f"sample {number}: its record differs from a fresh simulation"
    for name, fresh in arrays_of(sample).items():
        if not _same(item, name, fresh, _may_differ(sample, name, device)):
            yield f"sample {number}: {name} differs from a fresh simulation"


def arrays_of(sample: Sample) -> dict[str, Any]:
    """Return a sample's arrays under the names that they have on disk."""
    tables = {name: table for name, table in sample.truths.items() if not isinstance(table, Raster)}
    return {**{name: raster.data for name, raster in rasters_of(sample).items()}, **tables}


def _same_record(stored: Mapping[str, Any], fresh: Mapping[str, Any], device: Device) -> bool:
    if not device.is_gpu:
        return canonical(stored) == canonical(fresh)
    (there, light_there), (here, light_here) = map(_light_apart, (stored, fresh))
    same_light = bool(np.allclose(light_there, light_here, rtol=1e-5, atol=ROUNDED))
    return same_light and canonical(there) == canonical(here)


def _light_apart(record: Mapping[str, Any]) -> tuple[dict[str, Any], list[float]]:
    """Return a record without what is said of its views' light, and those numbers."""
    views = sorted(record["views"].items())
    rest = {name: {key: value for key, value in view.items() if key not in LIGHT} for name, view in views}
    return {**record, "views": rest}, [view[key] for _, view in views for key in LIGHT]


def _may_differ(sample: Sample, name: str, device: Device) -> float:
    """Return which share of an array's values may differ from those of a fresh simulation.

    A detector that draws on the host may, after another number was rounded, draw all the rest from other places of its
    stream: of its images no more can be said than that their light is the same.
    """
    if not device.is_gpu:
        return 0.0
    view = sample.scene.views.get(name.removesuffix(".image"))
    return ROUNDED if view is None or getattr(view.noise, "on_device", False) else 1.0


def _same(item: Item, name: str, fresh: Any, may_differ: float) -> bool:
    stored = item.arrays.get(name)
    if stored is None or stored.dtype != fresh.dtype or stored.shape != fresh.shape:
        return False
    return bool(np.count_nonzero(stored != fresh) <= may_differ * fresh.size)
