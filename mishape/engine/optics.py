"""Pupils to radial PSF tables, on the host in float64.

Two models. ``vector``: the image of a freely rotating dipole through an aplanatic objective of high NA and a coverslip:
three Bessel integrals over the pupil (Richards & Wolf, Proc. R. Soc. A 253, 358, 1959; for emission Török & Varga,
Appl. Opt. 36, 2305, 1997; through an interface Török et al., J. Opt. Soc. Am. A 12, 325, 1995), with Fresnel's
amplitudes and the phase of Gibson & Lanni (J. Opt. Soc. Am. A 8, 1601, 1991). The same sum serves unpolarised
excitation. ``scalar``: Gibson & Lanni's own, a uniform pupil and no polarisation.

Supercritical light, whose q = n sin(theta) is above the sample's index, reaches the objective only from emitters within
a wavelength of the coverslip. The vector model includes it: it decays with the emitter's distance. The scalar model
cuts the aperture off at the sample's index.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mishape.engine.errors import MishapeError
from mishape.engine.media import Complex, Media, axial
from mishape.engine.radial import legendre
from mishape.engine.types import Points

ACCURACY = 1e-9
"""Largest error of a table by quadrature, as a fraction of the brightest of the places that are checked."""
NODES_PER_RADIAN = 0.35
"""Nodes of a first guess, beyond the first 24: a rule needs a quarter and converges exponentially beyond."""
MAX_NODES = 1 << 15
RADII_AT_ONCE = 1024
"""Radii of one block of Bessel functions: memory then does not grow with the table."""


@dataclass(frozen=True)
class Optics:
    """What a radial PSF depends on.

    Parameters
    ----------
    na
        Numerical aperture, below the indices of immersion and coverslip.
    wavelength_nm
        In vacuum.
    media
        The layers.
    model
        ``vector`` or ``scalar``, as the module says.
    """

    na: float
    wavelength_nm: float
    media: Media
    model: Literal["vector", "scalar"] = "vector"

    @property
    def k_per_nm(self) -> float:
        """Wave number in vacuum."""
        return 2 * math.pi / self.wavelength_nm

    @property
    def cutoff(self) -> float:
        """The largest q that is imaged."""
        return self.na if self.model == "vector" else min(self.na, self.media.sample)


@dataclass(frozen=True)
class _Pupil:
    """The pupil at quadrature nodes: q, and for each Bessel order its amplitude with the node's weight."""

    q: Points
    amplitudes: tuple[Complex, ...]
    energies: Points
    """Light per node of a pupil wave of modulus 1."""


def radial_psf(optics: Optics, r_nm: Points, z_nm: Points, focus_nm: Points | float = 0.0) -> Points:
    """Return the intensity of an emitter's image, as the fraction of its detected light per nm^2.

    Parameters
    ----------
    r_nm
        (n_r,) lateral distances from the axis, nm.
    z_nm
        (n_z,) world z of the emitter, nm. Where the sample's index is not the coverslip's, it should not lie below the
        coverslip; evanescent light is then as strong as at the coverslip.
    focus_nm
        The objective's travel from where it is paraxially focused on the world's origin, nm: one for all rows, or
        (n_z,), one for each.

    Returns
    -------
    (n_z, n_r) float64. Over an unbounded plane each row integrates to 1: by Parseval's theorem for the Hankel
    transform the pupil's energy is the image's, so nothing is cut off and renormalised.

    Raises
    ------
    MishapeError
        If the quadrature does not converge.

    Notes
    -----
    I_m = integral over q of q / sqrt(cos theta_i) g_m(q) J_m(k r q) exp(i k path) with theta_i in the immersion,
    g = (t_s + t_p cos theta, t_p sin theta, t_s - t_p cos theta), theta in the sample, and t through both interfaces;
    the intensity is abs(I_0)^2 + 2 abs(I_1)^2 + abs(I_2)^2. The scalar model is the integral of q J_0(k r q) exp(i k
    path).
    """
    z_nm, focus_nm = np.broadcast_arrays(np.asarray(z_nm, float), np.asarray(focus_nm, float))
    if not z_nm.size:
        return np.zeros((0, len(r_nm)))
    count = _node_count(optics, float(np.max(r_nm, initial=0)), z_nm, focus_nm)
    return _quadrature(optics, count, np.asarray(r_nm, float), z_nm, focus_nm)


def _quadrature(optics: Optics, count: int, r_nm: Points, z_nm: Points, focus_nm: Points) -> Points:
    pupil = _pupil(optics, count)
    waves = _waves(optics, pupil.q, z_nm, focus_nm)
    fields = [waves * amplitude for amplitude in pupil.amplitudes]
    intensity = np.zeros((len(z_nm), len(r_nm)))
    for start in range(0, len(r_nm), RADII_AT_ONCE):
        part = slice(start, start + RADII_AT_ONCE)
        bessels = _bessels(optics.k_per_nm * np.multiply.outer(pupil.q, r_nm[part]))
        for field, bessel, times in zip(fields, bessels, (1, 2, 1), strict=False):
            intensity[:, part] += times * ((field.real @ bessel) ** 2 + (field.imag @ bessel) ** 2)
    energy = np.abs(waves) ** 2 @ pupil.energies * (2 * math.pi / optics.k_per_nm**2)
    return intensity / energy[:, None]


def _waves(optics: Optics, q: Points, z_nm: Points, focus_nm: Points) -> Complex:
    """Return exp(i k path) of emitters at z seen from each focus: (n_z, n_q)."""
    media, k = optics.media, optics.k_per_nm
    in_sample = axial(q, media.sample)
    # The index at q = 0 is common to the whole pupil: without it the phases stay small.
    path = media.path_nm(q).real - media.path_nm(np.zeros(1)).real
    path = path + np.multiply.outer(z_nm, in_sample.real - media.sample)
    path = path - np.multiply.outer(focus_nm, axial(q, media.immersion).real - media.immersion)
    height_nm = np.maximum(z_nm + media.depth_nm, 0)
    wave: Complex = np.exp(1j * k * path - k * np.multiply.outer(height_nm, in_sample.imag))
    return wave


def _pupil(optics: Optics, count: int) -> _Pupil:
    q, weight = pupil_nodes(optics, count)
    media = optics.media
    if optics.model == "scalar":
        return _Pupil(q, ((q * weight).astype(np.complex128),), q * weight)
    cos_immersion = axial(q, media.immersion).real / media.immersion
    t_s, t_p = media.transmitted(q)
    sin, cos = q / media.sample, axial(q, media.sample) / media.sample
    g = (t_s + t_p * cos, t_p * sin, t_s - t_p * cos)
    energy = sum(times * np.abs(part) ** 2 for part, times in zip(g, (1, 2, 1), strict=True))
    apodised = q / np.sqrt(cos_immersion) * weight
    return _Pupil(q, tuple(apodised * part for part in g), q / cos_immersion * weight * energy)


def pupil_nodes(optics: Optics, count: int) -> tuple[Points, Points]:
    """Return Gauss-Legendre nodes q and weights over the pupil.

    Every n cos(theta) has a square-root end at q = n. Under q = n sin(phi), n the smallest index of all layers, it is
    smooth up to that end, and under q = n cosh(v) beyond it: the rule converges exponentially in each part.
    """
    nodes, weights = legendre(count)
    smallest, cutoff = optics.media.smallest_index, optics.cutoff
    end = math.asin(min(cutoff / smallest, 1.0))
    phi = end / 2 * (nodes + 1)
    q, dq = smallest * np.sin(phi), smallest * np.cos(phi) * weights * end / 2
    if cutoff <= smallest:
        return q, dq
    nodes, weights = legendre(24 + 8 * math.ceil(count * (1 - smallest / cutoff) / 8))
    beyond = math.acosh(cutoff / smallest)
    v = beyond / 2 * (nodes + 1)
    evanescent, de = smallest * np.cosh(v), smallest * np.sinh(v) * weights * beyond / 2
    return np.concatenate([q, evanescent]), np.concatenate([dq, de])


def _node_count(optics: Optics, r_max_nm: float, z_nm: Points, focus_nm: Points) -> int:
    """Return how many nodes a table needs: a first guess by the phase that runs over the pupil, doubled until it holds.

    It is checked where the phase runs fastest, at the ends of r, z and focus, against a rule of one and a half times
    the nodes.
    """
    rows = np.unique([np.argmin(z_nm), np.argmax(z_nm), np.argmin(z_nm - focus_nm), np.argmax(z_nm - focus_nm)])
    z_ends, focus_ends = z_nm[rows], focus_nm[rows]
    r_ends = np.array([0.0, 0.37, 0.71, 1.0]) * r_max_nm
    waves = np.unwrap(np.angle(_waves(optics, pupil_nodes(optics, 256)[0], z_ends, focus_ends)), axis=1)
    phase = float(np.abs(np.diff(waves, axis=1)).sum(axis=1).max()) + optics.k_per_nm * optics.cutoff * r_max_nm
    count = 16 * math.ceil((NODES_PER_RADIAN * phase + 24) / 16)
    while count <= MAX_NODES:
        coarse, fine = (
            _quadrature(optics, n, r_ends, z_ends, focus_ends) for n in (count, 16 * (count // 16 * 3 // 2))
        )
        if np.abs(coarse - fine).max() <= ACCURACY * fine.max():
            return count
        count *= 2
    raise MishapeError(
        f"the PSF's quadrature does not converge with {MAX_NODES} nodes at r {r_max_nm:g} nm and z "
        f"{np.ptp(z_nm):g} nm apart: make the field smaller, or bring the planes nearer to the emitters"
    )


def _bessels(argument: Points) -> tuple[Points, Points, Points]:
    from scipy.special import j0, j1

    zeroth, first = j0(argument), j1(argument)
    second = 2 * first / np.maximum(argument, 1e-12) - zeroth
    return zeroth, first, np.where(argument > 1e-4, second, argument**2 / 8)
