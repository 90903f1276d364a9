"""From a bead to a PSF: radial tables that a camera's pixels would have seen as they did, and what lies beyond them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import MishapeError
from mishape.engine.radial import legendre, table_reader
from mishape.engine.types import Points
from mishape.plugins.microscopes.bead_checks import END_BRIGHTNESS, MIN_PLANES
from mishape.plugins.microscopes.beads import Bead, refuse_neighbours

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline
    from scipy.sparse import csr_array

STEPS_PER_PIXEL = 8
"""Steps of the radial table per pixel of the bead's camera; cubics between them cost 1e-5 of the peak."""
BAND_LIMIT = 0.6
"""Highest radial frequency of the table, in cycles per pixel. Nyquist's 0.5 belongs to a single row of pixels; pixels
around an axis lie at many more distances from it."""
SMALLEST = 1e-3  # singular values, as a fraction of the largest: the field's edge leaves some undetermined
PAST = 4  # steps of a table past the circle that was fitted, for the cubics at its end
MIN_FWHM_PX = 2.0
WINDOW = 0.75
"""The tail is measured between this fraction of its joint's radius and the joint, and takes over there."""
ABOVE_NOISE = 5.0
"""The joint is the largest radius at which the light in that window is this many standard errors: with a higher bar the
tail would stand for more light than it describes well, with a lower one noise would."""
TAIL_SHARE = 0.2
"""Planes with a larger share of their light beyond the joint are left to the self-similar cone."""


@dataclass(frozen=True)
class BeadPSF:
    """An axisymmetric PSF S(r, d); d is the objective's travel past the emitter.

    Parameters
    ----------
    step_nm
        Step of the radial tables.
    tables
        d -> (n_r,) per nm^2, by cubic splines between the planes.
    tails
        d -> c of the tail c / r^3 beyond the tables.
    range_nm
        Least and largest d of the planes.
    cone_power
        Total light falls as |d| to minus this beyond the planes: 0 in widefield, 2 for sectioning.
    """

    step_nm: float
    tables: CubicSpline[np.float64]
    tails: CubicSpline[np.float64]
    range_nm: tuple[float, float]
    cone_power: int

    def at(self, r_nm: Points, d_nm: Points) -> Points:
        """Return S as (n_d, n_r) per nm^2."""
        inside = np.clip(d_nm, *self.range_nm)
        wider = np.where(inside == d_nm, 1.0, d_nm / np.where(inside == 0, 1.0, inside))
        result = np.empty((len(d_nm), len(r_nm)))
        for scale in np.unique(wider):
            rows = wider == scale
            result[rows] = self._read(r_nm / scale, inside[rows]) / scale ** (2 + self.cone_power)
        return result

    def _read(self, r_nm: Points, d_nm: Points) -> Points:
        tables = self.tables(d_nm)
        end_nm = self.step_nm * (tables.shape[1] - 1 - PAST)
        reader = table_reader(np.minimum(r_nm, end_nm)[:, None] / self.step_nm, tables.shape[1])
        tail = np.multiply.outer(self.tails(d_nm), np.maximum(r_nm, end_nm) ** -3.0)
        return np.where(r_nm > end_nm, tail, (reader @ tables.T).T)


@dataclass(frozen=True)
class _Fit:
    """Radial tables of all planes in counts per px^2, and the image that they make."""

    tables: Points
    """(Z, n) at radii ``arange(n) / STEPS_PER_PIXEL`` px."""
    image: Points
    """(Z, Y, X), 0 outside of the circle that was fitted."""

    @property
    def r_px(self) -> Points:
        return np.arange(self.tables.shape[1]) / STEPS_PER_PIXEL

    @property
    def end_px(self) -> float:
        """Radius of the circle that was fitted."""
        return float(self.r_px[-1 - PAST])


def bead_psf(bead: Bead, pixel_nm: float, step_nm: float, sectioning: bool, max_asymmetry: float) -> BeadPSF:
    """Return the PSF that a bead shows.

    Parameters
    ----------
    pixel_nm
        Edge of a pixel of the bead's stack.
    step_nm
        The objective's travel from one plane to the next; negative if planes go towards the coverslip.
    sectioning
        Whether planes out of focus lose light; else each plane holds the same light.
    max_asymmetry
        Largest share of energy that may change around the axis.

    Raises
    ------
    MishapeError
        If the pixels are too coarse, the PSF is not symmetric, or too little of it stands in the field.
    """
    from scipy.integrate import simpson
    from scipy.interpolate import CubicSpline

    fit = _fit(bead)
    _refuse_coarse(fit, bead)
    _refuse_asymmetric(fit, bead, max_asymmetry)
    refuse_neighbours(bead)
    joints = np.minimum(_joints(bead), fit.end_px)
    tables, tails = _with_tails(fit, joints)
    inside = simpson((tables * fit.r_px)[:, :-PAST], dx=1 / STEPS_PER_PIXEL)
    totals = 2 * np.pi * (inside + tails / fit.end_px)
    used = _used_planes(bead, joints, tails, totals)
    d_nm = (np.arange(len(tables)) - bead.focus)[used] * step_nm
    order = np.argsort(d_nm)
    d_nm, used = d_nm[order], used[order]
    whole = CubicSpline(d_nm, totals[used])(0.0) if sectioning else totals[used]
    return BeadPSF(
        step_nm=pixel_nm / STEPS_PER_PIXEL,
        tables=CubicSpline(d_nm, (tables[used].T / whole).T / pixel_nm**2),
        tails=CubicSpline(d_nm, tails[used] / whole * pixel_nm),
        range_nm=(float(d_nm[0]), float(d_nm[-1])),
        cone_power=2 if sectioning else 0,
    )


def _fit(bead: Bead) -> _Fit:
    """Fit band-limited axisymmetric functions, integrated over each pixel's area, to all planes by least squares.

    The functions are J0(k r) with no slope at a radius just outside of the circle: even in r, smooth on the axis, and
    with no more freedom than the pixels can decide on.
    """
    from scipy.special import j0, jn_zeros

    radius = bead.radius_px
    edge = 1.05 * radius + 1
    k = np.concatenate([[0.0], jn_zeros(1, int(2 * BAND_LIMIT * edge) + 2)]) / edge
    k = k[k <= 2 * np.pi * BAND_LIMIT]
    r_px = np.arange(int(radius * STEPS_PER_PIXEL) + 1 + PAST) / STEPS_PER_PIXEL
    modes = j0(np.multiply.outer(r_px, k))
    circle = bead.distances_px() <= radius
    seen = _over_pixels(bead, circle, len(r_px)) @ modes
    power, basis = np.linalg.eigh(seen.T @ seen)
    kept = power > SMALLEST**2 * power[-1]
    basis = basis[:, kept] / np.sqrt(power[kept])
    weights = basis @ (basis.T @ (seen.T @ bead.light[:, circle].T))
    image = np.zeros_like(bead.light)
    image[:, circle] = (seen @ weights).T
    return _Fit((modes @ weights).T, image)


def _over_pixels(bead: Bead, circle: NDArray[np.bool_], count: int) -> csr_array:
    """Return the matrix that integrates a radial table over the area of each pixel of the circle."""
    nodes, weights = legendre(3)
    rows, columns = (np.nonzero(circle)[axis] - bead.center_px[axis] for axis in (0, 1))
    r = np.hypot((rows[:, None] + nodes / 2)[:, :, None], (columns[:, None] + nodes / 2)[:, None, :])
    share = np.multiply.outer(weights, weights).ravel() / 4
    return table_reader(r.reshape(len(rows), -1) * STEPS_PER_PIXEL, count, share)


def _refuse_coarse(fit: _Fit, bead: Bead) -> None:
    table = fit.tables[int(np.argmax(bead.brightness))]
    fwhm = 2 * fit.r_px[int(np.argmax(table < table[0] / 2))]
    if fwhm < MIN_FWHM_PX:
        raise MishapeError(
            f"the pixels are too coarse for the PSF: the spot is {fwhm:.1f} px wide at half maximum, and "
            f"{MIN_FWHM_PX:g} are needed; record with more magnification or finer steps of the scan"
        )


def _refuse_asymmetric(fit: _Fit, bead: Bead, allowed: float) -> None:
    """Compare the planes near the focus with their averages around the axis, smoothed by half of the spot's width."""
    from scipy.ndimage import gaussian_filter

    near = bead.in_focus
    sigma = (0.0, bead.fwhm_px / 4, bead.fwhm_px / 4)
    spot = bead.distances_px() <= 2 * bead.fwhm_px
    even, odd = (
        (gaussian_filter(planes, sigma)[:, spot] ** 2).sum()
        for planes in (fit.image[near], bead.light[near] - fit.image[near])
    )
    share = float(odd / (odd + even))
    if share > allowed:
        raise MishapeError(
            f"the PSF is not symmetric: {100 * share:.1f} % of the energy near the focus changes around its axis "
            "(astigmatism, coma, a tilted axis, two beads in one), and a radial average would be wrong; correct the "
            f"microscope, choose another bead, or raise max_asymmetry above {allowed:g}"
        )


def _with_tails(fit: _Fit, joints: Points) -> tuple[Points, Points]:
    """Return the tables with each plane's tail from its joint on, and c of the tails c / r^3."""
    tables, tails, r = fit.tables.copy(), np.zeros(len(fit.tables)), fit.r_px
    for plane, joint in enumerate(joints):
        window = (r >= WINDOW * joint) & (r <= joint)
        # The tail holds as much light in the window as the table does.
        tails[plane] = (tables[plane] * r)[window].sum() / (r[window] ** -2).sum()
        t = np.clip((r / joint - WINDOW) / (1 - WINDOW), 0, 1)
        share = t * t * (3 - 2 * t)
        tables[plane] += share * (tails[plane] / np.maximum(r, 1) ** 3 - tables[plane])
    return tables, tails


def _joints(bead: Bead) -> Points:
    """Return the radius in each plane, px, up to which a tail stands above the noise; at least the spot's width."""
    r = bead.distances_px()
    circle = r <= bead.radius_px
    ring = r[circle].astype(np.int64)
    pixels = np.cumsum(np.bincount(ring))
    outer = np.arange(1, len(pixels))
    inner = (WINDOW * outer).astype(np.int64)
    limit = ABOVE_NOISE * bead.noise * np.sqrt(pixels[outer] - pixels[inner])
    joints = np.empty(len(bead.light))
    for plane, light in enumerate(bead.light[:, circle]):
        inside = np.cumsum(np.bincount(ring, light))
        joints[plane] = 1 + outer[inside[outer] - inside[inner] > limit].max(initial=0)
    return np.clip(joints, 2 * bead.fwhm_px, bead.radius_px)


def _used_planes(bead: Bead, joints: Points, tails: Points, totals: Points) -> NDArray[np.int64]:
    """Return the numbers of the planes around the focus whose light stands in the field."""
    beyond = 2 * np.pi * tails / joints
    good = (totals > 0) & (beyond >= 0) & (beyond <= TAIL_SHARE * totals)
    best = int(np.argmax(bead.brightness))
    bad = np.flatnonzero(~good)
    first = int(bad[bad < best].max(initial=-1)) + 1
    last = int(bad[bad > best].min(initial=len(good))) - 1
    if not good[best] or last - first + 1 < MIN_PLANES or bead.brightness[[first, last]].max() > END_BRIGHTNESS:
        raise MishapeError(
            f"too little of the PSF stands in the field: only planes {first + 1} to {last + 1} of {len(good)} hold "
            f"{100 - 100 * TAIL_SHARE:.0f} % of their light near enough to the axis to be above the noise; record a "
            "wider field or a brighter bead"
        )
    return np.arange(first, last + 1)
