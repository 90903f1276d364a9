"""Widths, cut-offs and light measured from a lone emitter, and the named formulas."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Literal

import numpy as np
import pytest

from mishape.engine import formulas
from mishape.engine.component import Component
from mishape.engine.errors import MishapeError, PluginError
from mishape.engine.formulas import OpticalParameters
from mishape.engine.grid import Grid
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.lone_emitter import LoneEmitter
from mishape.engine.resolution import Resolution, Spectrum, measure
from mishape.engine.types import Emitters, Points
from mishape.plugins.microscopes.confocal import Confocal
from mishape.plugins.microscopes.epi import Epi
from mishape.plugins.microscopes.spinning_disk import SpinningDisk

SCOPES: dict[str, Any] = {"epi1": Epi(preset="epi1"), "epi2": Epi(preset="epi2"), "con1": Confocal(preset="con1")}


def in_water(depth_nm: float, **more: Any) -> Epi:
    given = {"preset": "epi2", "sample_index": 1.36, "depth_nm": depth_nm, **more}
    return Epi.model_validate(given)


class Blur(PSFMicroscope):
    """A Gaussian spot that does not know focus."""

    kind: Literal["blur"] = "blur"
    sigma_nm: float = 110.0

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float = 0.0) -> Points:
        density = np.exp(-(r_nm**2) / (2 * self.sigma_nm**2)) / (2 * np.pi * self.sigma_nm**2)
        return np.tile(density, (len(z_nm), 1))


class Moved(PSFMicroscope):
    """A Gaussian beam that is sharp far from nominal focus: its travel is the emitter's times 0.8."""

    kind: Literal["moved"] = "moved"
    shift_nm: float = 9000.0

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float = 0.0) -> Points:
        off_nm = z_nm - 0.8 * (focus_nm - self.shift_nm)
        variance = 110.0**2 * (1 + (off_nm / 300) ** 2)[:, None]
        return np.exp(-(r_nm**2) / (2 * variance)) / (2 * np.pi * variance)

    def focus_in_sample_nm(self, planes_nm: Points) -> Points:
        return 0.8 * (planes_nm - self.shift_nm) + 150


class Camera(Component):
    """A microscope without a PSF: a Gaussian beam, wider along y."""

    kind: Literal["camera"] = "camera"
    stretch: float = 1.0

    def image(self, emitters: Emitters, grid: Grid) -> Points:
        z, y, x = grid.centers_nm()
        image = np.zeros(grid.shape)
        for position, light in zip(emitters.xyz_nm, emitters.photons, strict=True):
            sigma = 110.0 * np.sqrt(1 + ((z - position[2]) / 300) ** 2)[:, None, None]
            along = np.exp(-(((x - position[0]) / sigma) ** 2) / 2)
            across = np.exp(-(((y - position[1])[:, None] / sigma / self.stretch) ** 2) / 2)
            image += light * grid.pixel_nm**2 * across * along / (2 * np.pi * sigma**2 * self.stretch)
        return image


@cache
def measured(name: str) -> Resolution:
    return measure(LoneEmitter(SCOPES[name], 80.0))


@pytest.mark.parametrize(
    ("name", "lateral_nm", "axial_nm"), [("epi1", 274.6, 640.0), ("epi2", 245.0, 593.0), ("con1", 215.0, 451.0)]
)
def test_widths_are_those_of_the_vectorial_table(name: str, lateral_nm: float, axial_nm: float) -> None:
    """Vectorial FWHM that another program computed before this code was written, 1 %."""
    found = measured(name)
    assert found.lateral_fwhm_nm == pytest.approx(lateral_nm, rel=0.01)
    assert found.axial_fwhm_nm == pytest.approx(axial_nm, rel=0.01)
    assert found.brightest_nm == 0
    assert found.axial_ends_nm == pytest.approx((-axial_nm / 2, axial_nm / 2), rel=0.01)


@pytest.mark.parametrize(
    ("name", "lateral", "axial", "tolerance"),
    [("epi1", 4.128, 1.4345, 0.025), ("epi2", 4.605, 1.5395, 0.025), ("con1", 9.658, 3.2285, 0.045)],
)
def test_measured_cutoffs_are_near_the_formulas(name: str, lateral: float, axial: float, tolerance: float) -> None:
    """2.5 % of the aperture's; a confocal's contrast fades as the 4.5th power, so it is lost in noise 4 % early."""
    found, optics = measured(name), OpticalParameters.of(SCOPES[name])
    assert optics is not None
    assert formulas.lateral_cutoff(optics).value == pytest.approx(lateral, abs=0.001)
    assert formulas.axial_cutoff(optics).value == pytest.approx(axial, abs=0.001)
    assert found.lateral.cutoff_per_um == pytest.approx(lateral, rel=tolerance)
    assert found.axial is not None
    assert found.axial.cutoff_per_um == pytest.approx(axial, rel=tolerance)
    assert max(found.lateral.level, found.axial.level) < 1e-5


def test_detected_fraction_is_the_planes_integral() -> None:
    """1 for a widefield microscope; a confocal's by the midpoint rule, 1e-3; twice the dose gives twice the light."""
    assert measured("epi1").detected_fraction == pytest.approx(1, abs=1e-3)
    r = np.arange(1.0, 6000, 2)
    share = 2 * math.pi * float(np.sum(SCOPES["con1"].psf(r, np.zeros(1), 0.0)[0] * r) * 2)
    assert measured("con1").detected_fraction == pytest.approx(share, rel=1e-3)
    assert 0.5 < share < 0.6
    doubled = measure(LoneEmitter(Confocal(preset="con1", dose=2.0), 70.0))
    assert doubled.detected_fraction == pytest.approx(2 * share, rel=1e-3)


@pytest.mark.parametrize(
    "scope",
    [SCOPES["epi1"], *(in_water(1000.0 * um) for um in (1, 3, 10))],
    ids=["matched", "1 um", "3 um", "10 um"],
)
def test_error_of_the_detected_fraction_holds_the_truth(scope: Epi) -> None:
    """A widefield plane holds all light; aberrations spread it beyond the last radius, where it is fitted."""
    found = measure(LoneEmitter(scope, 80.0))
    assert found.detected_fraction_error is not None
    assert abs(found.detected_fraction - 1) <= found.detected_fraction_error < 0.02


@pytest.mark.parametrize("depth_nm", [3000.0, 20000.0])
def test_aberrations_move_no_axial_cutoff(depth_nm: float) -> None:
    """In water, 608 nm, NA 1.2 (below its 1.33): its formula's, 4.5 %, however long the light is."""
    scope = in_water(depth_nm, na=1.2, sample_index=1.33)
    found, optics = measure(LoneEmitter(scope, 80.0)), OpticalParameters.of(scope)
    assert optics is not None
    assert found.axial is not None
    assert found.axial.cutoff_per_um == pytest.approx(formulas.axial_cutoff(optics).value, rel=0.045)
    assert found.axial.level < 1e-5


def test_contrast_beyond_a_frequency() -> None:
    spectrum = Spectrum(np.arange(4.0), np.array([1.0, 0.1, 0.2, 0.01]), 3.0, 0.01)
    assert [spectrum.highest_beyond(per_um) for per_um in (0.5, 1.5, 2.5, 3.5)] == pytest.approx([0.55, 0.2, 0.105, 0])


def test_otf_of_a_gaussian_is_a_gaussian() -> None:
    """exp(-2 pi^2 sigma^2 f^2), 1e-4 (the taper's 60 widths broaden it by less); it ends where it is at its level."""
    found = measure(LoneEmitter(Blur(), 100.0))
    expected = np.exp(-2 * (np.pi * 0.110 * found.lateral.per_um) ** 2)
    np.testing.assert_allclose(found.lateral.magnitude, expected, atol=1e-4)
    assert found.lateral_fwhm_nm == pytest.approx(2 * math.sqrt(2 * math.log(2)) * 110, rel=1e-3)
    assert found.lateral.cutoff_per_um == pytest.approx(math.sqrt(math.log(1e8) / 2) / np.pi / 0.110, rel=1e-2)
    assert found.detected_fraction == pytest.approx(1, abs=1e-6)


def test_psf_without_axial_structure_has_no_axial_numbers() -> None:
    found = measure(LoneEmitter(Blur(), 100.0))
    assert (found.axial_fwhm_nm, found.axial_ends_nm, found.axial, found.brightest_nm) == (None, None, None, 0.0)


def test_brightest_plane_is_found_far_from_nominal_focus() -> None:
    """The beam's axis has 1 / (1 + (0.8 (f - 9000) / 300)^2): brightest at 9000 nm, FWHM 750 nm of travel."""
    found = measure(LoneEmitter(Moved(), 100.0))
    assert found.brightest_nm == pytest.approx(9000, abs=4)
    assert found.axial_fwhm_nm == pytest.approx(750, rel=1e-3)
    assert found.lateral_fwhm_nm == pytest.approx(259.0, rel=1e-3)


def test_spherical_aberration_moves_the_brightest_plane() -> None:
    """Water, 2 um deep, NA 1.42: brightest at +410 nm of travel (computed by another program), 20 nm."""
    emitter = LoneEmitter(Epi(preset="epi1", sample_index=1.33, depth_nm=2000.0), 109.0)
    travel = np.linspace(0, 800, 161)
    light = emitter.density(np.zeros(1), travel)[:, 0]
    assert travel[light.argmax()] == pytest.approx(410, abs=20)
    assert light[0] < 0.9 * light.max()


def test_one_call_serves_all_planes_only_where_travel_is_the_emitters() -> None:
    """In matched media and in others the table is what the microscope says plane by plane: 1e-9 of the peak."""
    r, travel = np.array([0.0, 200.0]), np.array([-300.0, 0.0, 410.0])
    for scope in (SCOPES["con1"], Epi(preset="epi1", sample_index=1.33, depth_nm=2000.0), Moved()):
        expected = np.concatenate([scope.psf(r, np.zeros(1), float(focus)) for focus in travel])
        found = LoneEmitter(scope, 100.0).density(r, travel)
        np.testing.assert_allclose(found, expected, atol=1e-9 * expected.max())


def test_stack_holds_the_light_of_each_pixel() -> None:
    """Against the product of error functions that a Gaussian's pixels hold: 1e-5 of the peak."""
    from scipy.special import erf

    grid = Grid((1, 31, 31), 21.0)
    edges = (np.arange(32) - 15.5) * 21.0
    side = np.diff(erf(edges / (110 * math.sqrt(2)))) / 2
    stack = LoneEmitter(Blur(), 100.0).stack(grid)
    assert (stack.dtype, stack.shape) == (np.dtype(np.float32), (1, 31, 31))
    np.testing.assert_allclose(stack[0], np.outer(side, side), atol=1e-5 * stack.max())


def test_microscope_without_a_psf_is_measured_through_images() -> None:
    """A Gaussian beam: FWHM 259 nm, 600 nm along the axis; 1 %. A field of 16 widths blurs the OTF: 5 %."""
    found = measure(LoneEmitter(Camera(), 100.0))
    assert found.lateral_fwhm_nm == pytest.approx(259.0, rel=0.01)
    assert found.axial_fwhm_nm == pytest.approx(600, rel=0.01)
    assert found.detected_fraction == pytest.approx(1, abs=1e-3)
    assert (found.lateral.cutoff_per_um, found.axial, found.detected_fraction_error) == (None, None, None)
    assert found.lateral.ends_per_um(1e-3) == pytest.approx(math.sqrt(math.log(1e3) / 2) / np.pi / 0.110, rel=0.05)


def test_stack_of_a_microscope_without_a_psf_is_its_image() -> None:
    scope, grid = Camera(stretch=1.5), Grid((3, 21, 21), 25.0, z_step_nm=100.0)
    alone = scope.image(Emitters(np.zeros((1, 3)), np.ones(1)), grid)
    np.testing.assert_allclose(LoneEmitter(scope, 100.0).stack(grid), alone, rtol=1e-6)


class Broken(Blur):
    """Gives something that is no PSF."""

    kind: Literal["broken"] = "broken"  # type: ignore[assignment]
    fault: Literal["shape", "nan", "flat"] = "shape"

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float = 0.0) -> Points:
        table = super().psf(r_nm, z_nm)
        return {"shape": table[0], "nan": table * np.nan, "flat": np.ones_like(table)}[self.fault]


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        (
            "shape",
            PluginError,
            "broken: psf gave an array of shape (4,) for 1 z and 4 radii: return photon fractions per nm^2 of shape "
            "(len(z_nm), len(r_nm))",
        ),
        ("nan", MishapeError, "this PSF holds NaN or infinity: its formula fails at some place"),
        (
            "flat",
            MishapeError,
            "this PSF does not fall to half of its maximum within 6.5536e+06 nm: is its unit nm?",
        ),
    ],
)
def test_what_is_no_psf_is_refused(fault: Any, error: type[MishapeError], text: str) -> None:
    with pytest.raises(error) as caught:
        measure(LoneEmitter(Broken(fault=fault), 100.0))
    assert str(caught.value) == text


LENGTHS = {
    "Rayleigh": ("0.61 lambda / NA", (295.549, 264.914, 261.429)),
    "Abbe": ("lambda / (2 NA)", (242.254, 217.143, 214.286)),
    "Sparrow": ("0.47 lambda / NA", (227.718, 204.114, 201.429)),
    "Airy FWHM": ("0.5145 lambda / NA", (249.279, 223.440, 220.500)),
    "Airy unit": ("1.22 lambda / NA", (591.099, 529.829, 522.857)),
    "depth of field": ("n lambda / NA^2", (516.920, 469.959, 463.776)),
    "Rayleigh, axial": ("2 n lambda / NA^2", (1033.839, 939.918, 927.551)),
    "first axial minimum": ("lambda / (n - sqrt(n^2 - NA^2))", (697.09, 649.56, 641.02)),
    "axial FWHM, scalar": ("0.886 lambda / (n - sqrt(n^2 - NA^2))", (617.62, 575.51, 567.94)),
}
"""By hand, at n 1.515: for epi1 (688 nm, 1.42), epi2 (608 nm, 1.4), con1 (600 nm, 1.4)."""


@pytest.mark.parametrize(("place", "scope"), list(enumerate(SCOPES)))
def test_formulas_go_by_their_names(place: int, scope: str) -> None:
    optics = OpticalParameters.of(SCOPES[scope])
    assert optics is not None
    found = {one.name: one for one in formulas.lengths(optics, 80.0)}
    for name, (text, values) in LENGTHS.items():
        assert (found[name].text, found[name].light) == (text, "emission")
        assert found[name].wavelength_nm == SCOPES[scope].emission_nm
        assert found[name].value == pytest.approx(values[place], abs=0.01)
    assert found["depth of field, with pixel"].value == pytest.approx(
        LENGTHS["depth of field"][1][place] + 1.515 * 80 / SCOPES[scope].na, abs=0.01
    )
    assert ("Abbe / sqrt2, confocal" in found) == (scope == "con1")


def test_formulas_of_a_pinhole() -> None:
    """151.5 nm is the paper's 152; 0.37 (0.51) and 0.64 (0.88) are those for a closed (open) pinhole."""
    optics = OpticalParameters.of(SCOPES["con1"])
    assert optics is not None
    found = {one.name: (round(one.value, 1), one.light) for one in formulas.lengths(optics, 70.0)}
    mean_nm = math.sqrt(2) * 600 * 561 / math.hypot(600, 561)
    depth = 1.515 - math.sqrt(1.515**2 - 1.4**2)
    assert found["Abbe / sqrt2, confocal"] == (151.5, "emission")
    assert found["confocal FWHM, pinhole closed"] == (round(0.37 * mean_nm / 1.4, 1), "mean of both")
    assert found["confocal FWHM, pinhole open"] == (round(0.51 * 561 / 1.4, 1), "excitation")
    assert found["axial FWHM, pinhole closed"] == (round(0.64 * mean_nm / depth, 1), "mean of both")
    assert found["axial FWHM, pinhole open"] == (round(0.88 * 561 / depth, 1), "excitation")
    section = math.hypot(0.88 * 600 / depth, math.sqrt(2) * 1.515 * 522.857 / 1.4)
    assert found["optical section"] == (round(section, 1), "emission")
    assert formulas.lateral_cutoff(optics).wavelength_nm == pytest.approx(1 / (1 / 600 + 1 / 561))


def test_remarks_on_the_formulas() -> None:
    assert formulas.remarks(SCOPES["epi1"]) == []
    assert formulas.remarks(Blur()) == []
    lines = ((600.0, 1.0), (640.0, 3.0))
    assert formulas.remarks(in_water(0.0, emission_spectrum=lines)) == [
        "formulas use emission_nm 608; the light is of 600 to 640 nm",
        "formulas use na 1.4, which is above sample_index 1.36: light beyond it comes only from emitters at the "
        "coverslip",
    ]


def test_matched_twin_has_one_index_and_no_depth() -> None:
    """Its PSF is that of matched media; a matched microscope is its own twin."""
    assert SCOPES["con1"].matched_twin() is SCOPES["con1"]
    # 60 um of coverslip more than the immersion has room for where all indices are the same.
    given = {"sample_index": 1.33, "coverslip_index": 1.8, "coverslip_thickness_um": 330.0, "dose": 2.0}
    odd = Confocal.model_validate({"preset": "con1", **given})
    twin = odd.matched_twin()
    assert twin.media.matched
    assert twin.digest != odd.digest
    r, z = np.array([0.0, 150.0]), np.zeros(1)
    np.testing.assert_allclose(twin.psf(r, z), 2 * SCOPES["con1"].psf(r, z), rtol=1e-9)


def test_excitation_without_a_pinhole_is_no_confocal() -> None:
    optics = OpticalParameters.of(Epi(preset="epi1", excitation_nm=640.0))
    assert optics == OpticalParameters(1.42, 1.515, 688.0)
    assert OpticalParameters.of(Blur()) is None


def test_a_spinning_disk_has_no_formula_of_an_open_pinhole() -> None:
    """With wide pinholes its camera sees the widefield's image, not the excitation spot's."""
    optics: dict[str, Any] = {"na": 1.4, "emission_nm": 600.0, "excitation_nm": 561.0}
    names = []
    for scope in (Confocal(**optics), SpinningDisk(**optics)):
        known = OpticalParameters.of(scope)
        assert known is not None
        names.append([formula.name for formula in formulas.lengths(known, 80.0)])
    assert [name for name in names[0] if name not in names[1]] == [
        "confocal FWHM, pinhole open",
        "axial FWHM, pinhole open",
    ]
