"""The size and the place of a surface of known form and direction, by the image that shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.errors import ShapeError
from mishape.engine.geometry import sample_surface
from mishape.engine.scene import View
from mishape.engine.types import Emitters, Mesh, Points
from mishape.learn.light import LightError
from mishape.learn.noise_law import NoiseLaw
from mishape.learn.reimaging import levels

EMITTERS = 5000
"""On the surface, the same in all sizes."""
STARTS = (0.7, 1.0, 1.4)
"""Sizes that the search starts from, over the one that the light's extent tells."""
PLACE_NM = 100.0
"""Unit of places in the search, where that of sizes is a factor of e."""
INTERVAL = 1.96
"""Standard deviations to either side in which 95 % of a normal distribution lie."""
PATCH_PX = 4
"""Edge of the patches of an image whose errors count as independent."""
ABOVE = 3.0
"""Standard deviations of the background above which a pixel counts as light."""


@dataclass(frozen=True)
class Rescaled:
    """A surface's size and place.

    Parameters
    ----------
    scale
        Factor on the mesh as it was given.
    interval
        Where 95 % of such scales lie, by the noise and the curvature of the likelihood.
    centre_nm
        (3,) where the mesh's own origin comes to lie.
    chi2
        Mean square of what is left, in units of the noise.
    """

    scale: float
    interval: tuple[float, float]
    centre_nm: Points
    chi2: float


def rescaled(mesh: Mesh, counts: NDArray[Any], view: View, rng: Generator, law: NoiseLaw | None = None) -> Rescaled:
    """Return the size and place at which a surface's image explains counts best.

    Parameters
    ----------
    mesh
        In any unit, along the axes of the world.
    counts
        (P, H, W).
    law
        Of the noise; by default that of the image itself.

    Raises
    ------
    LightError
        If the image shows no light above its background.
    ShapeError
        If the mesh has no extent.
    """
    places = sample_surface(mesh, EMITTERS, rng)
    middle = places.mean(axis=0)
    places = places - middle
    if not np.ptp(places, axis=0).max() > 0:
        raise ShapeError("the mesh has no extent: give a closed surface")
    search = _Search(places, counts.astype(np.float64), view, NoiseLaw.of(counts) if law is None else law)
    scale, centre_nm = search.start()
    best = min((search.ends(scale * factor, centre_nm) for factor in STARTS), key=lambda one: one.chi2)
    return replace(best, centre_nm=best.centre_nm - best.scale * middle)


@dataclass(frozen=True)
class _Search:
    """Least squares over size and place; background and brightness follow from these."""

    places: Points
    counts: NDArray[np.float64]
    view: View
    law: NoiseLaw

    def start(self) -> tuple[float, Points]:
        """Return about which size and place the image shows: by the first and second moments of its light."""
        dark = np.median(self.counts)
        light = self.counts - dark
        light[light < ABOVE * np.sqrt(self.law.variance(np.array(dark)))] = 0
        if not light.any():
            raise LightError("the image shows no light above its background: there is nothing to find a size by")
        z, y, x = np.meshgrid(*self.view.grid.centers_nm(), indexing="ij")
        share = light / light.sum()
        centre = np.array([(share * axis).sum() for axis in (x, y, z)])
        spread = (share * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2)).sum() ** 0.5
        own = float((self.places[:, :2] ** 2).sum(axis=1).mean() ** 0.5)
        return float(spread / max(own, 1e-12)), centre

    def ends(self, scale: float, centre_nm: Points) -> Rescaled:
        """Return the size and place that the search comes to."""
        from scipy.optimize import least_squares

        first = np.array([np.log(scale), *(centre_nm / PLACE_NM)])
        found = least_squares(self._left, first, diff_step=np.full(4, 1e-3), x_scale="jac", max_nfev=60)
        deviation = self._deviation(np.asarray(found.jac, np.float64), np.asarray(found.fun, np.float64))
        size = float(np.exp(found.x[0]))
        ends = size * float(np.exp(-INTERVAL * deviation)), size * float(np.exp(INTERVAL * deviation))
        return Rescaled(size, ends, found.x[1:] * PLACE_NM, float((found.fun**2).mean()))

    def _deviation(self, slopes: Points, left: Points) -> float:
        """Return the standard deviation of the logarithm of the size.

        By the noise of pixels alone, or, if that is more, by how what is left varies from patch to patch of the image:
        a sparse label's grain is blurred as the light is, and so is not noise of single pixels (White, Econometrica
        1980; Liang & Zeger, Biometrika 1986).
        """
        _, rows, columns = self.counts.shape
        patch = (np.arange(rows)[:, None] // PATCH_PX) * columns + np.arange(columns) // PATCH_PX
        _, place = np.unique(np.broadcast_to(patch, self.counts.shape).ravel(), return_inverse=True)
        sums = np.stack([np.bincount(place, slope * left) for slope in slopes.T], axis=1)
        inverse = np.linalg.pinv(slopes.T @ slopes)
        return float(np.sqrt(max(inverse[0, 0], (inverse @ sums.T @ sums @ inverse)[0, 0])))

    def _left(self, numbers: Points, /) -> Points:
        """Return what is left of the image, in units of the noise."""
        places = self.places * np.exp(numbers[0]) + numbers[1:] * PLACE_NM
        light = self.view.microscope.image(Emitters(places, np.ones(len(places))), self.view.grid)
        _, _, expected = levels(np.asarray(light, np.float64), self.counts, self.law)
        return np.asarray((self.counts - expected) / np.sqrt(self.law.variance(expected))).ravel()
