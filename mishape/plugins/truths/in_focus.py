"""Which part of the shapes is in focus."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.columns import overlaps_slab
from mishape.engine.component import Component, Keyed
from mishape.engine.extent import half_maximum_band
from mishape.engine.grid import Grid
from mishape.engine.protocols import Microscope
from mishape.engine.types import Emitters, Points, Raster, Sample
from mishape.plugins.truths.masks_2d import shown_objects


class InFocus(Component):
    """Where, in each plane, some part of a shape lies within the in-focus band, (Z, Y, X) uint8.

    The band of a plane is the range of z in which a lone emitter's in-plane peak is at least half of its maximum
    over z, measured from the microscope itself. ``view.in_focus_band_nm`` holds its two ends, one row per plane (of
    each field of a montage in turn).
    """

    kind: Literal["in_focus"] = "in_focus"

    def measure(self, sample: Sample, rng: Generator) -> Mapping[str, Raster | NDArray[Any]]:
        """Return ``view.in_focus`` and ``view.in_focus_band_nm`` for every view."""
        truths: dict[str, Raster | NDArray[Any]] = {}
        for name, view in sample.scene.views.items():
            bands = np.array([in_focus_band_nm(view.microscope, float(z)) for z in view.grid.centers_nm()[0]])
            mask = np.zeros(view.grid.shape, dtype=np.uint8)
            for number in shown_objects(sample, name):
                mesh = sample.shapes[number].surface
                for plane, (low, high) in enumerate(bands):
                    mask[plane] |= overlaps_slab(mesh, view.grid, low, high)
            truths[f"{name}.in_focus"] = Raster(mask, view.sharp_grid)
            truths[f"{name}.in_focus_band_nm"] = bands
        return truths


def in_focus_band_nm(microscope: Microscope, focus_nm: float) -> tuple[float, float]:
    """Return the lowest and highest z at which a lone emitter's peak is at least half of its maximum, nm."""
    return _band(Keyed.of(microscope), focus_nm)


@lru_cache(maxsize=256)
def _band(key: Keyed, focus_nm: float) -> tuple[float, float]:
    return half_maximum_band(partial(peak_response, key.component, focus_nm=focus_nm), focus_nm, 500.0)


def peak_response(microscope: Microscope, z_nm: Points, *, focus_nm: float) -> Points:
    """Return the peak of a lone emitter's image at each z, seen from one plane.

    A PSF microscope is asked for its PSF; any other one for images of single emitters on 20 nm pixels.
    """
    if hasattr(microscope, "psf"):
        radii = np.arange(0.0, 2000.0, 20.0)
        return np.asarray(microscope.psf(radii, z_nm, focus_nm).max(axis=1))
    grid = Grid((1, 65, 65), 20.0, planes_nm=(focus_nm,))
    lone = np.ones(1)
    images = (microscope.image(Emitters(np.array([[0.0, 0.0, z]]), lone), grid) for z in z_nm)
    return np.array([float(image.max()) for image in images])
