"""What several test files share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def mishape_data() -> Path:
    """The folder of third-party data beside the project; tests that need it are skipped without it."""
    folder = os.environ.get("MISHAPE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set MISHAPE_DATA to the folder of third-party data to run this test")
    return Path(folder)


@pytest.fixture
def sphere_scene() -> dict[str, Any]:
    """A small, fast scene: two spheres that move from sample to sample."""
    return {
        "mishape": 1,
        "seed": 4,
        "samples": 5,
        "objects": [
            {
                "count": 2,
                "shape": {"kind": "implicit", "form": "sphere", "radius_nm": {"$uniform": [150, 250]}},
                "pose": {"center_nm": [{"$uniform": [-500, 500]}, {"$uniform": [-500, 500]}, 0]},
                "labeler": {"kind": "surface", "density_per_um2": 300},
            }
        ],
        "views": {
            "epi": {
                "grid": {"shape": [2, 24, 20], "pixel_nm": 100, "z_step_nm": 300},
                "microscope": {"kind": "epi", "preset": "epi2"},
                "noise": {"kind": "poisson", "background": 10},
            }
        },
        "truths": {"masks_2d": {}, "emitters": {}},
        "dataset": {"shard_size": 2},
    }
