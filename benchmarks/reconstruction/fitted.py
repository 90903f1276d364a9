"""Simple solids fitted to the light: an ellipsoid by its moments, a bent tube by its middle line and its width."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.reconstruction.baseline import Calibrated, Counts
from benchmarks.reconstruction.fields import ellipsoid, solid
from benchmarks.reconstruction.heights import Height, Seen, seen_in
from benchmarks.reconstruction.silhouettes import Silhouette, silhouette
from mishape.engine.component import Keyed
from mishape.engine.grid import Grid
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.engine.types import Emitters, Points

LEAST_NM = 40.0
"""Standard deviation of the light that is left at least when the PSF's is removed."""
LINE_POINTS = 200
"""Of the middle of a tube."""


@dataclass(frozen=True)
class MomentEllipsoid(Calibrated):
    """The ellipsoid of the light's second moments in its outline, less those of a lone emitter's light in its own.

    Its section is as high as it is wide; in a stack it leans as the light does. The number is that of standard
    deviations in its semi-axes: sqrt(5) for a label of the volume, less for one of the surface.
    """

    name = "moment ellipsoid"
    amounts = tuple(np.arange(1.0, 3.01, 0.2).round(1).tolist())
    amount: float = 2.0

    def seen(self, counts: Counts, view: View) -> Seen | None:
        return seen_in(counts, view)

    def solid(self, seen: Seen | None, view: View) -> SampledField | None:
        if seen is None:
            return None
        variances, axes = np.linalg.eigh(_covariance(seen[0]) - psf_variance_nm2(view) * np.eye(2))
        variances = variances.clip(min=LEAST_NM**2)
        across = (axes * variances) @ axes.T
        lean = np.concatenate([np.eye(2), seen[1].slope[None]])
        covariance = lean @ across @ lean.T
        covariance[2, 2] += variances[0]
        return ellipsoid(seen[1].centre_nm, covariance, self.amount)


def _covariance(seen: Silhouette) -> Points:
    """Return the second moments of the light in an outline, (2, 2) nm^2."""
    return np.asarray(np.cov(seen.xy_nm.T, aweights=seen.light[seen.depth_nm > 0].clip(min=0)))


def psf_variance_nm2(view: View) -> float:
    """Return the second moment, along one axis, of a lone emitter's light in its own outline, nm^2."""
    return _psf_variance_nm2(Keyed.of(view.microscope), view.grid)


@lru_cache(maxsize=16)
def _psf_variance_nm2(key: Keyed, grid: Grid) -> float:
    view = View(grid=grid, microscope=key.component)
    middle_nm = float(np.median(view.focus_in_sample_nm()))
    image = key.component.image(Emitters(np.array([[0.0, 0.0, middle_nm]]), np.ones(1)), grid)
    seen = silhouette(image, view)
    assert seen is not None
    return float(np.trace(_covariance(seen))) / 2


@dataclass(frozen=True)
class FittedTube(Calibrated):
    """A tube about a parabola along the outline's long axis; in a stack it leans as the light does.

    Its radius is that of the rounded rod of the outline's length and area, less the number of nm: what the PSF adds.
    """

    name = "fitted tube"
    amounts = (0.0, 25.0, 50.0, 75.0, 100.0, 125.0, 150.0, 175.0)
    amount: float = 80.0

    def seen(self, counts: Counts, view: View) -> Seen | None:
        return seen_in(counts, view)

    def solid(self, seen: Seen | None, view: View) -> SampledField | None:
        if seen is None:
            return None
        wide_nm, line_nm = _rod(*seen)
        radius_nm = max(wide_nm - self.amount, LEAST_NM)
        near = cKDTree(line_nm)
        low_nm, high_nm = line_nm.min(axis=0) - radius_nm, line_nm.max(axis=0) + radius_nm
        return solid(lambda places_nm: np.asarray(near.query(places_nm)[0]) - radius_nm, low_nm, high_nm)


def _rod(outline: Silhouette, plane: Height) -> tuple[float, Points]:
    """Return the radius of the rounded rod that has an outline's length and area, and its middle line, (n, 3) nm.

    A rod of length L and radius R has the area ``(L - 2 R) 2 R + pi R^2``.
    """
    xy_nm = outline.xy_nm
    axes = np.linalg.eigh(_covariance(outline))[1][:, ::-1]
    along, across = ((xy_nm - plane.centre_nm[:2]) @ axes).T
    low, high = float(along.min()), float(along.max())
    length_nm, area_nm2, corners = high - low, len(xy_nm) * outline.step_nm**2, 4 - np.pi
    radius_nm = (length_nm - max(length_nm**2 - corners * area_nm2, 0.0) ** 0.5) / corners
    bend = np.polynomial.Polynomial.fit(along, across, 2, w=outline.light[outline.depth_nm > 0].clip(min=0) ** 0.5)
    half_nm = max(length_nm / 2 - radius_nm, 0.0)
    places = (low + high) / 2 + half_nm * np.linspace(-1, 1, LINE_POINTS)
    line_nm = plane.centre_nm[:2] + np.column_stack([places, bend(places)]) @ axes.T
    return radius_nm, np.column_stack([line_nm, plane.z_nm(line_nm)])
