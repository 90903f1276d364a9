"""This project's ways: one for each quality."""

from __future__ import annotations

from functools import partial

from benchmarks.peers.task import Make, Task, Way
from benchmarks.peers.work import SCOPES
from mishape.engine.fast import code_path
from mishape.engine.grid import Grid
from mishape.engine.types import Emitters


def grid_of(task: Task) -> Grid:
    """Return the task's pixels and planes."""
    shape = (len(task.planes_nm), task.pixels, task.pixels)
    return Grid(shape, task.pixel_nm, planes_nm=tuple(task.planes_nm.tolist()))


def imaged(task: Task, quality: str) -> Make:
    """Prepare a microscope; its operator is made for the first image."""
    scope = SCOPES[task.modality].model_copy(update={"quality": quality})
    emitters, grid = Emitters(task.xyz_nm, task.photons), grid_of(task)
    return lambda: scope.image(emitters, grid)


NEEDS = (
    "scipy.fft",
    "scipy.interpolate",
    "scipy.sparse",
    "scipy.special",
    *(["numba"] if code_path() == "fast" else []),
)
QUALITIES = ("preview", "standard", "exact")
_WAYS = {f"mishape: {quality}": Way(partial(imaged, quality=quality), 25) for quality in QUALITIES}
WAYS = {"widefield": _WAYS, "confocal": _WAYS}
