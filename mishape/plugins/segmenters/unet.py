"""Segmentation by a network that `mishape learn train` trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr

from mishape.engine.component import Component, Real
from mishape.engine.errors import MishapeError
from mishape.engine.needs import needs
from mishape.engine.wording import problem
from mishape.learn.installed import find_weights
from mishape.learn.segment import Segmentation

DEFAULT, FILE = "mitoseg", "segmenter.safetensors"


class UnetSegmenter(Component):
    """A network of the family ``models`` that was trained on simulated images and their exact masks.

    Pictures whose pixels are smaller or larger than those it learned from are brought to such a size first.
    """

    kind: Literal["unet"] = "unet"
    weights: str = DEFAULT
    """Installed weights by name, or path of a run's weights.safetensors. Default mitoseg: the distribution
    mishape-weights-mitoseg, CC BY-NC-SA 4.0."""
    threshold: Real = Field(default=0.5, gt=0, lt=1)
    """Probability above which a pixel is foreground; above 0, below 1, default 0.5."""
    _place: Path = PrivateAttr()
    _distribution: str | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Find the weights."""
        try:
            needs("torch", "learn")
            needs("safetensors", "learn")
        except MishapeError as error:
            raise problem(str(error)) from None
        folder = Path((context or {}).get("folder") or ".")
        self._place, self._distribution = find_weights(self.weights, FILE, DEFAULT, folder)

    def input_files(self) -> Mapping[str, Path]:
        """Return the file of weights, by parameter; what is installed is known by its distribution's version."""
        return {"weights": self._place} if self._distribution is None else {}

    def segment(self, picture: NDArray[np.float32], pixel_nm: float) -> Segmentation:
        """Return what the network finds."""
        from mishape.learn.segmenting import load_network

        network = load_network(self._place, self._place.stat().st_mtime_ns)
        chances = network.chances_of(picture, pixel_nm)
        return Segmentation(chances, chances > self.threshold)
