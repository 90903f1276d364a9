"""What a way of imaging is given, and how it is timed; needs numpy alone, so that a peer's own environment will do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
Make = Callable[[], Image]
TUBE_HALF_DEPTH_NM = 600.0
"""No emitter lies further from z = 0."""


@dataclass(frozen=True)
class Task:
    """One image to make.

    Parameters
    ----------
    modality
        ``widefield`` (NA 1.4, 608 nm) or ``confocal`` (NA 1.4, 561 nm and 600 nm, 1 AU), in oil of 1.515 throughout.
    xyz_nm, photons
        (n, 3) and (n,): the emitters.
    pixels, pixel_nm
        Of a square field centred on the origin.
    planes_nm
        (planes,): where the objective is focused; equal steps.
    """

    modality: str
    xyz_nm: NDArray[np.float64]
    photons: NDArray[np.float64]
    pixels: int
    pixel_nm: float
    planes_nm: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write the task to a file."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Task:
        """Read a task from a file."""
        with np.load(path, allow_pickle=False) as stored:
            values = {name: stored[name] for name in stored}
        plain = {"modality": str(values["modality"]), "pixels": int(values["pixels"])}
        return cls(**{**values, **plain, "pixel_nm": float(values["pixel_nm"])})

    @property
    def z_step_nm(self) -> float:
        """Distance between planes."""
        return float(self.planes_nm[1] - self.planes_nm[0])


@dataclass(frozen=True)
class Way:
    """A way to make the image; it stands in its module's WAYS as "package: sampling", by modality.

    Parameters
    ----------
    prepare
        Takes the task and returns what makes the image; what depends on optics and grid alone is done here.
    runs
        Timed images after the first; 0 if the first alone is timed, with its set-up.
    limit
        Name of the package's own finest sampling, which this image is also compared with.
    """

    prepare: Callable[[Task], Make]
    runs: int = 9
    limit: str = ""


def timed(way: Way, task: Task) -> tuple[Image, list[float], float]:
    """Return the image, each run's CPU time in s, and that of the set-up: what the first image costs on top."""
    start = time.process_time()
    make = way.prepare(task)
    image = make()
    first = time.process_time() - start
    times = [_cpu_time(make) for _ in range(way.runs)] or [first]
    return np.asarray(image, dtype=np.float64), times, max(0.0, first - median(times))


def _cpu_time(make: Make) -> float:
    start = time.process_time()
    make()
    return time.process_time() - start


def voxelised(
    task: Task, xy_nm: float, z_nm: float, planes: int, pixels: int, shift: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float32]:
    """Return the light of all emitters in the voxels that hold them, (planes, pixels, pixels), centred on the origin.

    Parameters
    ----------
    xy_nm, z_nm
        Size of a voxel.
    shift
        Voxels by which the emitters are moved along z, and along y and x.
    """
    steps = np.array([xy_nm, xy_nm, z_nm])
    middle = (np.array([pixels, pixels, planes]) - 1) / 2 + np.array([shift[1], shift[1], shift[0]])
    x, y, z = np.rint(task.xyz_nm / steps + middle).astype(np.int64).T
    flat = np.bincount((z * pixels + y) * pixels + x, task.photons, planes * pixels**2)
    return flat.reshape(planes, pixels, pixels).astype(np.float32)


def binned(stack: Image, factor: int) -> Image:
    """Return a stack whose pixels are sums of factor x factor pixels."""
    planes, rows, columns = stack.shape
    return stack.reshape(planes, rows // factor, factor, columns // factor, factor).sum(axis=(2, 4))
