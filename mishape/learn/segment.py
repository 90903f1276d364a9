"""What a segmenter is, and what is measured on what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

EIGHT = np.ones((3, 3), np.int64)


@dataclass(frozen=True)
class Segmentation:
    """What a segmenter says of a picture.

    Parameters
    ----------
    chances
        (H, W) float32, probability of foreground, from 0 to 1.
    mask
        (H, W) bool, foreground.
    """

    chances: NDArray[np.float32]
    mask: NDArray[np.bool_]


@runtime_checkable
class Segmenter(Protocol):
    """Finds foreground in pictures: a component of the family ``segmenters``."""

    @property
    def kind(self) -> str: ...
    def segment(self, picture: NDArray[np.float32], pixel_nm: float) -> Segmentation:
        """Return what is found in a (H, W) picture whose pixels are of that size; the picture stays as it is."""
        ...


@dataclass(frozen=True)
class Part:
    """A connected part of a mask.

    Parameters
    ----------
    label
        Its number in the labels.
    kind
        ``instance`` if its centre line has no branch; else ``component``: several may lie across one another.
    row, column
        Its centroid, pixels.
    area_um2
        Its area.
    length_um, width_um
        Of its centre line with the ends to its border, and its area over that.
    touches_border
        Whether the picture's border may cut it.
    """

    label: int
    kind: str
    row: float
    column: float
    area_um2: float
    length_um: float
    width_um: float
    touches_border: bool


def labelled(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the number of each pixel's part, (H, W) from 1, 0 outside; pixels that touch at a corner are of one."""
    from scipy.ndimage import label

    return np.asarray(label(mask, EIGHT)[0], np.int32)


def parts(labels: NDArray[np.int32], pixel_nm: float) -> Iterator[Part]:
    """Yield every part of `labelled` with its measures."""
    from scipy.ndimage import find_objects

    for number, window in enumerate(find_objects(labels), start=1):
        yield _part(np.pad(labels[window] == number, 1), number, window, labels.shape, pixel_nm / 1000)


def _part(
    mask: NDArray[np.bool_], number: int, window: tuple[slice, ...], shape: tuple[int, ...], pixel_um: float
) -> Part:
    length, is_branched = _centre_line_px(mask)
    area_um2 = float(mask.sum()) * pixel_um**2
    row, column = (np.argwhere(mask).mean(axis=0) - 1 + [window[0].start, window[1].start]).tolist()
    at_border = any(part.start == 0 or part.stop == edge for part, edge in zip(window, shape, strict=True))
    kind = "component" if is_branched else "instance"
    return Part(number, kind, row, column, area_um2, length * pixel_um, area_um2 / (length * pixel_um), at_border)


def _centre_line_px(mask: NDArray[np.bool_]) -> tuple[float, bool]:
    """Return the length of a part's centre line, with its ends prolonged to the border, and whether it branches."""
    from scipy.ndimage import convolve, distance_transform_edt
    from skimage.morphology import thin

    line, depth = thin(mask), distance_transform_edt(mask)
    beside = convolve(line.astype(int), EIGHT, mode="constant") - 1
    ends, joints = line & (beside <= 1), line & (beside > 2)
    beyond = float((depth[ends] - 0.5).sum()) * (2 if line.sum() == 1 else 1)
    return _steps(line) + beyond, bool(joints.any()) and _branches(line, ends, joints, depth)


def _branches(
    line: NDArray[np.bool_], ends: NDArray[np.bool_], joints: NDArray[np.bool_], depth: NDArray[np.float64]
) -> bool:
    """Tell whether a centre line has a loop, or three arms that are longer than the part is wide where they meet.

    Thinning leaves shorter arms at corners.
    """
    from scipy.ndimage import binary_dilation, label

    if label(~line)[1] > 1:
        return True
    arms = label(line & ~binary_dilation(joints, EIGHT), EIGHT)[0]
    lengths = np.bincount(arms.ravel())[np.unique(arms[ends & (arms > 0)])] + 2
    return bool((lengths > 2 * depth[joints].max()).sum() > 2)


def _steps(line: NDArray[np.bool_]) -> float:
    """Return the length of a line of pixels: 1 for each step along an axis, the square root of 2 for one across."""
    upper, lower, left, right = line[:-1], line[1:], line[:, :-1], line[:, 1:]
    straight = int((upper & lower).sum() + (left & right).sum())
    corners = upper[:, :-1], upper[:, 1:], lower[:, :-1], lower[:, 1:]
    # A step across counts where none of the other two pixels makes it two steps along axes.
    alone = np.sum(corners, axis=0) == 2
    across = (corners[0] & corners[3] | corners[1] & corners[2]) & alone
    return straight + 2**0.5 * int(across.sum())
