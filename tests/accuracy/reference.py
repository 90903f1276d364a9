"""PSFs by slow, plain quadrature: the reference that the engine's are compared with. It imports nothing of the engine.

Written in the direction of emission, from the sample to the camera, and in q = n sin(theta), which every interface
keeps. m = sqrt(n^2 - q^2) = n cos(theta) per layer is imaginary where light is evanescent.

* A dipole p emits plane waves of amplitude (s s.p + p p.p) / m_s (Weyl's expansion; Novotny & Hecht, Principles of
  Nano-Optics, ch. 2 and 10), s azimuthal and p = (m_s rho - q z) / n_s. Those with q > n_s decay with the depth.
* Each interface multiplies s and p by Fresnel's amplitudes. Echoes within the coverslip are left out: they return
  far out of focus.
* Power through the immersion is m_i |E|^2 d^2q, and all of it reaches the camera, where light is nearly axial: the
  objective multiplies by sqrt(m_i), and turns p into rho. With equal indices the amplitude is 1 / sqrt(cos theta).
* Summed over three equal, incoherent dipoles the image is |I0|^2 + 2 |I1|^2 + |I2|^2 (Richards & Wolf, Proc. R. Soc. A
  253, 358 (1959), for excitation). Reciprocity, t_is / m_i = t_si / m_s, makes the excitation of an unpolarised beam
  that fills the pupil evenly the same integral: its amplitude is t_is / sqrt(m_i).
* The phase is Gibson & Lanni's (J. Opt. Soc. Am. A 8, 1601 (1991)): paths as they are less paths as designed. The
  immersion is as thick as paraxial focus on the origin asks, sum t / n as in the design, less the travel.
* Planes are normalised by Parseval: the integral of |I_m|^2 over the plane is 2 pi / k^2 times that of |pupil|^2 q dq.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import jv, roots_legendre

Reals = NDArray[np.float64]
Waves = NDArray[np.complex128]
Orders = list[tuple[int, float, Waves]]  # order of Bessel's function, how often it counts, pupil


@dataclass(frozen=True)
class Optics:
    """What is between emitter and camera; lengths in nm, `sample`, `coverslip` and `immersion` are indices."""

    na: float
    wavelength_nm: float
    sample: float = 1.515
    depth_nm: float = 0.0
    coverslip: float = 1.515
    coverslip_design: float = 1.515
    coverslip_nm: float = 170e3
    coverslip_design_nm: float = 170e3
    immersion: float = 1.515
    immersion_design: float = 1.515
    working_distance_nm: float = 150e3

    def immersion_nm(self, plane_nm: float) -> float:
        """Thickness of the immersion with the objective `plane_nm` beyond paraxial focus on the origin."""
        design = self.coverslip_design_nm / self.coverslip_design + self.working_distance_nm / self.immersion_design
        now = self.depth_nm / self.sample + self.coverslip_nm / self.coverslip
        return self.immersion * (design - now) - plane_nm


def axial(index: float, q: Reals) -> Waves:
    """Axial part m of the wave vector over k0; positive imaginary where the wave is evanescent."""
    root: Waves = np.sqrt(index**2 - q**2 + 0j)
    return root


def nodes(optics: Optics, scalar: bool, count: int) -> tuple[Reals, Reals]:
    """Gauss-Legendre nodes and weights in q: n_s sin(t) below n_s, n_s cosh(t) above, as m_s has a root between."""
    x, w = roots_legendre(count)
    t, dt = (x + 1) / 2, w / 2
    ns = optics.sample
    below = np.arcsin(min(1.0, optics.na / ns))
    q, weight = ns * np.sin(below * t), ns * np.cos(below * t) * below * dt
    if scalar or optics.na <= ns:
        return q, weight
    above = np.arccosh(optics.na / ns)
    evanescent = ns * np.cosh(above * t), ns * np.sinh(above * t) * above * dt
    return np.concatenate([q, evanescent[0]]), np.concatenate([weight, evanescent[1]])


def fresnel_over_m(n1: float, n2: float, q: Reals) -> tuple[Waves, Waves]:
    """Fresnel's transmitted amplitudes (s, p) from n1 to n2 over m of n1, which vanishes at the critical angle."""
    m1, m2 = axial(n1, q), axial(n2, q)
    return 2 / (m1 + m2), 2 * n1 * n2 / (n2**2 * m1 + n1**2 * m2)


def vector(optics: Optics, q: Reals) -> Orders:
    """Pupils of the freely rotating dipole."""
    into = fresnel_over_m(optics.sample, optics.coverslip, q)
    out = fresnel_over_m(optics.coverslip, optics.immersion, q)
    through = np.sqrt(axial(optics.immersion, q)) * axial(optics.coverslip, q)
    s, p = (first * second * through for first, second in zip(into, out, strict=True))
    tilt = axial(optics.sample, q) / optics.sample
    return [(0, 1, s + p * tilt), (1, 2, p * q / optics.sample), (2, 1, s - p * tilt)]


def scalar(optics: Optics, q: Reals) -> Orders:
    """Gibson & Lanni's even pupil; `nodes` ends it at the sample's index."""
    return [(0, 1, np.ones(len(q), dtype=np.complex128))]


def phase(optics: Optics, q: Reals, emitter_nm: float, plane_nm: float) -> Waves:
    """Gibson & Lanni's phase factor; an evanescent wave decays by it."""
    path = axial(optics.sample, q) * (optics.depth_nm + emitter_nm)
    path += axial(optics.coverslip, q) * optics.coverslip_nm
    path += axial(optics.immersion, q) * optics.immersion_nm(plane_nm)
    path -= axial(optics.coverslip_design, q) * optics.coverslip_design_nm
    path -= axial(optics.immersion_design, q) * optics.working_distance_nm
    factor: Waves = np.exp(2j * np.pi / optics.wavelength_nm * path)
    return factor


def quadrature(
    optics: Optics, pupil: Callable[[Optics, Reals], Orders], r_nm: Reals, z_nm: Reals, planes_nm: Reals, count: int
) -> Reals:
    """Photon fraction per nm^2 with `count` nodes a panel; a row for each pair of emitter and plane."""
    q, weight = nodes(optics, pupil is scalar, count)
    k0 = 2 * np.pi / optics.wavelength_nm
    shifts = np.array([phase(optics, q, z, plane) for z, plane in zip(z_nm, planes_nm, strict=True)])
    image, energy = np.zeros((len(shifts), len(r_nm))), np.zeros((len(shifts), 1))
    for order, times, amplitude in pupil(optics, q):
        waves = shifts * amplitude
        image += times * np.abs((waves * q * weight) @ jv(order, k0 * np.outer(q, r_nm))) ** 2
        energy[:, 0] += times * np.abs(waves) ** 2 @ (q * weight) * 2 * np.pi / k0**2
    return image / energy


def psf(
    optics: Optics,
    r_nm: Reals,
    z_nm: Reals,
    planes_nm: Reals,
    pupil: Callable[[Optics, Reals], Orders] = vector,
    count: int = 150,
) -> Reals:
    """Photon fraction per nm^2, (rows, len(r_nm)), the same to 1e-9 with twice the nodes, or an error.

    Row i has the emitter at height `z_nm[i]` above the origin and the objective at `planes_nm[i]`.
    """
    once, twice = (quadrature(optics, pupil, r_nm, z_nm, planes_nm, count * by) for by in (1, 2))
    change = relative_l2(once, twice)
    if change > 1e-9:
        raise ArithmeticError(f"{count} nodes are too few: twice as many change the PSF by {change:.1e}")
    return twice


def confocal(
    emission: Optics, excitation_nm: float, pinhole_au: float, r_nm: Reals, z_nm: Reals, planes_nm: Reals, **given: Any
) -> Reals:
    """h_ex * (h_em over the pinhole), the disk summed in two dimensions: 40 rings by Gauss-Legendre, 80 angles each.

    h_em is read from a cubic spline of `psf` every 4 nm. Halving that step, or doubling the rings or the angles,
    changes a stack by less than 1e-8.
    """
    radius = pinhole_au * 1.22 * emission.wavelength_nm / emission.na / 2
    table_nm = np.arange(0, np.max(r_nm) + radius + 20, 4.0)
    spline = CubicSpline(table_nm, psf(emission, table_nm, z_nm, planes_nm, **given), axis=1)
    x, w = roots_legendre(40)
    rings, weights = radius * (x + 1) / 2, radius * w / 2
    angles = (np.arange(80) + 0.5) * np.pi / 80
    passed = np.zeros((len(z_nm), len(r_nm)))
    for ring, weight in zip(rings, weights, strict=True):
        distance = np.sqrt(r_nm[:, None] ** 2 + ring**2 - 2 * ring * r_nm[:, None] * np.cos(angles))
        passed += 2 * np.pi * ring * weight * spline(distance).mean(axis=-1)
    excitation = Optics(**{**vars(emission), "wavelength_nm": excitation_nm})
    return psf(excitation, r_nm, z_nm, planes_nm, **given) * passed


def relative_l2(found: Reals, expected: Reals) -> float:
    """L2 norm of the difference over that of the expected."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
