"""From label volumes to a library of shapes, in steps that an interrupted run does not lose.

Beside the library's folder stands one named ``.work`` while it is made: the table and the pieces of each block, then
the shape of each instance, or why it has none. What is there is not made again; when the library is whole, it goes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mishape.em.jobs import Source
from mishape.em.settings import Making, Origin
from mishape.em.shapes import read_shape, refusals, shape_path
from mishape.em.volume_run import Progress, VolumeRun, quiet
from mishape.engine.errors import VolumeError
from mishape.engine.execute import named_executor
from mishape.engine.files import canonical, disk_errors, remove_leftovers_of, write_whole
from mishape.engine.library import Library, is_library
from mishape.engine.library_writing import library_writer
from mishape.engine.lock import locked
from mishape.engine.needs import needs
from mishape.engine.occupancy import occupancy_arrays
from mishape.engine.protocols import Executor
from mishape.engine.seeding import Stage, stream

SETTINGS = "settings.json"


def prepare(
    volumes: str | Path | Sequence[str | Path],
    out: str | Path,
    making: Making | None = None,
    origin: Origin | None = None,
    *,
    workers: int = 1,
    executor: str | Executor | None = None,
    progress: Progress = quiet,
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
        If a volume cannot be read, does not hold labels, is of unknown voxel size, or no instance has a shape; if the
        folder exists, or an interrupted run of other volumes is there.
    DatasetError
        If another run works there, or the disk cannot be written.
    """
    for package in ("cc3d", "fastremap", "skimage"):
        needs(package, "em")
    places = [volumes] if isinstance(volumes, str | Path) else list(volumes)
    making, origin, out = making or Making(), origin or Origin(), Path(out).absolute()
    work = out.with_name(f"{out.name}.work")
    if out.exists():
        return _already_made(out, work)
    chosen = executor or ("processes" if workers > 1 else "inline")
    with disk_errors(work):
        work.mkdir(parents=True, exist_ok=True)
    with locked(work), disk_errors(work):
        try:
            runs = [VolumeRun.of(Source.of(p, making.axes, work, making.max_bytes), making) for p in places]
            _check_names(runs)
            _check_folds(runs, origin)
            _claim(work, runs, making, origin)
        except VolumeError:
            if not (work / SETTINGS).is_file():
                shutil.rmtree(work)  # nothing was made yet
            raise
        _make(work, runs, origin, named_executor(chosen, workers) if isinstance(chosen, str) else chosen, progress)
        remove_leftovers_of(out)
        _write(out, work, runs, making, origin)
    shutil.rmtree(work)
    return Library(out)


def _already_made(out: Path, work: Path) -> Library:
    """Return a library that an interrupted run had finished but for its work's removal."""
    if not work.exists() and is_library(out):
        raise VolumeError(
            f"{str(out)!r} is a finished library of {len(Library(out))} shape(s): to make it anew remove it, or give "
            "another folder"
        )
    if not ((work / SETTINGS).is_file() and is_library(out)):
        raise VolumeError(f"{str(out)!r} exists: remove it, or give another folder for the library")
    shutil.rmtree(work)
    return Library(out)


def _make(work: Path, runs: Sequence[VolumeRun], origin: Origin, executor: Executor, progress: Progress) -> None:
    for run in runs:
        run.scan(_blocks(work, run), executor, progress)
        run.make_shapes(_blocks(work, run), _shapes(work, run), origin, executor, progress)


def _claim(work: Path, runs: Sequence[VolumeRun], making: Making, origin: Origin) -> None:
    """Begin the work, or go on with it: blocks of the same files and cuts are kept, shapes of the same settings too.

    Raises
    ------
    VolumeError
        If the work holds blocks of other files, or of files that have changed, or of other cuts.
    """
    scanned = [
        [run.source.place, run.source.stamp, making.axes, repr(run.cut), repr(making.foreground)] for run in runs
    ]
    settings = {"mishape": version("mishape"), "blocks": scanned, "shapes": [repr(making), repr(origin)]}
    path = work / SETTINGS
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if (before["mishape"], before["blocks"]) != (settings["mishape"], settings["blocks"]):
            raise VolumeError(
                f"{str(work)!r} holds an interrupted run of other volumes, of files that have changed since, or of "
                "another way to read them: put back what was there to go on with it, or delete the folder to begin anew"
            )
        if before != settings:
            for run in runs:
                shutil.rmtree(_shapes(work, run), ignore_errors=True)
    write_whole(path, canonical(settings, indent=2) + "\n")


def _check_names(runs: Sequence[VolumeRun]) -> None:
    names = [run.name for run in runs]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise VolumeError(f"volumes need names of their own; repeated: {', '.join(repeated)}: rename the files")


def _check_folds(runs: Sequence[VolumeRun], origin: Origin) -> None:
    names = [run.name for run in runs]
    unused = [pattern for pattern in origin.folds if not any(fnmatch(name, pattern) for name in names)]
    if unused:
        raise VolumeError(f"no volume's name is like {unused[0]!r}, which a fold was given for: {', '.join(names)}")


def _blocks(work: Path, run: VolumeRun) -> Path:
    return work / "volumes" / run.name / "blocks"


def _shapes(work: Path, run: VolumeRun) -> Path:
    return work / "volumes" / run.name / "shapes"


def _write(out: Path, work: Path, runs: Sequence[VolumeRun], making: Making, origin: Origin) -> None:
    """Put all shapes into the library."""
    refused = [reason for run in runs for reason in refusals(_shapes(work, run))]
    made = [shape_path(_shapes(work, run), instance.label) for run in runs for instance in run.instances]
    made = [path for path in made if path.is_file()]
    names = ", ".join(run.name for run in runs)
    if not made:
        reasons = "; ".join(f"{reason['id']}: {reason['why']}" for reason in refused[:3])
        found = (
            f"none of {len(refused)} instances could be made a shape ({reasons})" if refused else "no instance found"
        )
        raise VolumeError(f"{found}: is {names} a volume of labels?")
    meta = {
        "name": out.name,
        "source": origin.source or names,
        "licence": origin.licence,
        "citation": origin.citation,
        "volumes": {run.name: _about(run) for run in runs},
        "notes": [f"{run.name}: {note}" for run in runs for note in run.notes],
        "refused": refused,
    }
    with library_writer(out, meta) as writer:
        for path in made:
            shape, fields = read_shape(path)
            rng = stream(0, 0, Stage.TRUTH, shape.id)
            points = occupancy_arrays(shape, rng, making.occupancy_points, making.near_points, making.near_nm)
            writer.add(shape, points, fields)


def _about(run: VolumeRun) -> dict[str, Any]:
    step_nm = run.voxel_nm * run.cut.factor
    return {
        "place": run.source.place,
        "shape": list(run.volume.shape),
        "voxel_nm": run.voxel_nm.tolist(),
        "level_nm": step_nm.tolist(),
        "smooth_nm": (np.array(run.making.smooth_voxels) * step_nm).tolist(),
        "origin_nm": list(run.volume.origin_nm),
    }
