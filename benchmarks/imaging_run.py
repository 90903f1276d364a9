"""A first image and later ones in this process: python -m benchmarks.imaging_run SCOPE PLANES PIXELS EMITTERS

Prints JSON: CPU seconds of the set-up (the first image's beyond the later ones'), of later images, and the most memory
that the process held, MiB. Modules are imported, and code compiled, by an image of another microscope before.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from mishape.engine.grid import Grid
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.types import Emitters
from mishape.plugins.microscopes.confocal import Confocal
from mishape.plugins.microscopes.epi import Epi
from mishape.plugins.microscopes.spinning_disk import SpinningDisk

SCOPES: dict[str, PSFMicroscope] = {
    "epi2": Epi(preset="epi2"),
    "con1": Confocal(preset="con1"),
    "spinning_disk": SpinningDisk(na=1.4, emission_nm=608.0, excitation_nm=561.0, magnification=60.0),
    "epi2 in water, 2 um deep": Epi(preset="epi2", sample_index=1.33, depth_nm=2000.0),
}
PIXEL_NM, STEP_NM = 80.0, 250.0
LEAST_DEPTH_NM = 1000.0
RUNS = 3


class Stack(NamedTuple):
    """An image of emitters that fill its field, and 1 um around z = 0 or the depth of its planes."""

    planes: int
    pixels: int
    number: int
    deep: int = 1

    def __str__(self) -> str:
        return f"{self.planes} x {self.pixels} x {self.pixels}, {self.number:,} emitters"

    def grid(self) -> Grid:
        """Return its pixels."""
        return Grid((self.planes, self.pixels, self.pixels), PIXEL_NM, z_step_nm=STEP_NM)

    def emitters(self) -> Emitters:
        """Return emitters of 100 photons, evenly over the field and the depth."""
        size_nm = self.pixels * PIXEL_NM
        depth_nm = max(LEAST_DEPTH_NM, self.deep * (self.planes - 1) * STEP_NM)
        box = np.array([size_nm, size_nm, depth_nm])
        xyz = np.random.default_rng(3).uniform(-0.5, 0.5, (self.number, 3)) * box
        return Emitters(xyz, np.full(self.number, 100.0))

    def work(self, series: str) -> int:
        """Return how much of the work there is that a series increases."""
        return {"emitters": self.number, "field": self.pixels**2}.get(series, self.planes)


def run(scope: str, stack: Stack) -> dict[str, Any]:
    """Return set-up and images in CPU seconds, and the most memory held."""
    other = Epi(na=0.5, emission_nm=500.0)
    other.image(Stack(2, 16, 10).emitters(), Stack(2, 16, 10).grid())
    emitters, grid = stack.emitters(), stack.grid()
    first, *later = [_cpu_s(SCOPES[scope], emitters, grid) for _ in range(1 + RUNS)]
    return {"set_up_s": first - median(later), "cpu_s": later, "memory_mib": most_memory_mib()}


def most_memory_mib() -> float:
    """Return the most memory held: Linux's own count, as `getrusage` starts from that of the process before."""
    if (status := Path("/proc/self/status")).is_file():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def _cpu_s(scope: PSFMicroscope, emitters: Emitters, grid: Grid) -> float:
    start = time.process_time()
    scope.image(emitters, grid)
    return time.process_time() - start


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Stack(*map(int, sys.argv[2:])))))
