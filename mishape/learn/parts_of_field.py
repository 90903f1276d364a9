"""The parts of a field of many objects: a window about each, in which the light of its neighbours is taken away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.types import Points

MARGIN_NM = 1200.0
"""Around a part's mask: as far as its blur is worth reading."""


@dataclass(frozen=True)
class Window:
    """A part of a field.

    Parameters
    ----------
    label
        Its number in the field's labels.
    counts
        (P, h, w) the image there.
    centre_nm
        (3,) where the window's own origin lies in the world of the field; z is the field's.
    touches_border
        Whether the field's border may cut the part.
    """

    label: int
    counts: NDArray[np.float64]
    centre_nm: Points
    touches_border: bool


def windows(counts: NDArray[Any], labels: NDArray[np.integer[Any]], pixel_nm: float) -> Iterator[Window]:
    """Yield a window for each part of a (P, H, W) image, by (H, W) labels from 1.

    Pixels that lie nearer to another part are set to the background of their plane: the median of what is no part.
    """
    from scipy.ndimage import find_objects

    margin = round(MARGIN_NM / pixel_nm)
    middle = (np.array(labels.shape) - 1) / 2
    dark = np.median(counts[:, labels == 0], axis=1) if (labels == 0).any() else counts.min(axis=(1, 2))
    for label, place in enumerate(find_objects(labels), start=1):
        if place is None:
            continue
        wide = tuple(
            slice(max(part.start - margin, 0), min(part.stop + margin, edge))
            for part, edge in zip(place, labels.shape, strict=True)
        )
        own = np.where(_nearest(labels[wide]) == label, counts[(slice(None), *wide)], dark[:, None, None])
        y, x = (((part.start + part.stop - 1) / 2 - half) * pixel_nm for part, half in zip(wide, middle, strict=True))
        cut = any(part.start == 0 or part.stop == edge for part, edge in zip(place, labels.shape, strict=True))
        yield Window(label, own, np.array([x, y, 0.0]), cut)


def _nearest(labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return the label of the part that is nearest to each pixel."""
    from scipy.ndimage import distance_transform_edt

    where = distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(where)])
