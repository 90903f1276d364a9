"""The modes of a PSF: over a range of the emitters' z, the PSFs of all planes as sums of a few products.

h_p(x, y; z) = sum over k of u_pk(x, y) v_k(z) for the planes p together, by a singular value decomposition over z. The
u_pk are kept as optical transfer functions, the v_k as a table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from mishape.engine.errors import MishapeError
from mishape.engine.quality import Quality
from mishape.engine.sampling import FADE, Sampling, Transfer
from mishape.engine.types import Points

Stack = Callable[[Points], Points]
"""z nm (n,) -> the PSFs of all planes at the sampled places, (planes, n, places)."""

FIRST_NODES, MAX_NODES = 20, 400
"""Chebyshev nodes over the range of z: the first try, and the most."""
PROBES = np.array([-0.995, -0.71, -0.13, 0.42, 0.87])
"""Where on [-1, 1] the polynomial through the nodes is compared with the PSF itself."""
INTERPOLATION_SHARE = 0.2
"""Of the rank's error: what the polynomial may cost."""
CELLS = 512
"""Of the table of v_k, linear in each: 1e-5 of the peak over a slab."""
FAINTEST, FAINTEST_OF_FOCUS = 1e-2, 1e-4
"""Where the PSF peaks below the first of its peak in the range of z, or the second of its peak in focus, errors are
fractions of that instead."""
HAZE = 1e-2
"""Transfer functions above this fraction of their own at 0 are always kept."""
FREQUENCIES = 96
"""At which the band's end is looked for."""


@dataclass(frozen=True)
class Modes:
    """A microscope's modes for emitters within one range of z.

    Parameters
    ----------
    transfer
        The transforms of u_pk.
    ends_per_nm
        (planes,): where each plane's transfer functions end.
    axial
        (CELLS + 1, rank) float32: v_k, linear between.
    z_start_nm, z_step_nm
        The table's first z and its spacing.
    reach_nm
        Light further than this from an emitter is left out.
    """

    transfer: Transfer
    ends_per_nm: Points
    axial: Points
    z_start_nm: float
    z_step_nm: float
    reach_nm: float

    @property
    def nbytes(self) -> int:
        """Memory that the modes fill."""
        return self.transfer.nbytes


def build_modes(
    stack: Stack, sampling: Sampling, z_range_nm: tuple[float, float], focal_peak: float, quality: Quality
) -> Modes:
    """Factorise a PSF over a range of z; `focal_peak` is what it reaches in focus.

    Raises
    ------
    MishapeError
        If the PSF varies too quickly along z for the requested error.
    """
    low, high = z_range_nm
    least = FAINTEST_OF_FOCUS * focal_peak
    psf, nodes = _sampled(lambda t: stack((low + high) / 2 + (high - low) / 2 * t), least, quality)
    peaks = _peaks(psf, least)
    radial, axial = _factorised(psf, sampling.area_nm2, quality.rank_error * peaks)
    bands = _bands(psf, sampling, quality.band_error * peaks)
    fine = np.linspace(-1, 1, CELLS + 1)
    return Modes(
        transfer=sampling.transfer(radial, bands),
        ends_per_nm=(1 + FADE) * bands,
        axial=(_polynomial(nodes, fine) @ axial).astype(np.float32),
        z_start_nm=low,
        z_step_nm=(high - low) / CELLS,
        reach_nm=sampling.reach_nm,
    )


def _sampled(stack: Stack, least: float, quality: Quality) -> tuple[Points, Points]:
    """Return the PSF (planes, nodes, places) at enough Chebyshev nodes on [-1, 1] for a polynomial, and the nodes."""
    count = FIRST_NODES
    while count <= MAX_NODES:
        nodes = np.cos(math.pi * (np.arange(count) + 0.5) / count)
        # Together, as most of a table's cost is one for all z.
        probed, psf = np.split(stack(np.concatenate([PROBES, nodes])), [len(PROBES)], axis=1)
        missed = np.abs(_polynomial(nodes, PROBES) @ psf - probed).max(axis=(0, 2))
        peaks = _peaks(probed, max(least, FAINTEST * float(psf.max())))
        if (missed <= INTERPOLATION_SHARE * quality.rank_error * peaks).all():
            return psf, nodes
        count = count * 3 // 2
    raise MishapeError(
        f"this PSF changes too quickly with the emitter's z to be imaged within {100 * quality.error:g} % of its peak: "
        f"{MAX_NODES} places over its axial width do not follow it. Is its unit nm? Ask for a lower quality, or smooth "
        "the PSF"
    )


def _polynomial(nodes: Points, places: Points) -> Points:
    """Return the matrix that reads the polynomial through values at Chebyshev nodes: (places, nodes)."""
    degree = len(nodes) - 1
    return np.asarray(chebyshev.chebvander(places, degree) @ np.linalg.inv(chebyshev.chebvander(nodes, degree)))


def _peaks(psf: Points, least: float) -> Points:
    """Return the peak at each z over planes and places, (n,), but no less than the faintest that errors count by."""
    return np.asarray(np.maximum(np.abs(psf).max(axis=(0, 2)), max(least, FAINTEST * float(psf.max()))))


def _factorised(psf: Points, area: Points, allowed: Points) -> tuple[Points, Points]:
    """Return u (planes, rank, places) and v (nodes, rank), of the least rank that keeps each node's error as allowed.

    Each z counts by its own norm: else the many dim emitters far from focus, and their haze, would be cut off.
    """
    planes, nodes, places = psf.shape
    flat = np.moveaxis(psf, 0, 1).reshape(nodes, -1)
    root = np.tile(np.sqrt(area), planes)
    norm = np.linalg.norm(flat * root, axis=1, keepdims=True)
    norm = np.maximum(norm, math.sqrt(FAINTEST) * norm.max())
    weighted = flat * root / norm
    # The table is far wider than high: its left singular vectors from the small Gram matrix, strongest first.
    left = np.linalg.eigh(weighted @ weighted.T)[1][:, ::-1]
    left, right = left * norm, left.T @ (flat / norm)
    rank = _rank(flat, left, right, allowed)
    return np.moveaxis(right[:rank].reshape(rank, planes, places), 0, 1), left[:, :rank]


def _rank(flat: Points, left: Points, right: Points, allowed: Points) -> int:
    residual = flat.copy()
    for rank in range(1, len(left) + 1):
        residual -= np.multiply.outer(left[:, rank - 1], right[rank - 1])
        if (np.abs(residual).max(axis=1) <= allowed).all():
            return rank
    return len(left)


def _bands(psf: Points, sampling: Sampling, allowed: Points) -> Points:
    """Return the frequency, cycles per nm, beyond which each plane's transfer functions can be left out at all z.

    What is left out changes the PSF by at most the integral of 2 pi f H(f). Out of focus H changes its sign over every
    1 / (2 reach), as a transform of what is no wider than the reach does; so its parts add up in squares. The haze of
    many emitters adds up where H is strong, however dim each of them is.
    """
    frequencies = np.linspace(0, sampling.highest_per_nm, FREQUENCIES)
    strength = sampling.strength(psf, frequencies)
    light = (2 * math.pi * frequencies * strength) ** 2
    beyond = np.cumsum(light[..., ::-1], axis=-1)[..., ::-1] * frequencies[1] / (2 * sampling.reach_nm)
    seen = ((np.sqrt(beyond) > allowed[:, None]) | (strength > HAZE * strength[..., :1])).any(axis=1)
    last = [int(np.flatnonzero(plane).max(initial=0)) for plane in seen]
    return frequencies[[min(place + 1, FREQUENCIES - 1) for place in last]]


def band_end(strength: Points, level: float) -> int:
    """Return the first place, not the first of all, from which on a transfer function stays at a level or below.

    Raises
    ------
    MishapeError
        If it does not end before the last place.
    """
    last = int(np.flatnonzero(strength > level).max(initial=0))
    if last == len(strength) - 1:
        raise MishapeError(
            "this PSF holds detail far finer than its own width: it cannot be imaged within the requested error. "
            "Smooth it: light has no sharp edges"
        )
    return last + 1
