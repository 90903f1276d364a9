"""From label volumes to a library of shapes, in steps that an interrupted run does not lose.

Beside the library's folder stands one named ``.work`` while it is made: the table and the pieces of each block, then
the shape of each instance, or why it has none. What is there is not made again; when the library is whole, it goes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from mishape.em.blocks import BLOCK_VOXELS, Cut, Foreground, cut_for, table_path
from mishape.em.instances import Instance, merged
from mishape.em.jobs import ScanJob, ShapeJob, Source
from mishape.em.shapes import Place, read_shape, refusal_path, refusals, shape_path
from mishape.em.volumes import Volume
from mishape.engine.errors import VolumeError
from mishape.engine.execute import named_executor
from mishape.engine.files import canonical, disk_errors, write_whole
from mishape.engine.library import Library
from mishape.engine.library_writing import library_writer
from mishape.engine.lock import locked
from mishape.engine.needs import needs
from mishape.engine.protocols import Executor
from mishape.engine.types import Points

SETTINGS = "settings.json"
SMALLEST_NM, LARGEST_NM = 0.05, 10_000.0
Progress = Callable[[str, int, int], None]
"""Called with the step, how much is done and how much there is."""


@dataclass(frozen=True)
class Making:
    """How shapes are made of labels.

    Parameters
    ----------
    voxel_nm
        Size of the voxels along x, y, z; nothing for what the files say.
    level_nm
        Voxels as large as possible but not above this are made of whole numbers of the file's; nothing for its own.
    foreground
        What counts as an instance.
    min_voxels
        Instances of fewer voxels are dust and left out.
    whole_only
        Leave out instances that reach the volume's border, too.
    smooth_voxels
        Standard deviation of the smoothing, in voxels of the level along x, y, z.
    faces_kept
        Part of the meshes' faces that is kept.
    max_voxels
        Most voxels of the level in the box of one instance.
    axes
        Of the files' arrays, where the format or its metadata do not say them right.
    max_bytes
        Most that a file may unpack to.
    block_voxels
        About how many voxels a block has.
    """

    voxel_nm: tuple[float, float, float] | None = None
    level_nm: float | None = None
    foreground: Foreground = field(default_factory=Foreground)
    min_voxels: int = 64
    whole_only: bool = False
    smooth_voxels: tuple[float, float, float] = (1.0, 1.0, 1.0)
    faces_kept: float = 1.0
    max_voxels: int = 1 << 28
    axes: str | None = None
    max_bytes: int = 1 << 36
    block_voxels: int = BLOCK_VOXELS


@dataclass(frozen=True)
class Origin:
    """Where volumes come from; it travels into every dataset that is made from their shapes.

    Parameters
    ----------
    source, licence, citation
        In words: the data's name, its terms (as CC-BY-4.0), and what to cite.
    folds
        Patterns of volumes' names -> the fold that their shapes belong to; else each volume is its own. Volumes that
        touch belong into one.
    regions
        Parts along x, y and z that each volume is divided into; each is a fold of its own.
    """

    source: str = ""
    licence: str = ""
    citation: str = ""
    folds: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[int, int, int] = (1, 1, 1)

    def fold(self, volume: str) -> str:
        """Return the fold of a volume, without its region."""
        return next((fold for pattern, fold in self.folds.items() if fnmatch(volume, pattern)), volume)


def prepare(
    volumes: str | Path | Sequence[str | Path],
    out: str | Path,
    making: Making | None = None,
    origin: Origin | None = None,
    *,
    workers: int = 1,
    executor: str | Executor | None = None,
    progress: Progress = lambda step, done, total: None,
) -> Library:
    """Make a library of shapes from label volumes, or finish one that was interrupted.

    Parameters
    ----------
    volumes
        Files, folders or URLs.
    out
        The library's folder; it must not exist.
    making, origin
        How shapes are made, and where the volumes come from.
    workers, executor
        As in `generate`.

    Returns
    -------
    Library
        Its header's ``notes`` say what a user should know, its ``refused`` which instances have no shape, and why.

    Raises
    ------
    VolumeError
        If a volume cannot be read, does not hold labels, is of unknown voxel size, or no instance has a shape.
    LibraryError
        If the folder exists.
    DatasetError
        If an interrupted run of other settings is there, another run works there, or the disk cannot be written.
    """
    for package in ("cc3d", "fastremap", "skimage"):
        needs(package, "em")
    places = [volumes] if isinstance(volumes, str | Path) else list(volumes)
    making, origin, out = making or Making(), origin or Origin(), Path(out)
    work = out.with_name(f"{out.name}.work")
    executor = executor or ("processes" if workers > 1 else "inline")
    chosen = named_executor(executor, workers) if isinstance(executor, str) else executor
    if out.exists():
        raise VolumeError(f"{str(out)!r} exists: remove it, or give another folder for the library")
    with disk_errors(work):
        work.mkdir(parents=True, exist_ok=True)
    with locked(work), disk_errors(work):
        prepared = [_Prepared.of(Source(str(p), making.axes, None, work, making.max_bytes), making) for p in places]
        _check_names(prepared)
        _claim(work, {"volumes": [str(place) for place in places], "making": repr(making), "origin": repr(origin)})
        for one in prepared:
            one.run(work, origin, chosen, progress)
        _write(out, work, prepared, making, origin)
    shutil.rmtree(work)
    return Library(out)


def _claim(work: Path, settings: Mapping[str, Any]) -> None:
    """Begin the work, or make sure that the one begun has the same settings."""
    path = work / SETTINGS
    text = canonical(settings, indent=2) + "\n"
    if not path.is_file():
        write_whole(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise VolumeError(
            f"{str(work)!r} holds an interrupted run of other settings (see its {SETTINGS}): give those to go on with "
            "it, or delete the folder to begin anew"
        )


def _check_names(prepared: Sequence[_Prepared]) -> None:
    names = [one.volume.name for one in prepared]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise VolumeError(f"volumes need names of their own; repeated: {', '.join(repeated)}: rename the files")


@dataclass
class _Prepared:
    """One volume on its way."""

    source: Source
    volume: Volume
    making: Making
    voxel_nm: Points
    cut: Cut
    notes: list[str]
    instances: list[Instance] = field(default_factory=list)

    @classmethod
    def of(cls, source: Source, making: Making) -> _Prepared:
        volume = source.open()
        making.foreground.check(volume)
        voxel_nm, notes = _voxel_nm(volume, making.voxel_nm)
        level = making.level_nm or 0.0
        x, y, z = (max(1, int(level / size + 1e-6)) for size in voxel_nm.tolist())
        return cls(source, volume, making, voxel_nm, cut_for(volume, (x, y, z), making.block_voxels), notes)

    def run(self, work: Path, origin: Origin, executor: Executor, progress: Progress) -> None:
        """Scan all blocks, join what belongs together, make all shapes."""
        making, name = self.making, self.volume.name
        blocks, shapes = work / name / "blocks", work / name / "shapes"
        for folder in (blocks, shapes):
            folder.mkdir(parents=True, exist_ok=True)
        scan = ScanJob(self.source, self.cut, blocks, making.foreground)
        _all(executor, scan, range(len(self.cut)), progress, f"blocks of {name}")
        self.instances = merged(self.cut, blocks, making.foreground.joined)
        self._note(blocks)
        wanted = [one for one in self.instances if self._wanted(one)]
        dust = sum(one.voxels < making.min_voxels for one in self.instances)
        self.notes += [f"{dust} instances of fewer than {making.min_voxels} voxels are left out"] if dust else []
        self.instances = wanted
        by_fold: dict[str, list[Instance]] = {}
        for one in wanted:
            by_fold.setdefault(self._fold(one, origin), []).append(one)
        for fold, members in by_fold.items():
            job = ShapeJob(self._place(fold, origin), blocks, shapes)
            _all(executor, job, members, progress, f"shapes of {name}")

    def _wanted(self, instance: Instance) -> bool:
        making = self.making
        return instance.voxels >= making.min_voxels and not (making.whole_only and instance.touches_border)

    def _fold(self, instance: Instance, origin: Origin) -> str:
        """Return the fold of an instance: that of its volume, and of the region that its box's middle lies in."""
        fold = origin.fold(self.volume.name)
        if origin.regions == (1, 1, 1):
            return fold
        middle = (np.array(instance.box.low) + instance.box.high) / 2
        region = (middle * origin.regions / self.volume.shape).astype(int)
        return f"{fold}-{'.'.join(map(str, region.tolist()))}"

    def _place(self, fold: str, origin: Origin) -> Place:
        step_nm = self.voxel_nm * self.cut.factor
        return Place(
            volume=self.volume.name,
            fold=fold,
            source=origin.source or self.volume.name,
            licence=origin.licence,
            cut=self.cut,
            voxel_nm=self.voxel_nm,
            origin_nm=np.array(self.volume.origin_nm),
            smooth_nm=np.array(self.making.smooth_voxels) * step_nm,
            max_voxels=self.making.max_voxels,
            faces_kept=self.making.faces_kept,
        )

    def _note(self, blocks: Path) -> None:
        """Note what the blocks say about the file, and whether its labels look like a mask."""
        missing = 0
        for number in range(len(self.cut)):
            with np.load(table_path(blocks, number), allow_pickle=False) as table:
                missing += bool(table["missing"])
        if missing:
            self.notes.append(
                f"chunks are missing in {missing} of {len(self.cut)} blocks and count as background, as the format "
                "says; if whoever wrote the file does not leave out empty ones, this copy is not complete"
            )
        if not self.making.foreground.joined and len(self.instances) == 1:
            self.notes.append(
                f"all foreground has the label {self.instances[0].label}: if this is a mask of many instances, "
                "give --binary, and its connected components are taken"
            )


def _voxel_nm(volume: Volume, given: tuple[float, float, float] | None) -> tuple[Points, list[str]]:
    """Return the voxels' size, and a note where file and user contradict each other."""
    said = volume.voxel_nm
    if given is None and said is None:
        raise VolumeError(f"{volume.name}: the file does not say how large its voxels are: give --voxel x,y,z in nm")
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


def _all(executor: Executor, job: Any, tasks: Iterable[Any], progress: Progress, step: str) -> None:
    tasks = list(tasks)
    progress(step, 0, len(tasks))
    for done, _ in enumerate(executor.imap(job, tasks), start=1):
        progress(step, done, len(tasks))


def _write(out: Path, work: Path, prepared: Sequence[_Prepared], making: Making, origin: Origin) -> None:
    """Put all shapes into the library."""
    shapes = [(work / one.volume.name / "shapes", one) for one in prepared]
    refused = [reason for folder, _ in shapes for reason in refusals(folder)]
    if not any(shape_path(folder, i.label).is_file() for folder, one in shapes for i in one.instances):
        reasons = "; ".join(f"{reason['id']}: {reason['why']}" for reason in refused[:3])
        found = f"none of {len(refused)} instances could be made a shape. {reasons}" if refused else "no instance found"
        raise VolumeError(f"{found}: is {', '.join(one.volume.name for one in prepared)} a volume of labels?")
    meta = {
        "name": out.name,
        "source": origin.source or ", ".join(one.volume.name for one in prepared),
        "licence": origin.licence,
        "citation": origin.citation,
        "volumes": {one.volume.name: _about(one) for one in prepared},
        "notes": [f"{one.volume.name}: {note}" for one in prepared for note in one.notes],
        "refused": refused,
    }
    with library_writer(out, meta) as writer:
        for folder, one in shapes:
            for instance in one.instances:
                if not refusal_path(folder, instance.label).is_file():
                    shape, fields = read_shape(shape_path(folder, instance.label))
                    writer.add(shape, fields=fields)


def _about(one: _Prepared) -> dict[str, Any]:
    step_nm = one.voxel_nm * one.cut.factor
    return {
        "place": one.source.place,
        "shape": list(one.volume.shape),
        "voxel_nm": one.voxel_nm.tolist(),
        "level_nm": step_nm.tolist(),
        "smooth_nm": (np.array(one.making.smooth_voxels) * step_nm).tolist(),
        "origin_nm": list(one.volume.origin_nm),
    }
