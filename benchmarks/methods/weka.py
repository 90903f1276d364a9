"""Trainable Weka Segmentation: a random forest on features of pixels, from scribbles on one image.

I. Arganda-Carreras et al., Bioinformatics 33 (2017), doi 10.1093/bioinformatics/btx180. The forest (200 trees, 2
features at each node) and the scales (1 to 16 pixels) are the plugin's defaults; so are the features, except that
membrane projections are left out, and of the Hessian its norm, trace, determinant and eigenvalues are kept.

Ours differs: a person's scribbles are straight strokes, drawn at random on both classes of one image, itself drawn from
those that are given; images are stretched to 0 to 1, so that the forest can serve images of other exposures, where the
plugin takes the grey levels that it finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier

from benchmarks.methods.derivatives import blurred, hessian_eigenvalues
from benchmarks.methods.method import Image, Learner, Mask, Sees, Segmenter, labelled

SCALES_PX = (1.0, 2.0, 4.0, 8.0, 16.0)
AT_ONCE = 1 << 18
"""Pixels that the forest is asked at once, to spare memory."""


@dataclass(frozen=True)
class Weka(Learner):
    """A forest that is grown from scribbles.

    Parameters
    ----------
    strokes
        Scribbles on each class.
    stroke_px
        Length of a scribble; it ends sooner where its class ends.
    trees
        Size of the forest.
    """

    strokes: int = 10
    stroke_px: int = 20
    trees: int = 200
    sees: ClassVar[Sees] = "one image"

    def trained(
        self, images: Sequence[NDArray[Any]], masks: Sequence[NDArray[Any]], pixel_nm: float, seed: int
    ) -> Segmenter:
        """Return the forest of one of the images, drawn by the seed."""
        rng = np.random.default_rng(seed)
        pairs = labelled(images, masks)
        unit, mask = pairs[rng.integers(len(pairs))]
        drawn = [scribbles(side, self.strokes, self.stroke_px, rng) for side in (~mask, mask)]
        values = np.stack([feature.ravel() for feature in features(unit)], axis=1)
        forest = RandomForestClassifier(self.trees, max_features=2, random_state=seed, n_jobs=1)
        classes = np.repeat([False, True], [len(places) for places in drawn])
        return WekaForest(forest.fit(values[np.concatenate(drawn)], classes))


@dataclass(frozen=True)
class WekaForest(Segmenter):
    """Pixels that most trees of a forest take for foreground."""

    forest: Any
    sees: ClassVar[Sees] = "one image"

    def _mask(self, unit: Image, pixel_nm: float) -> Mask:
        flat = [feature.ravel() for feature in features(unit)]
        starts = range(0, unit.size, AT_ONCE)
        parts = [np.stack([feature[start : start + AT_ONCE] for feature in flat], axis=1) for start in starts]
        return np.concatenate([self.forest.predict(part) for part in parts]).reshape(unit.shape)


def scribbles(side: Mask, strokes: int, stroke_px: int, rng: Generator) -> NDArray[np.int64]:
    """Return the flat places, without repetition, of straight strokes that begin on a class and end where it ends."""
    places = np.flatnonzero(side)
    drawn = []
    for start, angle in zip(rng.choice(places, strokes), rng.uniform(0, 2 * np.pi, strokes), strict=True):
        steps = np.arange(stroke_px)[:, None] * [np.sin(angle), np.cos(angle)]
        line = np.round(np.unravel_index(start, side.shape) + steps).astype(np.int64)
        inside = np.all((line >= 0) & (line < side.shape), axis=1)
        flat = np.ravel_multi_index(tuple(line[inside].T), side.shape)
        drawn.append(flat[np.logical_and.accumulate(side.flat[flat])])
    return np.unique(np.concatenate(drawn))


def features(unit: Image) -> Iterator[Image]:
    """Yield the features of each pixel, (H, W) each.

    The image; at the scale of the image and each of the scales the length of the Sobel gradient and what the Hessian
    tells; the image at each scale, and the differences of these.
    """
    scales = [blurred(unit, scale_px) for scale_px in SCALES_PX]
    for image in (unit, *scales):
        low, high = hessian_eigenvalues(image)
        yield image
        yield np.hypot(ndimage.sobel(image, 0), ndimage.sobel(image, 1))
        yield from (low, high, np.hypot(low, high), low + high, low * high)
    for fine, coarse in combinations(scales, 2):
        yield coarse - fine
