"""Make the weights: five sets of pictures of the same kinds of shapes, and a training on all.

python make.py LIBRARY RUNS

LIBRARY: mitochondria, as `mishape prepare` writes them. RUNS: a folder for sets and weights; what is there goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

import mishape
from mishape.engine.dataset import Dataset
from mishape.learn.image_plan import ImagePlan
from mishape.learn.image_training import train_pictures

SCENE = Path(__file__).with_name("scene.yaml")
BACKGROUND = {"$loguniform": [3, 200]}
UNEVEN = {
    "kind": "smooth",
    "mean": BACKGROUND,
    "relative_sd": {"$uniform": [0.05, 0.4]},
    "correlation_px": {"$loguniform": [20, 100]},
}
ANY = {"kind": "epi", "na": {"$uniform": [1.2, 1.45]}, "emission_nm": {"$uniform": [510, 650]}}
IN_WATER = {"sample_index": {"$uniform": [1.33, 1.38]}, "depth_nm": {"$uniform": [3000, 5000]}}
LIGHTS: dict[str, tuple[int, dict[str, Any], Any]] = {
    "fine": (42, ANY, BACKGROUND),
    "live": (50, ANY | IN_WATER, BACKGROUND),
    "confocal": (70, {"kind": "confocal", "preset": "con1"}, BACKGROUND),
    "epi2": (80, {"kind": "epi", "preset": "epi2"}, UNEVEN),
    "epi1": (109, {"kind": "epi", "preset": "epi1"}, UNEVEN),
}
"""Pixels in nm, microscope and background of each set."""
PLAN: dict[str, Any] = {
    "mishape": 1,
    "seed": 1,
    "images": {
        "datasets": [*LIGHTS],
        "validated": 50,
        "crop_px": 96,
        "foreground": 0.6,
        "augmentation": {"noise": 0.02},
    },
    "model": {"kind": "unet"},
    "training": {"steps": 5000, "batch": 16, "check_every": 1000, "learning_rate": 0.003, "bfloat16": True},
}


def scene(library: Path, name: str) -> dict[str, Any]:
    """Return the scene of a set."""
    pixel_nm, microscope, background = LIGHTS[name]
    document = yaml.safe_load(SCENE.read_text(encoding="utf-8"))
    document["seed"] = 21 + [*LIGHTS].index(name)
    document["objects"][0]["shape"]["library"] = str(library.resolve())
    across_nm = round(96 * pixel_nm, -2)  # three quarters of a field
    for thing in document["objects"]:
        thing["pose"]["scatter_nm"] = [across_nm, across_nm, 500]
    light = document["views"]["light"]
    light |= {"microscope": microscope} | ({"optics_pool": 16} if "na" in microscope else {})
    light["grid"]["pixel_nm"], light["noise"]["background"] = pixel_nm, background
    return dict(document)


def main(library: Path, runs: Path) -> Path:
    """Return the file of the weights."""
    sets: list[Dataset] = []
    for name in LIGHTS:
        print(f"{name} ...", flush=True)
        sets.append(mishape.generate(mishape.load_spec(scene(library, name)), runs / name, workers=2))
    return train_pictures(ImagePlan.model_validate(PLAN), sets, runs / "weights", report=_told)


def _told(what: str, done: int, total: int) -> None:
    if done % 100 == 0:
        print(f"{what}: {done} of {total}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(main(Path(sys.argv[1]), Path(sys.argv[2])))
