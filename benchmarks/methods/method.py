"""What methods of segmentation have in common: what they are given, what they may see of labels, what they answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Pairs = Sequence[tuple[NDArray[Any], Mask]]
"""Images and their true masks."""
Sees = Literal["nothing", "one image", "training set", "truth"]
"""Labels that a method is shown: none, those of one image, those of a training set, or those it is judged by."""

NEIGHBOURS = np.ones((3, 3))
"""Pixels that touch, by edges or corners, are of one component."""


class Segmenter(ABC):
    """A method that needs no labels, or one that has learned from them."""

    sees: ClassVar[Sees] = "nothing"

    def segment(self, image: NDArray[Any], pixel_nm: float) -> Mask:
        """Return the mask, (H, W), of an image of any type of number; all of a constant image is background."""
        unit = unit_range(image)
        return self._mask(unit, pixel_nm) if unit.any() else np.zeros(unit.shape, bool)

    @abstractmethod
    def _mask(self, unit: Image, pixel_nm: float) -> Mask:
        """Return the mask of an image that spans 0 to 1."""


class Learner(ABC):
    """A method that learns from images and masks before it segments."""

    sees: ClassVar[Sees]

    @abstractmethod
    def trained(
        self, images: Sequence[NDArray[Any]], masks: Sequence[NDArray[Any]], pixel_nm: float, seed: int
    ) -> Segmenter:
        """Return what was learned; the same seed and images give the same masks, bit for bit.

        Raises
        ------
        ValueError
            If images and masks do not match, or nothing can be learned from them.
        """


class Oracle(ABC):
    """A method whose answer was chosen by the truth that it is judged by: a bound, no method to use."""

    sees: ClassVar[Sees] = "truth"

    @abstractmethod
    def segment(self, image: NDArray[Any], pixel_nm: float, truth: Mask) -> Mask:
        """Return the mask, (H, W), that fits the truth best of those that the method offers."""


Method = Segmenter | Learner | Oracle


def unit_range(image: NDArray[Any]) -> Image:
    """Return a new image from 0 to 1, whatever its type of number; 0 everywhere if it is constant.

    Raises
    ------
    ValueError
        If it is not of 2 axes, is empty, or has values that are not finite.
    """
    if image.ndim != 2 or not image.size:
        raise ValueError(f"an image of shape {image.shape} was given: give one of 2 axes (y, x) that is not empty")
    values = image.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("the image has values that are not finite: replace them, or leave the image out")
    low, high = values.min(), values.max()
    return np.asarray((values - low) / (high - low) if high > low else np.zeros_like(values), np.float32)


def labelled(images: Sequence[NDArray[Any]], masks: Sequence[NDArray[Any]]) -> list[tuple[Image, Mask]]:
    """Return those images, each from 0 to 1, and masks that show both classes.

    Raises
    ------
    ValueError
        If there is no such pair, or an image and its mask are not of one size.
    """
    if len(images) != len(masks):
        raise ValueError(f"{len(images)} images and {len(masks)} masks were given: give one mask for each image")
    for image, mask in zip(images, masks, strict=True):
        if image.shape != mask.shape:
            raise ValueError(f"an image of shape {image.shape} has a mask of shape {mask.shape}: give both of one size")
    pairs = [(unit_range(image), mask > 0) for image, mask in zip(images, masks, strict=True)]
    pairs = [(unit, mask) for unit, mask in pairs if mask.any() and not mask.all()]
    if not pairs:
        raise ValueError(f"{len(images)} images were given, none with a mask of both classes: nothing can be learned")
    return pairs


def sized(mask: Mask, least_px: float, most_px: float = np.inf) -> Mask:
    """Return a mask without connected components of fewer or more pixels."""
    parts, _ = ndimage.label(mask, NEIGHBOURS)
    pixels = np.bincount(parts.ravel())
    kept = (pixels >= least_px) & (pixels <= most_px)
    kept[0] = False
    return np.asarray(kept[parts])
