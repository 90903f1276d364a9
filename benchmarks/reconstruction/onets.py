"""Occupancy Networks' protocol on images of the training shapes: small rows that a processor can train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mishape
from benchmarks.reconstruction.cases import SIZES, VIEWS, Cases
from mishape.learn.finding import Finder, load_finder
from mishape.learn.light_plan import LightPlan
from mishape.learn.light_training import train_light
from mishape.learn.lit_live import LiveImages
from mishape.learn.lit_shapes import Part

SMALL = {"encoder_width": 16, "condition": 64, "hidden": 64}
"""A fourth of the reference's widths."""
FRAMES = ("camera", "canonical")
SIZE = {"$loguniform": [*SIZES]}


def plan(view: str, frame: str, steps: int) -> dict[str, Any]:
    """Return the training file of a row."""
    kind = "onet_image" if VIEWS[view]["grid"]["shape"][0] == 1 else "onet_stack"
    return {
        "mishape": 1,
        "seed": 1,
        "light": {"parts": [{"images": view}]},
        "model": {"kind": kind, "frame": frame, **SMALL},
        "training": {"steps": steps, "batch": 16, "points": 1024, "learning_rate": 1e-3, "check_every": steps},
    }


def trained(runs: Path, train: Path, view: str, frame: str, steps: int) -> Finder:
    """Return a row's network, trained now if it is not there."""
    folder = runs / "networks" / f"onet-{view}-{frame}-{steps}"
    document = Cases(train, view).document()
    document["objects"][0]["pose"]["scale"] = SIZE
    document |= {"samples": 1_000_000, "dataset": {"splits": {"train": 1}}}
    images = LiveImages(mishape.load_spec(document))
    file = train_light(LightPlan.model_validate(plan(view, frame, steps)), [Part(images)], folder)
    return load_finder(file, file.stat().st_mtime_ns)[0]
