"""What the report reads of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mishape.engine.execute import one_thread
from mishape.engine.scene import Scene
from mishape.engine.shard_files import HOLE
from mishape.engine.simulate import simulate
from mishape.plugins.reports.counted import Counted

if TYPE_CHECKING:
    from mishape.engine.dataset import Dataset
    from mishape.engine.types import Sample

MAX_RECORDS, MAX_SHEETS = 200, 4
UNTITLED = "mishape dataset"
EDITOR = "yaml-language-server:"


@dataclass(frozen=True)
class Look:
    """What the report reads of a dataset, once: some records, and fewer samples made anew."""

    dataset: Dataset

    @cached_property
    def title(self) -> str:
        """The comment that the scene file begins with, its first line; what it says to editors is passed over."""
        for line in self.dataset.manifest.spec_text.splitlines():
            text = line.lstrip("# ").strip()
            if not line.startswith("#"):
                break
            if text and not text.startswith(EDITOR):
                return text
        return UNTITLED

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """At most 200 records, evenly spaced."""
        size = self.dataset.manifest.shard_size
        found = [self.dataset.shard(n // size).records[n % size] for n in spaced(len(self.dataset), MAX_RECORDS)]
        return [record for record in found if HOLE not in record]

    @cached_property
    def counted(self) -> Counted:
        """What the records say together."""
        return Counted.of(self.records)

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """The objects of the records."""
        return [thing for record in self.records for thing in record["objects"]]

    @cached_property
    def samples(self) -> list[Sample]:
        """At most four samples, evenly spaced, made anew."""
        numbers = [self.records[n]["index"] for n in spaced(len(self.records), MAX_SHEETS)]
        spec, device = self.dataset.spec, self.dataset.manifest.device
        return [one_thread(lambda n: simulate(spec.scene(n), describe=False, device=device), n) for n in numbers]

    @cached_property
    def scene(self) -> Scene:
        """The first sample's scene."""
        return self.dataset.spec.scene(self.records[0]["index"])

    @property
    def basis(self) -> str:
        """Which records the numbers come from."""
        total, looked = len(self.dataset), len(self.records)
        if total <= MAX_RECORDS:
            return f"all {looked} samples"
        return f"{looked} evenly spaced samples of {total}"


def spaced(total: int, most: int) -> list[int]:
    """Return at most so many numbers from 0 to below the total, evenly spaced."""
    return sorted({round(n) for n in np.linspace(0, total - 1, min(total, most)).tolist()})
