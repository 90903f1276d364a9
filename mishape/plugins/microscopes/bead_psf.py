"""From a bead to a PSF: radial tables that a camera's pixels would have seen as they did, and what lies beyond them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import MishapeError
from mishape.engine.radial import table_reader
from mishape.engine.types import Points
from mishape.plugins.microscopes.bead_checks import END_BRIGHTNESS, MIN_PLANES
from mishape.plugins.microscopes.bead_fit import PAST, STEPS_PER_PIXEL, WIDEST_BAND, Fit, fit_bead, seen_band
from mishape.plugins.microscopes.bead_noise import pixel_variance, refuse_asymmetric, refuse_dim
from mishape.plugins.microscopes.beads import Bead, refuse_neighbours

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

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


def bead_psf(
    bead: Bead,
    pixel_nm: float,
    step_nm: float,
    sectioning: bool,
    max_asymmetry: float,
    cutoff_per_nm: float = math.inf,
) -> BeadPSF:
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
    cutoff_per_nm
        Highest lateral frequency that the optics pass, cycles per nm.

    Raises
    ------
    MishapeError
        If the pixels are too coarse, the bead too dim, the PSF not symmetric, or too little of it stands in the field.
    """
    from scipy.integrate import simpson
    from scipy.interpolate import CubicSpline

    variance = pixel_variance(bead, fit_bead(bead, WIDEST_BAND).image)
    fit = fit_bead(bead, min(seen_band(bead, variance), cutoff_per_nm * pixel_nm))
    _refuse_coarse(fit, bead)
    refuse_dim(fit, bead, variance)
    refuse_asymmetric(fit, bead, max_asymmetry)
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


def _refuse_coarse(fit: Fit, bead: Bead) -> None:
    table = fit.tables[int(np.argmax(bead.brightness))]
    fwhm = 2 * fit.r_px[int(np.argmax(table < table[0] / 2))]
    if fwhm < MIN_FWHM_PX:
        raise MishapeError(
            f"the pixels are too coarse for the PSF: the spot is {fwhm:.1f} px wide at half maximum, and "
            f"{MIN_FWHM_PX:g} are needed; record with more magnification or finer steps of the scan"
        )


def _with_tails(fit: Fit, joints: Points) -> tuple[Points, Points]:
    """Return the tables with each plane's tail from its joint on, and c of the tails c / r^3."""
    tables, tails, r = fit.tables.copy(), np.zeros(len(fit.tables)), fit.r_px
    for plane, joint in enumerate(joints):
        window = (r >= WINDOW * joint) & (r <= joint)
        # The tail holds as much light in the window as the table does; less than none is noise.
        tails[plane] = max(0.0, (tables[plane] * r)[window].sum() / (r[window] ** -2).sum())
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
    # A spot in focus may have no tail above the noise; a cone has one.
    good = (totals > 0) & (bead.in_focus | (tails > 0)) & (beyond <= TAIL_SHARE * totals)
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
