"""Raw images that label volumes were drawn on: opened beside their labels, and cut where a picture needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mishape.em.open import open_volume
from mishape.em.volumes import Box, Volume
from mishape.engine.errors import VolumeError
from mishape.engine.types import Points

Raws = Mapping[str, Volume]
"""Name of a label volume -> the raw images on the same voxels."""


@contextmanager
def opened_raws(
    labels: Sequence[str | Path], raws: Sequence[str | Path], axes: str | None = None, max_bytes: int = 1 << 36
) -> Iterator[Raws]:
    """Open raw volumes, in the order of their label volumes, for as long as the block runs.

    Parameters
    ----------
    labels, raws
        Files, folders or URLs; no raw volumes at all, or one for each.
    axes, max_bytes
        As in `open_volume`, for both.

    Raises
    ------
    VolumeError
        If there is not one for each, one cannot be read, or its voxels are not those of its labels.
    """
    if raws and len(raws) != len(labels):
        raise VolumeError(f"raw: {len(raws)} given for {len(labels)} label volumes: give one for each, in their order")
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        folders = [Path(scratch) / kind for kind in ("labels", "raw")]
        for folder in folders:
            folder.mkdir()
        found = {}
        for places in zip(labels, raws, strict=False):
            label, raw = (open_volume(*one, axes, None, max_bytes) for one in zip(places, folders, strict=True))
            if raw.shape != label.shape:
                raise VolumeError(
                    f"raw {str(places[1])!r} has {_sizes(raw)} voxels, its labels {str(places[0])!r} {_sizes(label)}: "
                    "they must be the same; give the part of the raw volume that the labels cover"
                )
            found[label.name] = raw
        yield found


def _sizes(volume: Volume) -> str:
    return " x ".join(map(str, volume.shape))


def section(raw: Volume, low: Points, high: Points) -> tuple[NDArray[np.float64], tuple[float, float, float, float]]:
    """Cut a section that holds a rectangle.

    Parameters
    ----------
    raw
        The volume.
    low, high
        (3,) lowest and highest corner in voxels, whole numbers at voxels' middles; `low`'s z is that of the section.

    Returns
    -------
    (rows, columns) array
        Voxels along y and x, NaN outside of the volume.
    (left, top, right, bottom)
        Where the rectangle lies in it, in voxels from its corner.
    """
    first = np.floor(low + 0.5).astype(int)
    last = np.maximum(np.ceil(high + 0.5).astype(int), first + 1)
    last[2] = first[2] + 1
    start, stop = np.clip(first, 0, raw.shape), np.clip(last, 0, raw.shape)
    cut = np.full((last - first)[[1, 0]], np.nan)
    if (start < stop).all():
        (x0, y0, z0), (x1, y1, z1) = start.tolist(), stop.tolist()
        voxels = raw.read(Box((x0, y0, z0), (x1, y1, z1)))[:, :, 0]
        cut[y0 - first[1] : y1 - first[1], x0 - first[0] : x1 - first[0]] = voxels.T
    (left, top), (right, bottom) = (low + 0.5 - first)[:2], (high + 0.5 - first)[:2]
    return cut, (float(left), float(top), float(right), float(bottom))
