"""Networks of the tables: each trained by one plan on one set, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.segmentation.sets import LEARNED, Sets
from mishape.engine import registry
from mishape.engine.dataset import Dataset
from mishape.learn.image_plan import ImagePlan
from mishape.learn.image_training import train_pictures
from mishape.learn.pairs import Pair
from mishape.learn.segmenting import Network, load_network


def plan(names: Sequence[str], steps: int, seed: int = 1, encoder: str = "plain") -> dict[str, Any]:
    """Return the training file of a row: a U-Net, nothing watched: all learn from as many pictures.

    Crops are small and mostly round foreground, which is a thirtieth of the pictures; sizes and noise are as tested.
    """
    return {
        "mishape": 1,
        "seed": seed,
        "images": {
            "datasets": [*names],
            "train": [],
            "validation": [],
            "crop_px": 64,
            "foreground": 0.7,
            "augmentation": {"scale": 1, "noise": 0, "gain": 0.1, "offset": 0.02},
        },
        "model": {"kind": "unet", "encoder": encoder},
        "training": {"steps": steps, "batch": 16, "learning_rate": 3e-3, "check_every": steps, "bfloat16": True},
    }


def papers_plan(names: Sequence[str], pictures: int) -> dict[str, Any]:
    """Return the training file of the MiShape paper's setting: EfficientNet-B0, 20 epochs with early stopping.

    Batches of 32 and a rate of 1e-4 are the paper's. Stopping after five epochs without a better one is assumed, and
    the network starts from new weights, not from ImageNet's, which are not at hand.
    """
    epoch = -(-pictures // 32)
    return {
        "mishape": 1,
        "seed": 1,
        "images": {"datasets": [*names], "crop_px": 256},
        "model": {"kind": "unet", "encoder": "efficientnet_b0"},
        "training": {
            "steps": 20 * epoch,
            "batch": 32,
            "learning_rate": 1e-4,
            "schedule": "constant",
            "check_every": epoch,
            "patience": 5,
        },
    }


def learned(sets: Sets, runs: Path, origin: str, definition: str, encoder: str = "plain") -> Network:
    """Return the network of a row; trained now if it was not yet."""
    datasets = sets.training(origin, definition)
    asked = plan([one.folder.name for one in datasets], sets.sizes.steps, encoder=encoder)
    name = f"{origin}-{definition}" + ("" if encoder == "plain" else f"-{encoder}")
    return _trained(asked, datasets, runs / "networks" / name, "cpu")


def papers(sets: Sets, runs: Path, definition: str) -> Network:
    """Return the network of the paper's setting, which learned from EM shapes; it needs a GPU."""
    datasets = sets.training("em", definition)
    asked = papers_plan([one.folder.name for one in datasets], round(LEARNED["train"] * sets.sizes.train))
    return _trained(asked, datasets, runs / "networks" / f"papers-{definition}", "cuda")


def _trained(asked: dict[str, Any], datasets: Sequence[Dataset], folder: Path, device: str) -> Network:
    weights = train_pictures(ImagePlan.model_validate(asked), datasets, folder, device)
    return load_network(weights, weights.stat().st_mtime_ns)


def masks(network: Network, pairs: Sequence[Pair], pixel_nm: float) -> list[NDArray[np.bool_]]:
    """Return what a network finds in pictures."""
    return [network.chances_of(pair.picture, pixel_nm) > 0.5 for pair in pairs]


def default(pairs: Sequence[Pair], pixel_nm: float) -> list[NDArray[np.bool_]]:
    """Return what `mishape segment` finds in pictures."""
    segmenter = registry.load("segmenters", "unet")()
    return [segmenter.segment(pair.picture, pixel_nm).mask for pair in pairs]
