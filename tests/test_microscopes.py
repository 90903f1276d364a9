"""Parameters of the built-in microscopes: what is refused, in which words; and the spinning disk's pinholes."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from mishape.engine import registry
from mishape.engine.grid import Grid
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.types import Emitters
from mishape.plugins.microscopes.confocal import Confocal
from mishape.plugins.microscopes.epi import Epi
from mishape.plugins.microscopes.spinning_disk import SpinningDisk

OPTICS = {"na": 1.4, "emission_nm": 600.0}
CONFOCAL = {**OPTICS, "excitation_nm": 561.0}
ZERO = np.zeros(1)


def said(cls: type, **parameters: Any) -> str:
    """Return what a user is told, each complaint with its parameter in front."""
    with pytest.raises(ValidationError) as caught:
        cls(**parameters)
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or '-'}: {e['msg']}" for e in caught.value.errors())


@pytest.mark.parametrize("cls", [Epi, Confocal, SpinningDisk])
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            {"na": 1.4, "immersion_index": 1.33},
            "-: na 1.4 must be below immersion_index 1.33: no steeper ray leaves that medium",
        ),
        (
            {"na": 1.4, "coverslip_index": 1.4},
            "-: na 1.4 must be below coverslip_index 1.4: no steeper ray leaves that medium",
        ),
        (
            {"immersion_design_index": 1.33},
            "-: na 1.4 must be below immersion_design_index 1.33: no steeper ray leaves that medium",
        ),
        ({"na": 0.0}, "na: 0.0 is too small: must be above 0 (numerical aperture)"),
        ({"na": 1.7}, "na: 1.7 is too large: must be below 1.6 (numerical aperture)"),
        (
            {"coverslip_thickness_um": -170.0},
            "coverslip_thickness_um: -170.0 is too small: must be above 0 (thickness of the coverslip, um)",
        ),
        (
            {"working_distance_um": 0.0},
            "working_distance_um: 0.0 is too small: must be above 0 "
            "(thickness of the immersion layer in the design, um)",
        ),
        (
            {"depth_nm": -1.0},
            "depth_nm: -1.0 is too small: must be at least 0 (distance of the world's origin from the coverslip, nm)",
        ),
        (
            {"sample_index": 0.9},
            "sample_index: 0.9 is too small: must be at least 1 (refractive index around the emitters)",
        ),
        (
            {"depth_nm": 4e5, "sample_index": 1.33},
            "-: depth_nm 400000 and coverslip_thickness_um 170 leave no room for the immersion: the objective would "
            "have to move 306 um into the coverslip. Give a smaller depth, a thinner coverslip, or the objective's own "
            "working_distance_um",
        ),
        ({"model": "vectorial"}, "model: 'vectorial' is not known: did you mean 'vector'? (known: scalar, vector)"),
        (
            {"emission_nm": 60.0},
            "emission_nm: 60.0 is too small: must be at least 200 (emission wavelength in vacuum, nm)",
        ),
        (
            {"emission_spectrum": ()},
            "emission_spectrum: 0 lines given: 1 to 64 are expected, each [wavelength in nm, photons]",
        ),
        (
            {"emission_spectrum": ((600.0, -1.0),)},
            "emission_spectrum.0.1: -1.0 is too small: must be above 0 (lines of the emission, 1 to 64, each "
            "[wavelength in nm, relative photons], 200 to 2000 and above 0: the PSF is their weighted mean)",
        ),
    ],
)
def test_impossible_objectives(cls: type, wrong: dict[str, Any], text: str) -> None:
    assert said(cls, **{**(OPTICS if cls is Epi else CONFOCAL), **wrong}) == text


@pytest.mark.parametrize("cls", [Confocal, SpinningDisk])
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            {"pinhole_au": 0.0},
            "pinhole_au: 0.0 is too small: must be above 0 (pinhole diameter in Airy units of 1.22 emission_nm / na in "
            "object space)",
        ),
        (
            {"excitation_nm": 640.0},
            "-: excitation_nm 640 is above emission_nm 600: one-photon fluorescence is emitted at longer wavelengths "
            "than it is excited; swap them?",
        ),
        (
            {"dose": 0.0},
            "dose: 0.0 is too small: must be above 0 (excitation per frame as a multiple of one widefield exposure)",
        ),
    ],
)
def test_impossible_pinholes(cls: type, wrong: dict[str, Any], text: str) -> None:
    assert said(cls, **{**CONFOCAL, **wrong}) == text


@pytest.mark.parametrize("family", ["microscopes", "noises"])
def test_every_parameter_says_its_default(family: str) -> None:
    """Unit and range are for eyes; that each says its default, or that it has none, can be checked."""
    for kind in registry.kinds(family):
        cls = registry.load(family, kind)
        for name, field in cls.model_fields.items():
            assert name == "kind" or "efault" in (field.description or ""), f"{kind}.{name}"


def test_pinholes_too_far_apart() -> None:
    assert said(SpinningDisk, **CONFOCAL, pinhole_au=2.0, pinhole_spacing=40.0) == (
        "-: pinhole_au 2 and pinhole_spacing 40 put the pinholes 42 um apart in the sample: at most 30 um are possible"
    )


def test_a_copy_with_other_parameters_is_another_microscope() -> None:
    """It has a digest of its own, so no cache takes it for the first; what is impossible is refused."""
    grid, lone = Grid((1, 15, 15), 80.0), Emitters(np.zeros((1, 3)), np.array([1000.0]))
    first = Epi(preset="epi2")
    peak = first.image(lone, grid).max()
    copy = first.model_copy(update={"na": 0.7})
    assert copy.digest != first.digest
    assert copy.image(lone, grid).max() == Epi(preset="epi2", na=0.7).image(lone, grid).max() < 0.5 * peak
    assert first.model_copy() == first
    with pytest.raises(ValidationError, match=r"na 1.55 must be below immersion_index"):
        first.model_copy(update={"na": 1.55})


def test_a_class_defined_anew_is_another_microscope() -> None:
    """As in a notebook: the same name, kind and parameters, another PSF."""

    def blur(factor: float) -> Any:
        class Blur(PSFMicroscope):
            kind: Literal["blur"] = "blur"

            def psf(self, r_nm: Any, z_nm: Any, focus_nm: float = 0.0) -> Any:
                density = np.exp(-(r_nm**2) / (2 * (factor * 100) ** 2)) / (2 * np.pi * (factor * 100) ** 2)
                return np.tile(density, (len(z_nm), 1))

        return Blur()

    grid, lone = Grid((1, 15, 15), 80.0), Emitters(np.zeros((1, 3)), np.array([1000.0]))
    sharp, wide = (blur(factor).image(lone, grid).max() for factor in (1.0, 2.0))
    assert sharp / wide == pytest.approx(4, rel=0.2)  # pixels of 80 nm blur the sharp one more


def test_tables_are_fine_enough_for_the_shortest_wavelength() -> None:
    """Lines and excitation far below `emission_nm`: against twice as fine a table, 1e-4 of the peak."""
    far = {"na": 1.4, "emission_nm": 1500.0, "excitation_nm": 400.0, "emission_spectrum": ((420.0, 1.0), (1500.0, 1.0))}
    r, z = np.linspace(0, 1500, 16), np.array([0.0, 700])
    for cls in (Confocal, SpinningDisk):
        found = cls(**far).psf(r, z)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mishape.plugins.microscopes.pinhole.STEPS_PER_WAVE", 128)
            np.testing.assert_allclose(found, cls(**far).psf(r, z), atol=1e-4 * found.max())


# ---- spinning disk ---------------------------------------------------------------------------------------------------
def light(scope: Any, z_nm: float, reach_nm: float = 12_000.0) -> float:
    """The share of an emitter's light that comes through, over the plane up to `reach_nm`."""
    r = np.arange(10.0, reach_nm, 20.0)
    return float(2 * np.pi * 20 * (scope.psf(r, np.array([z_nm]))[0] * r).sum())


def test_far_from_focus_the_open_share_of_the_disk_comes_through() -> None:
    """pi / (2 sqrt 3) (hole / spacing)^2 of the light, where a single pinhole passes less the further away it is."""
    disk, single = SpinningDisk(**CONFOCAL), Confocal(**CONFOCAL)
    share = math.pi / (2 * math.sqrt(3)) / 25
    assert light(disk, 4000.0) == pytest.approx(share, rel=0.02)
    assert light(single, 4000.0) < 0.1 * share
    assert light(SpinningDisk(**CONFOCAL, dose=3.0), 4000.0) == pytest.approx(3 * share, rel=0.02)


def test_small_holes_far_apart_are_a_confocal() -> None:
    """Without neighbours a small hole's response is h_ex h_em times its area, as a confocal's: 1 % at 0.05 AU."""
    r = np.linspace(0, 600, 25)
    disk = SpinningDisk(**CONFOCAL, pinhole_au=0.05, pinhole_spacing=900.0).psf(r, ZERO)
    single = Confocal(**CONFOCAL, pinhole_au=0.05).psf(r, ZERO)
    np.testing.assert_allclose(disk, single, atol=0.01 * single.max())


def test_wide_holes_leave_the_widefield() -> None:
    """A hole far wider than the spot lights and passes everything: the camera sees h_em."""
    r = np.linspace(0, 600, 25)
    disk = SpinningDisk(**CONFOCAL, pinhole_au=20.0, pinhole_spacing=2.5).psf(r, ZERO)[0]
    widefield = Epi(**OPTICS).psf(r, ZERO)[0]
    np.testing.assert_allclose(disk / disk[0], widefield / widefield[0], atol=0.01)
    assert 0.9 < disk[0] / widefield[0] < 1.01


def test_cross_talk_is_that_of_a_lattice() -> None:
    """Against a sum over a lattice of pinholes, 600 nm out of focus, averaged over angle: 3 % of the peak.

    G is made here on a grid by FFT: excitation, convolved with the disk twice.
    """
    disk, z = SpinningDisk(**CONFOCAL, pinhole_spacing=2.5), np.array([600.0])
    step, half = 40.0, 200
    x = (np.arange(2 * half) - half) * step
    distance = np.hypot(x[:, None], x)
    radii = np.arange(0, distance.max() + step, 10.0)
    excitation = np.interp(distance, radii, disk.excitation(radii, z)[0])
    offsets = (np.arange(8) + 0.5) / 8 * step - step / 2
    inside = [np.hypot(x[:, None] + a, x + b) < disk.pinhole_radius_nm for a in offsets for b in offsets]
    hole = np.mean(inside, axis=0)
    spectrum = np.fft.fft2(np.fft.ifftshift(hole)) * step**2
    once = np.fft.ifft2(np.fft.fft2(excitation) * spectrum**2).real / (math.pi * disk.pinhole_radius_nm**2)
    spacing = 2.5 * 2 * disk.pinhole_radius_nm
    lattice = [(spacing * (i + j / 2), spacing * j * math.sqrt(3) / 2) for i in range(-6, 7) for j in range(-6, 7)]
    r = np.array([0.0, 200, 400, 800])
    angles = 2 * np.pi * np.arange(48) / 48
    expected = []
    for radius in r:
        places = [(radius * np.cos(t) - a, radius * np.sin(t) - b) for t in angles for a, b in lattice]
        rows, columns = (np.rint(np.array(axis) / step).astype(int) + half for axis in zip(*places, strict=True))
        known = (rows >= 0) & (rows < 2 * half) & (columns >= 0) & (columns < 2 * half)
        expected.append(once[rows[known], columns[known]].sum() / len(angles))
    found = disk.psf(r, z)[0] / disk.emission(r, z)[0]
    np.testing.assert_allclose(found, expected, atol=0.03 * max(expected))


def test_a_spinning_disk_sections_less_than_a_confocal() -> None:
    """Out of focus, the light of an image lies between the confocal's and the widefield's."""
    grid = Grid(shape=(1, 33, 33), pixel_nm=80.0, planes_nm=(1500.0,))
    lone = Emitters(np.zeros((1, 3)), np.array([1000.0]))
    single, disk, wide = (
        scope.image(lone, grid).sum() for scope in (Confocal(**CONFOCAL), SpinningDisk(**CONFOCAL), Epi(**OPTICS))
    )
    assert single < disk < 0.1 * wide
