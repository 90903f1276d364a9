"""A small dataset of real shapes, for tests of what becomes of datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mishape


def made(folder: Path, **changes: Any) -> Path:
    """A small dataset of real shapes: two shards of two samples."""
    document = {
        "mishape": 1,
        "seed": 1,
        "samples": 4,
        "objects": [{"shape": {"kind": "em_mesh", "library": "neuropil"}}],
        "views": {
            "epi": {
                "grid": {"shape": [1, 16, 16], "pixel_nm": 100},
                "microscope": {"kind": "epi", "preset": "epi1"},
                "noise": {"kind": "poisson", "background": 10},
            }
        },
        "truths": {"masks_2d": {"instances": True}, "emitters": {}},
        "dataset": {"shard_size": 2},
    }
    mishape.generate(mishape.load_spec({**document, **changes}), folder)
    return folder
