"""One label volume's way to shapes: its voxels' size, its blocks, its instances, their shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mishape.em.blocks import Cut, cut_for
from mishape.em.instances import Instance, chunks_are_missing, merged
from mishape.em.jobs import ScanJob, ShapeJob, Source
from mishape.em.settings import Making, Origin
from mishape.em.shapes import Place
from mishape.em.volumes import Volume
from mishape.engine.errors import VolumeError
from mishape.engine.protocols import Executor
from mishape.engine.types import Points

SMALLEST_NM, LARGEST_NM = 0.05, 10_000.0
Progress = Callable[[str, int, int], None]
"""Called with the step, how much is done and how much there is."""


def quiet(step: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass
class VolumeRun:
    """One label volume on its way to shapes.

    Parameters
    ----------
    source, volume
        Where it is, and the volume itself.
    making
        How its shapes are made.
    voxel_nm
        (3,) size of its voxels.
    cut
        Its blocks.
    notes
        What a user should know.
    instances
        Those that shapes are made of, once it is scanned.
    """

    source: Source
    volume: Volume
    making: Making
    voxel_nm: Points
    cut: Cut
    notes: list[str]
    instances: list[Instance] = field(default_factory=list)

    @classmethod
    def of(cls, source: Source, making: Making) -> VolumeRun:
        volume = source.open()
        making.foreground.check(volume)
        voxel_nm, notes = _voxel_nm(volume, making.voxel_nm)
        level = making.level_nm or 0.0
        x, y, z = (max(1, int(level / size + 1e-6)) for size in voxel_nm.tolist())
        return cls(source, volume, making, voxel_nm, cut_for(volume, (x, y, z), making.block_voxels), notes)

    @property
    def name(self) -> str:
        """The volume's name."""
        return self.volume.name

    def scan(self, folder: Path, executor: Executor, progress: Progress = quiet) -> None:
        """Scan all blocks into a folder, and find the instances that are wanted."""
        folder.mkdir(parents=True, exist_ok=True)
        scan = ScanJob(self.source, self.cut, folder, self.making.foreground)
        run_all(executor, scan, range(len(self.cut)), progress, f"blocks of {self.name}")
        found = merged(self.cut, folder, self.making.foreground.joined)
        self.notes += self._notes(folder, found)
        self.instances = [instance for instance in found if self._wanted(instance)]

    def make_shapes(self, blocks: Path, folder: Path, origin: Origin, executor: Executor, progress: Progress) -> None:
        """Make the shapes of all wanted instances into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        tasks = [(instance, self.place(instance, origin)) for instance in self.instances]
        run_all(executor, ShapeJob(blocks, folder), tasks, progress, f"shapes of {self.name}")

    def place(self, instance: Instance, origin: Origin) -> Place:
        """Return where an instance lies, and how its shape is made."""
        step_nm = self.voxel_nm * self.cut.factor
        return Place(
            volume=self.name,
            fold=self._fold(instance, origin),
            source=origin.source or self.name,
            licence=origin.licence,
            cut=self.cut,
            voxel_nm=self.voxel_nm,
            origin_nm=np.array(self.volume.origin_nm),
            smooth_nm=np.array(self.making.smooth_voxels) * step_nm,
            max_voxels=self.making.max_voxels,
            faces_kept=self.making.faces_kept,
        )

    def _wanted(self, instance: Instance) -> bool:
        making = self.making
        return instance.voxels >= making.min_voxels and not (making.whole_only and instance.touches_border)

    def _fold(self, instance: Instance, origin: Origin) -> str:
        """Return the fold of an instance: that of its volume, and of the region that its box's middle lies in."""
        fold = origin.fold(self.name)
        if origin.regions == (1, 1, 1):
            return fold
        middle = (np.array(instance.box.low) + instance.box.high) / 2
        region = (middle * origin.regions / self.volume.shape).astype(int)
        return f"{fold}-{'.'.join(map(str, region.tolist()))}"

    def _notes(self, folder: Path, found: Sequence[Instance]) -> list[str]:
        """Return what the blocks say about the file, what is left out, and whether its labels look like a mask."""
        notes, dust = [], sum(instance.voxels < self.making.min_voxels for instance in found)
        if chunks_are_missing(self.cut, folder):
            notes.append(
                "some chunks are missing and count as background, as the format says; if whoever wrote the file does "
                "not leave out empty ones, this copy is not complete"
            )
        if dust:
            notes.append(f"{dust} instances of fewer than {self.making.min_voxels} voxels are left out")
        if cut := sum(self.making.whole_only and instance.touches_border for instance in found):
            notes.append(f"{cut} of {len(found)} instances are cut by the volume's border, and left out")
        if not self.making.foreground.joined and len(found) == 1:
            notes.append(
                f"all foreground has the label {found[0].label}: if this is a mask of many instances, give --binary, "
                "and its connected components are taken; as it is, all but the largest of them are lost"
            )
        return notes


def _voxel_nm(volume: Volume, given: tuple[float, float, float] | None) -> tuple[Points, list[str]]:
    """Return the voxels' size, and a note where file and user contradict each other."""
    said = volume.voxel_nm
    if given is None and said is None:
        raise VolumeError(
            f"{volume.name}: the file does not say how large its voxels are: give --voxel x,y,z in nm (voxel_nm "
            "in a scene)"
        )
    size = np.array(said if given is None else given, np.float64)
    if not ((size >= SMALLEST_NM) & (size <= LARGEST_NM)).all():
        where = "the file says" if given is None else "given are"
        raise VolumeError(
            f"{volume.name}: {where} voxels of {_sizes(size)} nm: {SMALLEST_NM:g} to {LARGEST_NM:g} nm are expected. "
            "Give --voxel x,y,z in nm"
        )
    if said is not None and not np.allclose(said, size, rtol=1e-3):
        return size, [f"the file says voxels of {_sizes(said)} nm, {_sizes(size)} nm were given and are used"]
    return size, []


def _sizes(size: Points) -> str:
    return " x ".join(f"{value:g}" for value in size)


def run_all(executor: Executor, job: Any, tasks: Iterable[Any], progress: Progress, step: str) -> None:
    """Run a job over tasks and report each that is done."""
    tasks = list(tasks)
    progress(step, 0, len(tasks))
    for done, _ in enumerate(executor.imap(job, tasks), start=1):
        progress(step, done, len(tasks))
