"""A bead's stack as radial tables: band-limited functions of the distance from the axis, as pixels integrate them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mishape.engine.radial import legendre, table_reader
from mishape.engine.types import Points
from mishape.plugins.microscopes.beads import Bead

if TYPE_CHECKING:
    from scipy.sparse import csr_array

STEPS_PER_PIXEL = 8
"""Steps of the radial table per pixel of the bead's camera; cubics between them cost 1e-5 of the peak."""
WIDEST_BAND = 0.6
"""Highest radial frequency that pixels can decide on, in cycles per pixel. Nyquist's 0.5 belongs to a single row of
pixels; pixels around an axis lie at many more distances from it."""
SMALLEST = 1e-3  # singular values, as a fraction of the largest: the field's edge leaves some undetermined
PAST = 4  # steps of a table past the circle that was fitted, for the cubics at its end
CHANCE = 0.01
"""Share of beads in which noise alone passes for light at some frequency where there is none."""


@dataclass(frozen=True)
class Fit:
    """Radial tables of all planes in counts per px^2, and the image that they make."""

    tables: Points
    """(Z, n) at radii ``arange(n) / STEPS_PER_PIXEL`` px."""
    image: Points
    """(Z, Y, X), 0 outside of the circle that was fitted."""
    peak_weights: Points
    """(Y, X) what each pixel's counts add to the first value of its plane's table."""

    @property
    def r_px(self) -> Points:
        """Radii of the tables."""
        return np.arange(self.tables.shape[1]) / STEPS_PER_PIXEL

    @property
    def end_px(self) -> float:
        """Radius of the circle that was fitted."""
        return float(self.r_px[-1 - PAST])


def fit_bead(bead: Bead, band: float) -> Fit:
    """Fit axisymmetric functions, integrated over each pixel's area, to all planes by least squares.

    The functions are J0(k r) with no slope at a radius just outside of the circle: even in r, smooth on the axis, and
    with no more freedom than the pixels can decide on.

    Parameters
    ----------
    band
        Highest radial frequency, cycles per pixel.
    """
    k = _frequencies(bead)
    circle, modes, seen = _modes(bead, k[k <= 2 * np.pi * band])
    power, basis = np.linalg.eigh(seen.T @ seen)
    kept = power > SMALLEST**2 * power[-1]
    basis = basis[:, kept] / np.sqrt(power[kept])
    weights = basis @ (basis.T @ (seen.T @ bead.light[:, circle].T))
    image, peak = np.zeros_like(bead.light), np.zeros(circle.shape)
    image[:, circle] = (seen @ weights).T
    peak[circle] = seen @ (basis @ (basis.T @ modes[0]))
    return Fit((modes @ weights).T, image, peak)


def seen_band(bead: Bead, variance: Points) -> float:
    """Return the highest radial frequency at which the planes near the focus show light above the noise, cycles per px.

    Parameters
    ----------
    variance
        (Z, Y, X) of the pixels' noise, counts^2.
    """
    from scipy.special import chdtri

    k, near = _frequencies(bead), bead.in_focus
    circle, _, seen = _modes(bead, k)
    # Each direction is what a frequency adds to those below it.
    directions = np.linalg.qr(seen)[0]
    power = (directions.T @ bead.light[near][:, circle].T) ** 2 / (directions.T**2 @ variance[near][:, circle].T)
    above = power.sum(axis=1) > chdtri(near.sum(), CHANCE / len(k))
    return float(k[np.flatnonzero(above).max(initial=0)] / (2 * np.pi))


def _frequencies(bead: Bead) -> Points:
    """Return the k of the functions that the pixels can decide on, per px: 0 and up, evenly but for the first."""
    from scipy.special import jn_zeros

    edge = _edge_px(bead)
    k = np.concatenate([[0.0], jn_zeros(1, int(2 * WIDEST_BAND * edge) + 2)]) / edge
    return np.asarray(k[k <= 2 * np.pi * WIDEST_BAND])


def _edge_px(bead: Bead) -> float:
    return 1.05 * bead.radius_px + 1


def _modes(bead: Bead, k: Points) -> tuple[NDArray[np.bool_], Points, Points]:
    """Return the circle's pixels (Y, X), and J0(k r) as tables (n, n_k) and as those pixels see them (pixels, n_k)."""
    from scipy.special import j0

    r_px = np.arange(int(bead.radius_px * STEPS_PER_PIXEL) + 1 + PAST) / STEPS_PER_PIXEL
    modes = j0(np.multiply.outer(r_px, k))
    circle = bead.distances_px() <= bead.radius_px
    return circle, modes, _over_pixels(bead, circle, len(r_px)) @ modes


def _over_pixels(bead: Bead, circle: NDArray[np.bool_], count: int) -> csr_array:
    """Return the matrix that integrates a radial table over the area of each pixel of the circle."""
    nodes, weights = legendre(3)
    rows, columns = (np.nonzero(circle)[axis] - bead.center_px[axis] for axis in (0, 1))
    r = np.hypot((rows[:, None] + nodes / 2)[:, :, None], (columns[:, None] + nodes / 2)[:, None, :])
    share = np.multiply.outer(weights, weights).ravel() / 4
    return table_reader(r.reshape(len(rows), -1) * STEPS_PER_PIXEL, count, share)
