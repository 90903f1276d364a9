"""An image as networks of shapes are given it: its planes at one scale of brightness, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import MishapeError
from mishape.engine.scene import View
from mishape.learn.noise_law import NORMAL

OPTICS = 10
"""Numbers that say how an image was made, and how high its shape lies if that is known."""
MISMATCH, HEIGHT = 5, 9
"""Which of them say how far the indices differ, and that height."""
HEIGHT_NM = 250.0
"""Unit of that height."""
DARK, BRIGHT = 20.0, 99.8
"""Percentiles of all pixels that become 0 and 1: at least a fifth of a field is taken to be background."""


class LightError(MishapeError):
    """An image cannot be read as that of a shape."""


@dataclass(frozen=True)
class Light:
    """What a network is given of an image.

    Parameters
    ----------
    planes
        (P, H, W) float32, brightness: 0 is the background, 1 the brightest.
    focus_um
        (P,) float32, world z that is in focus at each plane, um.
    half_um
        (2,) float32, half of the field along x and y, um.
    optics
        (OPTICS,) float32: how it was made, the noise, and how high the shape lies if that is known.
    """

    planes: NDArray[np.float32]
    focus_um: NDArray[np.float32]
    half_um: NDArray[np.float32]
    optics: NDArray[np.float32]

    def padded(self, planes: int) -> dict[str, NDArray[np.float32]]:
        """Return arrays for a batch in which images have up to so many planes; ``lit`` is 0 where there is none."""
        more = planes - len(self.planes)
        return {
            "planes": np.pad(self.planes, ((0, more), (0, 0), (0, 0))),
            "focus_um": np.pad(self.focus_um, (0, more)),
            "lit": np.repeat(np.array([1, 0], np.float32), [len(self.planes), more]),
            "half_um": self.half_um,
            "optics": self.optics,
        }


def light_of(counts: NDArray[Any], view: View, centre_z_nm: float | None = None) -> Light:
    """Return what a network is given of a (P, H, W) image, in counts of any gain and offset, and of its view.

    Parameters
    ----------
    centre_z_nm
        World z of the shape's centre, where it is known.

    Raises
    ------
    LightError
        If the image does not fit the view, shows nothing, or is of a microscope without an objective.
    """
    if counts.shape != view.grid.shape:
        raise LightError(
            f"an image of shape {counts.shape} given, the view has {view.grid.shape} planes, rows, columns"
        )
    if not np.isfinite(counts).all():
        raise LightError("the image has pixels that are no number (NaN, infinite): replace them first")
    dark, bright = np.percentile(counts, (DARK, BRIGHT))
    if bright <= dark:
        raise LightError("the image is the same all over: it shows no shape")
    planes = np.asarray((counts - dark) / (bright - dark), np.float32)
    focus_um = np.asarray(view.focus_in_sample_nm() / 1000, np.float32)
    half_um = np.asarray(view.grid.half_field_nm(), np.float32) / np.float32(1000)
    return Light(planes, focus_um, half_um, optics_of(view, noise_of(planes), centre_z_nm))


def noise_of(planes: NDArray[np.float32]) -> float:
    """Return the standard deviation of the noise in the darker half of the pixels, by what neighbours differ."""
    first, second = planes[..., :-1], planes[..., 1:]
    apart = (first - second)[first + second <= 2 * np.median(planes)]
    return float(NORMAL * np.median(np.abs(apart)) / 2**0.5) if apart.size else 0.0


def optics_of(view: View, noise: float, centre_z_nm: float | None = None) -> NDArray[np.float32]:
    """Return the numbers that say how an image was made, each of about unit size.

    Pixel size, numerical aperture, emission, excitation and pinhole where there are, indices, depth where the indices
    differ, noise; 1 and how far the shape lies above the middle of the planes if that is known, else 0 and 0.

    Raises
    ------
    LightError
        If the microscope does not say its aperture and its wavelength.
    """
    scope: Any = view.microscope
    if not (hasattr(scope, "na") and hasattr(scope, "emission_nm") and hasattr(scope, "media")):
        raise LightError(
            f"microscope {scope.kind!r} does not say its na, emission_nm and media: networks of shapes are told by "
            "these what light they see"
        )
    media, pinhole_au = scope.media, getattr(scope, "pinhole_au", None)
    mismatch = 10 * (1 - media.sample / media.immersion)
    numbers = [
        2 * np.log2(view.grid.pixel_nm / 100),
        5 * (scope.na - 1.3),
        scope.emission_nm / 100 - 6,
        0.0 if pinhole_au is None else scope.excitation_nm / scope.emission_nm,
        0.0 if pinhole_au is None else min(1.0 / pinhole_au, 4.0),
        mismatch,
        mismatch * media.depth_nm / 5000,
        np.log(max(noise, 1e-3)) + 3,
        float(centre_z_nm is not None),
        0.0 if centre_z_nm is None else (centre_z_nm - view.focus_in_sample_nm().mean()) / HEIGHT_NM,
    ]
    return np.array(numbers, np.float32)
