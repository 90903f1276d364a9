"""Images of a dataset."""

from __future__ import annotations

import hashlib
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from mishape.engine import registry
from mishape.engine.dataset import Dataset
from mishape.engine.files import canonical
from mishape.engine.grid import Grid
from mishape.engine.scene import View
from mishape.engine.types import Pose
from mishape.learn.lit import Facts, Lit, Posed, check_alone, learned_folds, view_among
from mishape.learn.origins import shown
from mishape.learn.solids import Solid, solid_of

KEPT = 512
"""Solids that are kept: their distances take longer to find than an image to read."""


class StoredImages:
    """Images of a dataset whose samples show one object each.

    Parameters
    ----------
    dataset
        The dataset.
    view
        Of which view; by default the only one.

    Raises
    ------
    DatasetError
        If there is no such view, or a sample shows another number of objects.
    """

    def __init__(self, dataset: Dataset, view: str | None = None) -> None:
        self.dataset, self.records = dataset, [*dataset.records()]
        for record in self.records:
            check_alone(len(record["objects"]), f"{str(dataset.folder)!r}: sample {record['index']}")
        self.view = view_among(view, self.records[0]["views"], str(dataset.folder))
        self.grid: Grid = self._view_of(self.records[0]).grid
        self._solid = lru_cache(KEPT)(self._read)

    def __len__(self) -> int:
        return len(self.records)

    def fold(self, number: int) -> str | None:
        """Return the fold of the shape of a sample."""
        fold = self.records[number]["objects"][0]["fold"]
        return None if fold is None else str(fold)

    def lit(self, number: int) -> Lit:
        """Read an image."""
        record = self.records[number]
        index, thing = record["index"], record["objects"][0]
        pose = Pose(np.array(thing["rotation"]), np.array(thing["offset_nm"]), thing["scale"])
        solid = self._solid(index // self.dataset.manifest.shard_size, thing["library"], thing["shape_id"])
        counts = np.array(self.dataset[index][f"{self.view}.image"])
        return Lit(f"sample {index}", counts, self._view_of(record), Posed(solid, pose))

    @cached_property
    def facts(self) -> Facts:
        """What is said of them."""
        data, things = self.dataset, [record["objects"][0] for record in self.records]
        seals = [data.shard(number).seal.model_dump_json() for number in range(data.manifest.shards)]
        return Facts(
            data.folder.resolve().name,
            hashlib.sha256(canonical([self.view, *seals]).encode()).hexdigest(),
            frozenset(str(thing["fold"]) for thing in things if thing["fold"] is not None),
            frozenset(thing["licence"] for thing in things if thing["licence"]),
            self._learned(),
        )

    def _learned(self) -> frozenset[str]:
        """Return the folds that weights learned from whose shapes are shown; only for these the scene is opened."""
        kinds = {record["scene"]["objects"][0]["shape"]["kind"] for record in self.records}
        known = kinds & {*registry.kinds("shapes")}
        drawn = any(hasattr(registry.load("shapes", kind), "learned_folds") for kind in known)
        return learned_folds(self.dataset.spec.shape_sources()) if drawn else frozenset()

    def _view_of(self, record: dict[str, Any]) -> View:
        return View.model_validate(record["scene"]["views"][self.view])

    def _read(self, shard: int, library: str | None, id: str) -> Solid:
        return solid_of(shown(self.dataset, shard, library, id).shape())
