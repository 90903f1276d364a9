"""Networks of the tables: each trained by one plan on one set, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.dataset import Dataset
from mishape.learn.image_plan import ImagePlan
from mishape.learn.image_training import train_pictures
from mishape.learn.pairs import Pair
from mishape.learn.segmenting import Network, load_network

PIXEL_NM = 80.0


def plan(names: Sequence[str], steps: int, seed: int = 1) -> dict[str, Any]:
    """Return the training file of a row: the default U-Net, nothing watched: all learn from as many pictures."""
    return {
        "mishape": 1,
        "seed": seed,
        "images": {"datasets": [*names], "train": [], "validation": []},
        "model": {"kind": "unet"},
        "training": {"steps": steps, "batch": 16, "learning_rate": 3e-3, "check_every": steps},
    }


def trained(folder: Path, datasets: Sequence[Dataset], steps: int) -> Network:
    """Return the network that was trained on datasets; trained now if it was not yet."""
    asked = ImagePlan.model_validate(plan([one.folder.name for one in datasets], steps))
    weights = train_pictures(asked, datasets, folder)
    return load_network(weights, weights.stat().st_mtime_ns)


def masks(network: Network, pairs: Sequence[Pair], pixel_nm: float = PIXEL_NM) -> list[NDArray[np.bool_]]:
    """Return what a network finds in pictures."""
    return [network.chances_of(pair.picture, pixel_nm) > 0.5 for pair in pairs]
