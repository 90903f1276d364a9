"""The radial PSFs: resolution, energy, quadrature, and the pinhole."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Accuracy
from scipy.integrate import simpson
from scipy.optimize import brentq
from scipy.special import jv

from mishape.engine import optics
from mishape.engine.errors import MishapeError
from mishape.engine.media import Media
from mishape.engine.optics import Optics, radial_psf
from mishape.engine.radial import average_over_disk
from mishape.engine.types import Points
from mishape.plugins.microscopes.confocal import Confocal
from mishape.plugins.microscopes.epi import Epi

from . import CON1, EPI1, EPI2, matched_psf

OIL = 1.515
ZERO = np.zeros(1)
SCALAR = Epi(preset="epi2", model="scalar")


def fwhm(profile: Callable[[float], float], beyond_nm: float) -> float:
    """Full width at half maximum of an even profile that falls monotonically up to `beyond_nm`."""
    peak = profile(0.0)
    return 2 * float(brentq(lambda s: profile(s) / peak - 0.5, 1.0, beyond_nm))


def lateral(scope: Epi | Confocal) -> float:
    return fwhm(lambda r: float(scope.psf(np.array([r]), ZERO, 0.0)[0, 0]), 0.61 * scope.emission_nm / scope.na)


def axial(scope: Epi | Confocal) -> float:
    beyond_nm = 1.2 * scope.emission_nm * scope.immersion_index / scope.na**2
    return fwhm(lambda z: float(scope.psf(ZERO, np.array([z]), 0.0)[0, 0]), beyond_nm)


def integral(density: Callable[[Points], Points], reach_nm: float, step_nm: float = 5.0) -> float:
    """Integral over the plane: midpoint rule to `reach_nm`, and an r^-3 tail fitted to the last third."""
    r = np.arange(step_nm / 2, reach_nm, step_nm)
    values = density(r)
    last = r > reach_nm * 2 / 3
    tail = 2 * math.pi * float(np.mean(values[last] * r[last] ** 3)) / reach_nm
    return float(2 * math.pi * np.sum(values * r) * step_nm) + tail


def independent_psf(r_nm: Points, z_nm: Points, na: float, wavelength_nm: float, index: float) -> Points:
    """The same model by Simpson's rule in q = n sin(theta), where the amplitude is q / sqrt(cos theta)."""
    q = np.linspace(0, na, 6001)
    k0, cos = 2 * math.pi / wavelength_nm, np.sqrt(1 - (q / index) ** 2)
    result = np.zeros((len(z_nm), len(r_nm)))
    for order, g, times in ((0, 1 + cos, 1), (1, q / index, 2), (2, 1 - cos, 1)):
        amplitude = q / np.sqrt(cos) * g / index**2
        for plane, z in enumerate(z_nm):
            wave = amplitude * np.exp(1j * k0 * index * z * cos)
            field = [simpson(wave * jv(order, k0 * r * q), x=q) for r in r_nm]
            result[plane] += times * np.abs(field) ** 2
    return result


@pytest.mark.parametrize(
    ("scope", "lateral_nm", "axial_nm"),
    [(EPI1, 274.6, 640.0), (EPI2, 245.0, 593.0), (CON1, 215.0, 451.0)],
    ids=["epi1", "epi2", "con1"],
)
def test_widths_are_those_of_the_table(
    scope: Epi | Confocal, lateral_nm: float, axial_nm: float, accuracy: Accuracy
) -> None:
    """Test 5: the table's vectorial FWHM (computed before this code was written, by another program), 1 %."""
    accuracy(5, "lateral FWHM, nm", lateral(scope), lateral_nm, rel=0.01, case=str(scope.preset))
    accuracy(5, "axial FWHM, nm", axial(scope), axial_nm, rel=0.01, case=str(scope.preset))


def test_low_aperture_is_airy(accuracy: Accuracy) -> None:
    """Test 7: NA 0.3 in air. Airy's disk 0.5145 lambda/NA; axially sinc^2 has 0.886 lambda / (n - sqrt(n^2 - NA^2))."""
    scope = Epi(na=0.3, emission_nm=525.0, immersion_index=1.0)
    accuracy(7, "NA 0.3 in air: lateral FWHM, nm", lateral(scope), 0.5145 * 525 / 0.3, rel=0.01)
    accuracy(7, "NA 0.3 in air: axial FWHM, nm", axial(scope), 10_100, rel=0.01)


@pytest.mark.parametrize("optics", [{"preset": "epi1"}, {"preset": "epi2"}, {"na": 0.3, "emission_nm": 525.0}], ids=str)
def test_the_scalar_model_is_airys(optics: dict[str, Any], accuracy: Accuracy) -> None:
    """Test 6: Gibson & Lanni's model in matched media has Airy's disk in focus: FWHM 0.5145 lambda/NA +- 0.5 %.

    A uniform pupil's field is 2 J1(v) / v with v = 2 pi r NA / lambda; its square is half at v = 1.61634.
    """
    scope = Epi(**optics, model="scalar")
    airy_nm = 0.5145 * scope.emission_nm / scope.na
    accuracy(6, "scalar model: FWHM, nm", lateral(scope), airy_nm, rel=0.005, case=f"NA {scope.na:g}")
    r = np.linspace(1, 2000, 50)
    v = 2 * np.pi * r * scope.na / scope.emission_nm
    airy = (2 * jv(1, v) / v) ** 2
    np.testing.assert_allclose(scope.psf(r, ZERO)[0] / scope.psf(ZERO, ZERO)[0, 0], airy, atol=1e-9)


@pytest.mark.parametrize(("scope", "cutoff_per_um"), [(EPI1, 4.128), (EPI2, 4.605)], ids=["epi1", "epi2"])
def test_otf_ends_at_the_cutoff(scope: Epi, cutoff_per_um: float, accuracy: Accuracy) -> None:
    """Test 8: abs(OTF) < 1e-3 beyond 2 NA / lambda, > 1e-3 well below. 2 % of room: the table is cut off at 20 um."""
    r = np.arange(5.0, 20_000, 10)
    ring = scope.psf(r, ZERO, 0.0)[0] * r * np.cos(np.pi / 2 * r / r[-1]) ** 2
    frequency = np.linspace(0.5, 2, 100) * cutoff_per_um / 1000
    otf = np.abs(jv(0, 2 * np.pi * np.multiply.outer(frequency, r)) @ ring) / ring.sum()
    beyond = otf[frequency * 1000 > 1.02 * cutoff_per_um].max()
    accuracy(8, "abs(OTF) beyond 2 NA / lambda", beyond, abs=1e-3, case=str(scope.preset))
    assert otf[frequency * 1000 < 0.9 * cutoff_per_um].min() > 1e-3


@pytest.mark.parametrize(("scope", "support_per_um"), [(EPI1, 1.43), (EPI2, 1.54)], ids=["epi1", "epi2"])
def test_otf_ends_along_the_axis(scope: Epi, support_per_um: float, accuracy: Accuracy) -> None:
    """Test 8: the axial support is (n - sqrt(n^2 - NA^2)) / lambda: 1.43 and 1.54 per um, 2 %.

    The spectrum of the light on the axis falls linearly to 0 there; the taper of 40 um blurs its end by 0.02 per um.
    """
    z = np.arange(-40_000.0, 40_001, 100)
    on_axis = scope.psf(np.zeros(1), z)[:, 0] * np.cos(np.pi / 2 * z / z[-1]) ** 2
    per_um = np.arange(0, 2.4, 0.002)
    spectrum = np.abs(np.cos(2e-3 * np.pi * np.multiply.outer(per_um, z)) @ on_axis) / on_axis.sum()
    end = per_um[spectrum > 1e-3].max()
    accuracy(8, "axial support of the OTF, per um", end, support_per_um, rel=0.02, case=str(scope.preset))


@pytest.mark.parametrize(
    ("scope", "ratio"), [(EPI1, 0.862), (EPI2, 0.857), (SCALAR, 0.735)], ids=["epi1", "epi2", "scalar"]
)
def test_two_points_at_rayleighs_distance(scope: Epi, ratio: float, accuracy: Accuracy) -> None:
    """Test 9: mid / peak of two emitters 0.61 lambda/NA apart, +- 0.01; the scalar model has Rayleigh's 0.735."""
    apart = 0.61 * scope.emission_nm / scope.na
    at = np.linspace(0, apart, 201)
    profile = scope.psf(at, ZERO, 0.0)[0] + scope.psf(apart - at, ZERO, 0.0)[0]
    case = scope.preset if scope.model == "vector" else "scalar"
    accuracy(
        9,
        "two emitters 0.61 lambda/NA apart: middle / peak",
        profile[100] / profile.max(),
        ratio,
        abs=0.01,
        case=str(case),
    )


@pytest.mark.parametrize("scope", [EPI1, EPI2], ids=["epi1", "epi2"])
@pytest.mark.parametrize("z_nm", [0.0, -500.0, 2000.0])
def test_every_plane_carries_all_light(scope: Epi, z_nm: float, accuracy: Accuracy) -> None:
    """Test 4, unbounded: each plane integrates to 1. 3e-4: a fifth of what the r^-3 tail beyond 60 um carries."""
    total = integral(lambda r: scope.psf(r, np.array([z_nm]), 0.0)[0], 60_000)
    accuracy(4, "light of a lone emitter in an unbounded plane", total, 1, abs=3e-4, case=f"{scope.preset} {z_nm:g} nm")


@pytest.mark.parametrize(("na", "index"), [(1.42, OIL), (1.2, 1.33), (0.3, 1.0)])
def test_quadrature_has_converged(na: float, index: float) -> None:
    """Against Simpson's rule on 6001 nodes in another variable: 1e-9 of the peak, as `pupil_nodes` promises."""
    r, z = np.array([0.0, 3.0, 150, 1000, 5000, 20_000]), np.array([0.0, 310, -2000, 8000])
    ours, theirs = matched_psf(r, z, na, 600.0, index), independent_psf(r, z, na, 600.0, index)
    np.testing.assert_allclose(ours / ours[0, 0], theirs / theirs[0, 0], atol=1e-9)


@pytest.mark.parametrize("sample_index", [OIL, 1.33])
def test_too_few_nodes_are_noticed(sample_index: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first guess of a twentieth of the nodes is doubled until the table is the same to 1e-9 of its peak."""
    media = Media(OIL, OIL, sample_index, OIL, OIL, depth_nm=4000.0)
    r, z = np.linspace(0, 8000, 33), np.array([-2000.0, 0, 3000])
    expected = radial_psf(Optics(1.42, 600.0, media), r, z)
    monkeypatch.setattr(optics, "NODES_PER_RADIAN", 0.0175)
    found = radial_psf(Optics(1.42, 600.0, media), r, z)
    np.testing.assert_allclose(found, expected, atol=1e-9 * expected.max())
    monkeypatch.setattr(optics, "MAX_NODES", 40)
    with pytest.raises(MishapeError, match=r"does not converge with 40 nodes at r 8000 nm and z 5000 nm apart"):
        radial_psf(Optics(1.42, 600.0, media), r, z)


def test_no_planes_no_rows() -> None:
    assert EPI1.psf(np.arange(4.0), np.empty(0)).shape == (0, 4)
    assert EPI1.psf(np.empty(0), np.arange(4.0)).shape == (4, 0)


def test_psf_is_even_in_z_and_follows_the_focus() -> None:
    """Matched media have no preferred sense of z, and only z - focus counts: exact."""
    r, z = np.array([0.0, 200]), np.array([-700.0, 700])
    for scope in (EPI1, CON1):
        table = scope.psf(r, z, 0.0)
        np.testing.assert_allclose(table[0], table[1], rtol=1e-12)
        np.testing.assert_allclose(scope.psf(r, z + 400, 400.0), table, rtol=1e-12)


@pytest.mark.parametrize("radius_nm", [5.0, 261.4, 1300.0])
@pytest.mark.parametrize("z_nm", [0.0, 600.0])
def test_average_over_disk_is_the_2d_integral(radius_nm: float, z_nm: float) -> None:
    """Against a polar Gauss rule centred on the disk, on exact distances: 1e-6 of the largest value."""

    def density(r: Points) -> Points:
        return matched_psf(r, np.array([z_nm]), 1.4, 600.0, OIL)

    step_nm = 600 / 1.4 / 64
    offsets = np.array([0.0, 4.0, 90, 261.4, 700, 1300, 2500])
    table = density(np.arange(int((offsets.max() + radius_nm) / step_nm) + 4) * step_nm)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    rho, angle = radius_nm / 2 * (nodes + 1), 2 * np.pi * np.arange(128) / 128
    share = (radius_nm / 2 * weights * rho)[:, None] * np.full(128, 2 * np.pi / 128)
    expected = []
    for offset in offsets:
        distance = np.hypot(offset + rho[:, None] * np.cos(angle), rho[:, None] * np.sin(angle))
        expected.append(density(distance.ravel())[0] @ share.ravel())
    found = average_over_disk(table, step_nm, radius_nm, offsets)[0]
    np.testing.assert_allclose(found, expected, atol=1e-6 * max(expected))


def con(pinhole_au: float, **other: float) -> Confocal:
    return Confocal(**({"na": 1.4, "emission_nm": 600.0, "excitation_nm": 561.0, "pinhole_au": pinhole_au} | other))


def test_wide_pinhole_leaves_the_excitation(accuracy: Accuracy) -> None:
    """Test 11: an open pinhole has the shape of h_ex, whose FWHM is 226 nm +- 2 %, and passes nearly all light.

    At 40 AU 0.7 % of the emission, varying little across the spot, is still cut off: 0.2 % in shape.
    """
    r = np.linspace(0, 1500, 61)
    wide, excitation = con(40).psf(r, ZERO)[0], matched_psf(r, ZERO, 1.4, 561.0, OIL)[0]
    np.testing.assert_allclose(wide / wide[0], excitation / excitation[0], atol=2e-3)
    assert 0.985 < wide[0] / excitation[0] < 1
    accuracy(11, "FWHM at an open pinhole (40 AU), nm", lateral(con(40)), 226, rel=0.02)


def test_closed_pinhole_multiplies_the_psfs(accuracy: Accuracy) -> None:
    """Test 11: pinhole -> 0 has the shape h_ex h_em, FWHM 167 +- 2 nm, and a signal proportional to its area."""
    r = np.linspace(0, 1000, 41)
    product = matched_psf(r, ZERO, 1.4, 561.0, OIL)[0] * matched_psf(r, ZERO, 1.4, 600.0, OIL)[0]
    tiny = con(0.01).psf(r, ZERO)[0]
    np.testing.assert_allclose(tiny / tiny[0], product / product[0], atol=1e-3)
    accuracy(11, "FWHM at a closed pinhole (0.01 AU), nm", lateral(con(0.01)), 167, abs=2)
    gain = con(0.02).psf(ZERO, ZERO)[0, 0] / tiny[0]
    accuracy(11, "signal at twice that diameter", gain, 4, rel=2e-3)


@pytest.mark.parametrize(("z_nm", "fraction"), [(100, 0.913), (300, 0.472), (500, 0.192), (1000, 0.045)])
def test_optical_sectioning(z_nm: float, fraction: float, accuracy: Accuracy) -> None:
    """Test 10: a thin sheet's light at a defocus, as a fraction of that in focus, +- 0.01."""

    def light(z: float) -> float:
        return integral(lambda r: con(1).psf(r, np.array([z]))[0], 8000, step_nm=20)

    found = light(z_nm) / light(0.0)
    accuracy(10, "confocal, 1 AU: light of a sheet out of focus", found, fraction, abs=0.01, case=f"{z_nm} nm")


def test_excitation_matters_to_the_confocal_only() -> None:
    """Test 12: a widefield PSF is the same at any excitation; a confocal's narrows with a shorter one.

    Expected: with h_ex h_em near Gaussian, 1/w^2 = 1/w_ex^2 + 1/w_em^2; 561 -> 488 nm narrows by 6 to 14 %.
    """
    r, z = np.linspace(0, 2000, 21), np.array([0.0, 300])
    one, other = (Epi(preset="epi2", excitation_nm=nm) for nm in (405.0, 561.0))
    np.testing.assert_array_equal(one.psf(r, z), other.psf(r, z))
    assert 0.86 < lateral(con(1, excitation_nm=488.0)) / lateral(con(1)) < 0.94
