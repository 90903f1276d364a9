"""Prepares a synthetic label volume in a process of its own: python -m benchmarks.prepare_run WHAT FOLDER [SIZE]

WHAT: ``write`` the volume of SIZE^3; ``read`` it block by block; ``components``: read, and cc3d's connected components
and their statistics; ``scan``: our blocks alone; ``prepare``: blocks, instances, shapes and library. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imaging_run import most_memory_mib
from benchmarks.synthetic_labels import VOXEL_NM, write_labels
from mishape.em.blocks import Foreground, cut_for, scan
from mishape.em.open import open_volume
from mishape.em.prepare import prepare
from mishape.em.settings import Making

MAKING = Making(voxel_nm=(VOXEL_NM,) * 3, level_nm=24.0)


def read(folder: Path, each: Callable[[Any], Any] = lambda array: None) -> dict[str, Any]:
    """Read every block, and do something with each."""
    with tempfile.TemporaryDirectory() as scratch:
        volume = open_volume(folder, Path(scratch))
        cut = cut_for(volume, (3, 3, 3))
        for number in range(len(cut)):
            each(volume.read(cut.box(number)))
    return {}


def components(folder: Path) -> dict[str, Any]:
    """Read every block, join its foreground and measure the parts: what plain tools do, without what spans blocks."""
    import cc3d

    return read(folder, lambda array: cc3d.statistics(cc3d.connected_components(array != 0)))


def scanned(folder: Path) -> dict[str, Any]:
    """Scan every block."""
    with tempfile.TemporaryDirectory() as scratch:
        volume = open_volume(folder, Path(scratch))
        cut = cut_for(volume, (3, 3, 3))
        for number in range(len(cut)):
            scan(volume, cut, number, Path(scratch), Foreground())
    return {}


def prepared(folder: Path) -> dict[str, Any]:
    """Make the library."""
    with tempfile.TemporaryDirectory() as scratch:
        library = prepare(folder, Path(scratch) / "library", MAKING)
        return {
            "shapes": len(library),
            "refused": len(library.meta["refused"]),
            "watertight": all(entry.watertight for entry in library),
        }


def run(what: str, folder: Path) -> dict[str, Any]:
    """Return what was found, CPU seconds, voxels and the most memory held."""
    jobs = {"read": read, "components": components, "scan": scanned, "prepare": prepared}
    with tempfile.TemporaryDirectory() as scratch:
        voxels = int(np.prod(open_volume(folder, Path(scratch)).shape))
    start = time.process_time()
    found = jobs[what](folder)
    return {**found, "cpu_s": [time.process_time() - start], "voxels": voxels, "memory_mib": most_memory_mib()}


if __name__ == "__main__":
    if sys.argv[1] == "write":
        print(json.dumps({"instances": write_labels(Path(sys.argv[2]), int(sys.argv[3]))}))
    else:
        print(json.dumps(run(sys.argv[1], Path(sys.argv[2]))))
