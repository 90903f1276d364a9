"""Generates datasets and counts each stage's CPU time: python -m benchmarks.pipeline_run VIEW SHAPE SAMPLES REPEATS

The stages' methods are wrapped from outside; the engine knows nothing of it. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import mean
from typing import Any
from unittest.mock import patch

import numpy as np

import mishape
from mishape.engine.types import Shape
from mishape.plugins.labelers.surface import Surface
from mishape.plugins.microscopes.confocal import Confocal
from mishape.plugins.microscopes.epi import Epi
from mishape.plugins.noises.scmos import Scmos
from mishape.plugins.reports import card, html
from mishape.plugins.shapes.em_mesh import EmMesh

VIEWS = {
    "epi2, 80 nm": {"pixel_nm": 80, "microscope": {"kind": "epi", "preset": "epi2"}},
    "con1, 70 nm": {"pixel_nm": 70, "microscope": {"kind": "confocal", "preset": "con1"}},
}
# The library's five surfaces are 0.3325 um^2 on average.
SHAPES: dict[str, dict[str, Any]] = {
    "library": {"shape": {"kind": "em_mesh", "library": "neuropil"}, "density_per_um2": 15037},
    "library, 4 x as large": {
        "shape": {"kind": "em_mesh", "library": "neuropil"},
        "density_per_um2": 15037 / 16,
        "scale": 4,
    },
}
STAGES: dict[str, list[tuple[type, str]]] = {
    "rotate + emit": [(EmMesh, "sample"), (Shape, "moved"), (Surface, "label")],
    "image": [(Epi, "image"), (Confocal, "image")],
    "detect": [(Scmos, "detect")],
}
BACKGROUND = 100
MEANS = np.full((3, 128, 128), float(BACKGROUND))
YARDSTICK_EVERY = 25
"""Images, between two measurements of Poisson numbers."""


class Stopwatch:
    """CPU seconds spent in the methods of each stage, and the emitters that came out.

    Beside them what numpy takes for Poisson numbers, at every 25th image: the processor's speed changes within seconds.
    """

    def __init__(self) -> None:
        self.spent_s = dict.fromkeys(STAGES, 0.0)
        self.emitters = self.images = 0
        self.poisson_s: list[float] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is spent until the block ends."""
        with ExitStack() as patches:
            for stage, methods in STAGES.items():
                for owner, name in methods:
                    patches.enter_context(patch.object(owner, name, self._timed(stage, getattr(owner, name))))
            yield

    def _timed(self, stage: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            start = time.process_time()
            made = method(*given, **named)
            self.spent_s[stage] += time.process_time() - start
            if stage == "image":
                self.emitters, self.images = self.emitters + len(given[1]), self.images + 1
                self.poisson_s += [_poisson_s()] if self.images % YARDSTICK_EVERY == 1 else []
            return made

        return counted


def scene(view: str, shape: str, samples: int) -> dict[str, Any]:
    """Return a scene of one shard."""
    seen, lit = VIEWS[view], SHAPES[shape]
    return {
        "mishape": 1,
        "seed": 1,
        "samples": samples,
        "objects": [
            {
                "shape": lit["shape"],
                "pose": {"rotation": "uniform", "scale": lit.get("scale", 1)},
                "labeler": {"kind": "surface", "density_per_um2": lit["density_per_um2"]},
            }
        ],
        "views": {
            "view": {
                "grid": {"shape": [3, 128, 128], "pixel_nm": seen["pixel_nm"], "z_step_nm": 250},
                "microscope": seen["microscope"],
                "noise": {"kind": "scmos", "background": BACKGROUND},
            }
        },
        "dataset": {"shard_size": samples},
    }


def run(view: str, shape: str, samples: int, repeats: int) -> dict[str, Any]:
    """Return CPU seconds for each stack, the stages' share of them, emitters for each stack, ns for a Poisson number.

    A first dataset, not counted, fills the caches. No reports are made.
    """
    spec = mishape.load_spec(scene(view, shape, samples))
    reports = (patch.object(html, "report", return_value=""), patch.object(card, "card", return_value=""))
    with tempfile.TemporaryDirectory() as folder, reports[0], reports[1]:
        mishape.generate(spec, Path(folder) / "first", samples=min(samples, 10))
        watch, times = Stopwatch(), []
        for repeat in range(repeats):
            aside_s = sum(watch.poisson_s)
            with watch.running():
                start = time.process_time()
                mishape.generate(spec, Path(folder) / str(repeat))
                spent_s = time.process_time() - start
            times.append((spent_s - (sum(watch.poisson_s) - aside_s)) / samples)
    made = samples * repeats
    return {
        "cpu_s": times,
        "stages_s": {stage: spent / made for stage, spent in watch.spent_s.items()},
        "emitters": watch.emitters / made,
        "poisson_ns": 1e9 * mean(watch.poisson_s) / MEANS.size,
    }


def _poisson_s() -> float:
    """Return what numpy takes for Poisson numbers of mean 100."""
    rng, start = np.random.default_rng(1), time.process_time()
    rng.poisson(MEANS)
    return time.process_time() - start


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
