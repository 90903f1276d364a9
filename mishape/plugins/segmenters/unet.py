"""Segmentation by a network that `mishape learn train` trained."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.component import Real
from mishape.learn.installed import Weighted
from mishape.learn.segment import Segmentation


class UnetSegmenter(Weighted):
    """A network of the family ``models`` that was trained on simulated images and their exact masks.

    Pictures whose pixels are smaller or larger than those it learned from are brought to such a size first.
    """

    FILE = "segmenter.safetensors"
    DEFAULT = "mitoseg"

    kind: Literal["unet"] = "unet"
    weights: str = "mitoseg"
    """Installed weights by name, or the path of a run's weights.safetensors. Default mitoseg: the distribution
    mishape-weights-mitoseg, CC BY-NC-SA 4.0."""
    threshold: Real = Field(default=0.5, gt=0, lt=1)
    """Probability above which a pixel is foreground; above 0, below 1, default 0.5."""

    def segment(self, picture: NDArray[np.float32], pixel_nm: float) -> Segmentation:
        """Return what the network finds."""
        from mishape.learn.segmenting import load_network

        network = load_network(self._place, self._place.stat().st_mtime_ns)
        chances = network.chances_of(picture, pixel_nm)
        return Segmentation(chances, chances > self.threshold)
