"""Trains models of shapes of several sizes, and judges each by whole mitochondria that it never saw.

python -m benchmarks.shape_models LIBRARY RUNS [NAME...]

LIBRARY: UroCell, as the training file of the default weights says. RUNS: a folder of one training each, which go on
where they were stopped. With names, those alone are trained; without, all, and benchmarks/SHAPES.md is written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from benchmarks.results import machine, markdown, versions
from mishape.engine.library import open_library
from mishape.learn.plan import load_plan
from mishape.learn.shape_training import train_shapes
from mishape.plugins.reports.prior_numbers import judged, numbers_of
from mishape.plugins.reports.prior_page import write_evaluation

TARGET = Path(__file__).parent / "SHAPES.md"
COMMAND = "python -m benchmarks.shape_models"
HELD, WATCHED = "fib1-0-0-0", "fib1-1-0-3"
NEIGHBOURS = ["fib1-3-3-0", "fib1-4-3-0"]
"""Volumes that touch: they are one fold."""
GRIDS = {
    63: (7, 3, 3, 1),
    128: (8, 4, 4, 1),
    256: (8, 4, 4, 2),
    512: (8, 4, 4, 4),
    1000: (10, 5, 5, 4),
    2048: (16, 8, 8, 2),
}
FINE = 2048
"""Latent numbers from which on a finer lattice is read."""
STEPS = {"steps": 600, "batch": 16, "points": 1024, "check_every": 200}
POINTS = {"steps": 4000, "batch": 16, "points": 1024, "check_every": 1000, "largest_gradient": None}
ONET = {"kind": "onet_vae", "hidden": 64}


def plan(model: dict[str, Any], training: dict[str, Any], held: list[str], watched: list[str]) -> dict[str, Any]:
    """Return a training file."""
    shapes = {"libraries": ["urocell"], "held_out": held, "validation": watched}
    return {"mishape": 1, "seed": 1, "shapes": shapes, "model": model, "training": training}


def grid(numbers: int) -> dict[str, Any]:
    """Return a grid_vae of so many latent numbers."""
    *cells, channels = GRIDS[numbers]
    lattice = (64, 32, 32) if numbers >= FINE else (48, 24, 24)
    return {"kind": "grid_vae", "cells": cells, "channels": channels, "lattice": [*lattice]}


def plans() -> dict[str, dict[str, Any]]:
    """Return all trainings by name."""
    found = {f"grid-{numbers}": plan(grid(numbers), STEPS, [HELD], [WATCHED]) for numbers in GRIDS}
    found["onet"] = plan(ONET, POINTS, [HELD], [WATCHED])
    found["onet-options"] = plan({**ONET, "kl_warm_up": 2000, "free_nats": 0.1}, POINTS, [HELD], [WATCHED])
    found["without-103"] = plan({"kind": "grid_vae"}, STEPS, [WATCHED], [])
    found["without-330-430"] = plan({"kind": "grid_vae"}, STEPS, NEIGHBOURS, [])
    return found


def trained(name: str, library: str, runs: Path) -> dict[str, Any]:
    """Train a model, or go on with it, and return its evaluation."""
    folder = runs / name
    file, wanted = folder / "plan.yaml", yaml.safe_dump(plans()[name])
    if file.is_file() and file.read_text(encoding="utf-8") != wanted:
        sys.exit(f"{folder} holds another training: remove it, or give another folder of runs")
    if not (folder / "evaluation.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(wanted, encoding="utf-8")
        weights = train_shapes(*load_plan(file, [library]), folder)
        case = judged(weights, [open_library(library)])
        write_evaluation(folder, case, *numbers_of(case, 1, 0, lambda text: None))
    said: dict[str, Any] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    return said["reconstruction"]


def row(name: str, said: dict[str, Any]) -> list[str]:
    """Return a model's row."""
    overlap, error, used = said["overlap"], said["error_nm"], said["activity"]
    return [
        name,
        str(said["numbers"]),
        f"{len(said['shapes'])}",
        f"{overlap['mean']:.3f} ({overlap['low']:.3f} to {overlap['high']:.3f})",
        f"{overlap['median']:.3f}",
        f"{error['median']:.1f}",
        f"{used['divergence']:.1f}",
        f"{used['active']}",
    ]


def text(found: dict[str, dict[str, Any]]) -> str:
    """Return the page."""
    heads = ["model", "latent numbers", "shapes", "IoU, 95 % of its mean", "median", "surface error, nm", "KL, nats"]
    heads += ["active"]
    lines = [
        "# Models of shapes",
        "",
        f"Written by `{COMMAND} LIBRARY RUNS` on: {machine()}; {versions()}.",
        "",
        "UroCell, 16 nm voxels; whole mitochondria of volumes that nothing was learned from, encoded and decoded. "
        f"grid_vae: {STEPS['steps']} steps of {STEPS['batch']} shapes and {STEPS['points']} points; 10 numbers more "
        f"hold box and pose. onet_vae with 64 hidden units, the small one: {POINTS['steps']} steps; options: a warm-up "
        "of the divergence's weight over 2000 steps and 0.1 free nats for each number. The last two rows leave other "
        "volumes out and watch none.",
        "",
        *markdown(heads, [row(name, said) for name, said in found.items()]),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    library, runs, *names = sys.argv[1:]
    found = {name: trained(name, library, Path(runs)) for name in names or plans()}
    if not names:
        TARGET.write_text(text(found), encoding="utf-8")


if __name__ == "__main__":
    main()
