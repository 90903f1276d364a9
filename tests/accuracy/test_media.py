"""Refractive indices that differ: where the focus lies, what depth costs, and that images follow the exact sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import Accuracy
from numpy.typing import NDArray
from scipy.special import j0

from mishape.engine.errors import EmitterError
from mishape.engine.grid import Grid
from mishape.engine.imaging import direct_sum
from mishape.engine.types import Emitters, Points
from mishape.plugins.microscopes.confocal import Confocal
from mishape.plugins.microscopes.epi import Epi
from mishape.plugins.microscopes.spinning_disk import SpinningDisk

from . import EPI1, EPI2, emitter, matched_psf

ZERO = np.zeros(1)
WATER: dict[str, Any] = {"sample_index": 1.33, "depth_nm": 2000.0}
DISK: dict[str, Any] = {"na": 1.4, "emission_nm": 600.0, "excitation_nm": 561.0}
DEEP = Epi(preset="epi1", **WATER)
DEEP_SCALAR = Epi(preset="epi1", model="scalar", **WATER)


def on_axis(scope: Epi, planes_nm: Points, z_nm: float = 0.0) -> Points:
    """The light on the axis at each plane, of an emitter at z."""
    return np.array([scope.psf(ZERO, np.array([z_nm]), float(plane))[0, 0] for plane in planes_nm])


def relative_l2(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


# ---- depth in water under oil ----------------------------------------------------------------------------------------
def test_an_emitter_in_water_is_brightest_further_in(accuracy: Accuracy) -> None:
    """Test 14: ns 1.33, 2 um deep, epi1: the brightest plane is at +410 nm, and the light beyond falls more slowly.

    I(+10) / I(+810), each 400 nm from the brightest plane, is 1.149 +- 0.02. Turned over it would be 0.87 or less.
    """
    planes = np.arange(0.0, 1000, 10)
    light = on_axis(DEEP, planes)
    accuracy(14, "ns 1.33, 2 um deep: brightest plane, nm", planes[light.argmax()], 410, abs=20)
    ratio = light[1] / light[81]
    accuracy(14, "ns 1.33, 2 um deep: I(+10 nm) / I(+810 nm)", ratio, 1.149, abs=0.02)


def test_images_have_that_sign_too() -> None:
    """Test 14 through `image`: the stack of one emitter, by the fast operator, has the same asymmetry."""
    planes = (-790.0, 10.0, 410.0, 810.0, 1610.0)
    stack = DEEP.image(emitter(0, 0), Grid(shape=(5, 15, 15), pixel_nm=60.0, planes_nm=planes))
    peaks = stack.max(axis=(1, 2))
    assert peaks.argmax() == 2
    assert 1.05 < peaks[1] / peaks[3] < 1.25  # 1.149 on the axis; pixels of 60 nm average
    assert peaks[0] < 0.5 * peaks[1]


def test_depth_costs_light_in_the_focus(accuracy: Accuracy) -> None:
    """Test 15: the peak against the matched PSF's is 0.54 +- 0.02 (vector), 0.64 (scalar)."""
    planes = np.arange(300.0, 520, 10)
    for scope, expected in ((DEEP, 0.54), (DEEP_SCALAR, 0.64)):
        matched = Epi(preset="epi1", model=scope.model).psf(ZERO, ZERO)[0, 0]
        peak = on_axis(scope, planes).max() / matched
        accuracy(15, "ns 1.33, 2 um deep: peak / matched peak", peak, expected, abs=0.02, case=scope.model)


@pytest.mark.parametrize("model", ["vector", "scalar"])
def test_depth_costs_nothing_in_matched_media(model: str, accuracy: Accuracy) -> None:
    """Test 15: with ns = ni depth changes nothing, 1e-9; nor does a thicker coverslip of the same index."""
    r, z = np.linspace(0, 2000, 21), np.array([-500.0, 0, 700])
    plain = Epi(preset="epi1", model=model).psf(r, z, 100.0)
    deep = Epi(preset="epi1", model=model, sample_index=1.515, depth_nm=5000.0, coverslip_thickness_um=190.0)
    error = np.abs(deep.psf(r, z, 100.0) - plain).max() / plain.max()
    accuracy(15, "ns = ni, 5 um deep: change of the PSF, of the peak", error, abs=1e-9, case=model)


def test_light_of_every_plane_is_kept_in_water() -> None:
    """Every row integrates to 1, near the coverslip too, where evanescent light counts: 2 %, the tail beyond 40 um."""
    r = np.arange(2.5, 40_000, 5.0)
    scope = Epi(preset="epi1", sample_index=1.33)
    for z_nm, focus_nm in ((0.0, 0.0), (50.0, 300.0), (2000.0, 1900.0)):
        total = 2 * np.pi * 5 * (scope.psf(r, np.array([z_nm]), focus_nm)[0] * r).sum()
        assert 0.98 < total < 1.001


def test_evanescent_light_needs_the_coverslip() -> None:
    """At the coverslip light beyond the critical angle sharpens the focus; 600 nm away it is gone.

    The spectrum of an image that no such light makes ends at 2 ns / lambda; just beyond, at 2 * 1.36 / lambda, it has
    1e-3 at the coverslip, and the taper's 2e-4 far from it.
    """
    r = np.arange(5.0, 20_000, 10)
    ring = r * np.cos(np.pi / 2 * r / r[-1]) ** 2
    wave = j0(2 * np.pi * 2 * 1.36 / 688 * r)
    scope = Epi(preset="epi1", sample_index=1.33)
    near, far = (scope.psf(r, np.array([z]), 0.0)[0] * ring for z in (0.0, 600.0))
    assert abs(near @ wave) / near.sum() > 1e-3
    assert abs(far @ wave) / far.sum() < 2e-4


@pytest.mark.parametrize("plane_nm", [-250.0, 0.0, 500.0])
def test_a_thin_disk_is_brightest_where_its_mask_is(plane_nm: float, accuracy: Accuracy) -> None:
    """Test 26: at ns 1.33, 2 um deep, a thin disk at a plane's `focus_in_sample_nm` is brightest in that plane.

    A disk of 150 nm radius, by the fast operator, in planes 50 nm apart: the brightest is within one of it.
    """
    disk_nm = float(DEEP.focus_in_sample_nm(np.array([plane_nm]))[0])
    rng = np.random.default_rng(3)
    radius, angle = 150 * np.sqrt(rng.uniform(size=300)), rng.uniform(0, 2 * np.pi, 300)
    xyz = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(300, disk_nm)], axis=1)
    planes = plane_nm + np.arange(-100.0, 101, 50)
    grid = Grid(shape=(len(planes), 21, 21), pixel_nm=60.0, planes_nm=tuple(planes.tolist()))
    peaks = DEEP.image(Emitters(xyz, np.ones(300)), grid).max(axis=(1, 2))
    brightest_nm = planes[peaks.argmax()]
    accuracy(26, "thin disk, ns 1.33: brightest plane, nm from that of its mask", brightest_nm - plane_nm, abs=50,
             case=f"{plane_nm:g} nm")  # fmt: skip
    assert abs(disk_nm - plane_nm * 1.33 / 1.515) > 50  # the paraxial focus would miss it


def test_focus_in_the_sample() -> None:
    """Matched media keep the plane; a low aperture has the paraxial n_sample / n_immersion; planes keep their order."""
    planes = np.array([-250.0, 0.0, 250.0])
    np.testing.assert_array_equal(EPI1.focus_in_sample_nm(planes), planes)
    low = Epi(na=0.3, emission_nm=525.0, immersion_index=1.0, coverslip_index=1.52, sample_index=1.33, depth_nm=1e4)
    np.testing.assert_allclose(low.focus_in_sample_nm(planes), planes * 1.33, atol=120)  # of an axial FWHM of 10 um
    assert (np.diff(DEEP.focus_in_sample_nm(np.linspace(-1000, 1000, 9))) > 100).all()
    con = Confocal(preset="con1", **WATER)
    np.testing.assert_allclose(con.focus_in_sample_nm(planes), DEEP.focus_in_sample_nm(planes), atol=60)
    for plane, z_nm in zip(planes, DEEP.focus_in_sample_nm(planes), strict=True):
        near = plane + np.arange(-50.0, 51, 5)
        assert near[on_axis(DEEP, near, z_nm).argmax()] == pytest.approx(plane, abs=5)


@pytest.mark.parametrize("scope", [DEEP, Confocal(preset="con1", **WATER), SpinningDisk(**DISK)], ids=lambda s: s.kind)
def test_all_planes_at_once(scope: Epi | Confocal | SpinningDisk) -> None:
    """`through_focus` is `psf` plane by plane, to the quadrature's 1e-9."""
    r, planes = np.linspace(0, 1500, 7), np.array([-300.0, 0, 450, 2000])
    single = np.concatenate([scope.psf(r, np.array([120.0]), float(plane)) for plane in planes])
    together = scope.through_focus(r, np.array([120.0]), planes)[:, 0]
    np.testing.assert_allclose(together, single, atol=1e-9 * single.max())


def test_planes_below_the_coverslip_focus_on_nothing() -> None:
    """There the paraxial focus is all that can be said."""
    assert Epi(preset="epi1", sample_index=1.33).focus_in_sample_nm(np.array([-500.0]))[0] == -500 * 1.33 / 1.515


# ---- fast against exact ----------------------------------------------------------------------------------------------
OPTICS: dict[str, Epi | Confocal | SpinningDisk] = {
    "epi in water": DEEP,
    "confocal in water": Confocal(preset="con1", **WATER),
    "water immersion": Epi(
        na=1.2, emission_nm=520.0, immersion_index=1.33, coverslip_index=1.52, sample_index=1.38, depth_nm=5000.0
    ),
    "thick coverslip": Epi(
        preset="epi2",
        coverslip_thickness_um=175.0,
        coverslip_index=1.52,
        coverslip_design_index=1.515,
        sample_index=1.52,
    ),
    "spectrum": Epi(preset="epi2", emission_spectrum=((580.0, 0.6), (608.0, 1.0), (660.0, 0.3))),
    "sekh2021": Epi(preset="sekh2021"),
    "scan": Confocal(preset="con1", sampling="scan"),
    "spinning disk": SpinningDisk(**DISK),
}


@pytest.mark.parametrize("case", OPTICS)
def test_fast_images_are_exact_everywhere(case: str, accuracy: Accuracy) -> None:
    """Test 16 in every kind of optics: 0.5 % of the peak, emitters from 700 nm below to 1100 nm above the origin."""
    scope, rng = OPTICS[case], np.random.default_rng(5)
    xyz = rng.uniform([-900, -700, -700], [900, 700, 1100], (8, 3))
    emitters = Emitters(xyz, rng.uniform(100, 500, 8))
    grid = Grid(shape=(2, 24, 30), pixel_nm=80.0, planes_nm=(0.0, 500.0))
    exact = direct_sum(scope, emitters, grid)
    error = np.abs(scope.image(emitters, grid) - exact).max() / exact.max()
    accuracy(16, "eight emitters in other optics against the exact sum, of the peak", error, abs=5e-3, case=case)


def test_emitters_below_the_coverslip_are_refused() -> None:
    scope, grid = Epi(preset="epi1", sample_index=1.33, depth_nm=100.0), Grid(shape=(1, 9, 9), pixel_nm=100.0)
    scope.image(emitter(0, 0, -100.0), grid)
    scope.image(Emitters(np.empty((0, 3)), np.empty(0)), grid)
    with pytest.raises(
        EmitterError,
        match=r"an emitter at z -350 nm lies below the coverslip, which is at -100 nm: raise the microscope's depth_nm "
        r"to at least 350, or move the objects up",
    ):
        scope.image(emitter(0, 0, -350.0), grid)
    EPI1.image(emitter(0, 0, -350.0), grid)  # in matched media there is no coverslip to be seen


# ---- the other models ------------------------------------------------------------------------------------------------
def test_the_earlier_simulators_focus(accuracy: Accuracy) -> None:
    """Test 23: `sekh2021` at z = 0 (its stage at -1 um) is brightest for emitters 0.73 +- 0.01 um above the
    coverslip."""
    scope = Epi(preset="sekh2021")
    z = np.arange(-600.0, 600, 2)
    height_um = (z[scope.psf(ZERO, z, 0.0)[:, 0].argmax()] + scope.depth_nm) / 1000
    accuracy(23, "sekh2021: height of the focus, um", height_um, 0.73, abs=0.01)


def test_the_earlier_simulators_confocal(accuracy: Accuracy) -> None:
    """Test 23: its confocal is the square of its epi, to 1e-9."""
    r, z = np.linspace(0, 1500, 31), np.array([-500.0, -160, 200])
    epi, con = Epi(preset="sekh2021").psf(r, z), Confocal(preset="sekh2021").psf(r, z)
    error = np.abs(con / con.max() - epi**2 / (epi**2).max()).max()
    accuracy(23, "sekh2021: confocal against the square of epi", error, abs=1e-9)


def test_point_sampling_reads_the_centre() -> None:
    """`point`: every pixel is the PSF at its centre times its area (fast operator, 0.5 %); `scan`: integrated along x.

    A lone emitter's image on 80 nm pixels then differs by the 4 % that point sampling costs.
    """
    grid, lone = Grid(shape=(1, 25, 25), pixel_nm=80.0), emitter(25.0, -31.0, photons=1.0)
    _, y, x = grid.centers_nm()
    distance = np.hypot(y[:, None] + 31, x[None, :] - 25)
    point, scan, area = (Confocal(preset="con1", sampling=s) for s in ("point", "scan", "area"))
    at_centre = point.psf(distance.ravel(), ZERO)[0].reshape(25, 25) * 80**2
    images = {s.sampling: s.image(lone, grid)[0] for s in (point, scan, area)}
    np.testing.assert_allclose(images["point"], at_centre, atol=5e-3 * at_centre.max())
    shifts = (np.arange(8) + 0.5) / 8 * 80 - 40
    along_x = np.mean([point.image(emitter(25.0 - s, -31.0, photons=1.0), grid)[0] for s in shifts], axis=0)
    np.testing.assert_allclose(images["scan"], along_x, atol=5e-3 * along_x.max())
    epi_point, epi_area = Epi(preset="epi2", sampling="point").image(lone, grid), EPI2.image(lone, grid)
    assert relative_l2(epi_point, epi_area) == pytest.approx(0.037, abs=0.008)


def test_a_spectrum_is_the_mean_of_its_lines() -> None:
    r, z = np.linspace(0, 2000, 21), np.array([0.0, 400])
    mixed = Epi(na=1.4, emission_nm=608.0, emission_spectrum=((580.0, 1.0), (650.0, 3.0))).psf(r, z)
    blue, red = (matched_psf(r, z, 1.4, nm) for nm in (580.0, 650.0))
    np.testing.assert_allclose(mixed, (blue + 3 * red) / 4, rtol=1e-12)


# ---- how wrong other models are --------------------------------------------------------------------------------------
def test_how_wrong_the_scalar_model_is(accuracy: Accuracy) -> None:
    """The table's words for epi2, 63 px of 80 nm, planes over +-2 um: 16-17 % scaled to the peak, 22-23 % to the light.

    The centre pixel is 37 % too bright, the FWHM 223 instead of 245 nm.
    """
    grid = Grid(shape=(9, 63, 63), pixel_nm=80.0, z_step_nm=500.0)
    vector, scalar = (scope.image(emitter(0, 0), grid) for scope in (EPI2, Epi(preset="epi2", model="scalar")))
    assert relative_l2(scalar / scalar.max(), vector / vector.max()) == pytest.approx(0.165, abs=0.005)
    assert relative_l2(scalar / scalar.sum(), vector / vector.sum()) == pytest.approx(0.225, abs=0.01)
    assert relative_l2(scalar, vector) == pytest.approx(0.27, abs=0.005)
    assert scalar.max() / vector.max() == pytest.approx(1.37, abs=0.01)


@pytest.mark.parametrize(("plane_nm", "expected"), [(0.0, (0.05, 0.065)), (250.0, (0.145, 0.175))])
def test_how_wrong_a_gaussian_is(plane_nm: float, expected: tuple[float, float]) -> None:
    """The table's words: the best Gaussian of each plane errs by 6 % in focus and 15-17 % at 250 nm defocus."""
    from scipy.optimize import minimize
    from scipy.special import erf

    image = EPI2.image(emitter(0, 0), Grid(shape=(1, 41, 41), pixel_nm=80.0, planes_nm=(plane_nm,)))[0]
    edges = (np.arange(42) - 20.5) * 80

    def error(parameters: Points) -> float:
        profile = np.diff(erf(edges / (np.sqrt(2) * parameters[1])))
        return relative_l2(parameters[0] * np.outer(profile, profile), image)

    best = minimize(error, [image.max(), 110.0], method="Nelder-Mead").fun
    assert expected[0] < best < expected[1]


def test_the_light_beyond_a_micrometre() -> None:
    """The table's words: 8-9 % of the in-focus light lies more than 1 um away (7.6 % for epi2, 8.7 % for epi1 here)."""
    r = np.arange(2.5, 1000, 5.0)
    for scope, beyond in ((EPI1, 0.087), (EPI2, 0.076)):
        assert 1 - 2 * np.pi * 5 * (scope.psf(r, ZERO)[0] * r).sum() == pytest.approx(beyond, abs=0.002)
