"""What a worker does with a volume: opening it, scanning its blocks, making its shapes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mishape.em import blocks, shapes
from mishape.em.blocks import Cut, Foreground
from mishape.em.instances import Instance
from mishape.em.open import open_volume
from mishape.em.shapes import Place
from mishape.em.stamps import stamp_of
from mishape.em.volumes import Volume
from mishape.engine.execute import one_thread


@dataclass(frozen=True)
class Source:
    """Where a volume is and how it is read, as `open_volume` is told, and the stamp of its files as they are now."""

    place: str
    axes: str | None
    scratch: Path
    max_bytes: int
    stamp: str

    @classmethod
    def of(cls, place: str | Path, axes: str | None, scratch: Path, max_bytes: int) -> Source:
        """Return the source of a volume's files as they are now."""
        return cls(str(place), axes, scratch, max_bytes, stamp_of(place))

    def open(self) -> Volume:
        """Open the volume, or give the one that this process has open."""
        return _opened(self)


@lru_cache(maxsize=4)
def _opened(source: Source) -> Volume:
    source.scratch.mkdir(parents=True, exist_ok=True)
    return open_volume(source.place, source.scratch, source.axes, None, source.max_bytes)


@dataclass(frozen=True)
class ScanJob:
    """Scans blocks, by their numbers."""

    source: Source
    cut: Cut
    folder: Path
    foreground: Foreground

    def __call__(self, number: int) -> int:
        one_thread(lambda task: blocks.scan(self.source.open(), self.cut, task, self.folder, self.foreground), number)
        return number


@dataclass(frozen=True)
class ShapeJob:
    """Makes shapes of instances, each given with its place."""

    blocks: Path
    folder: Path

    def __call__(self, task: tuple[Instance, Place]) -> int:
        instance, place = task
        one_thread(lambda one: shapes.make_shape(one, place, self.blocks, self.folder), instance)
        return instance.label
