"""`mishape psf`: the files, the numbers beside them, and what goes wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from conftest import Run
from PIL import Image

import mishape
from mishape.plugins.microscopes.epi import Epi
from mishape.plugins.reports import drawing, psf_plots
from mishape.plugins.reports.psf_numbers import PSFOfView, data_of, psf_of_view, two_digits
from mishape.plugins.reports.psf_sheet import WIDTH, sheet
from mishape.plugins.reports.psf_text import measures_of, optics_of

EPI = "{kind: epi, preset: epi2}"
CON = "{kind: confocal, preset: con1}"
SCENE = f"""\
mishape: 1
objects: []
views:
  epi: {{grid: {{shape: [3, 24, 24], pixel_nm: 80, z_step_nm: 250}}, microscope: {EPI}}}
  con: {{grid: {{shape: [1, 24, 24], pixel_nm: 70}}, microscope: {CON}}}
"""
PLUGINS = '''\
"""Microscopes of a stranger."""
from typing import Literal

import numpy as np

from mishape.engine.component import Component
from mishape.engine.errors import MishapeError
from mishape.engine.imaging import PSFMicroscope


class Blur(PSFMicroscope):
    """A Gaussian PSF that does not know focus."""

    kind: Literal["blur"] = "blur"
    sigma_nm: float = 110.0
    fault: str = ""

    def psf(self, r_nm, z_nm, focus_nm=0.0):
        if self.fault == "ours":
            raise MishapeError("the bead file is empty: record beads")
        if self.fault:
            raise ZeroDivisionError(self.fault)
        density = np.exp(-(r_nm**2) / (2 * self.sigma_nm**2)) / (2 * np.pi * self.sigma_nm**2)
        return np.tile(density, (len(z_nm), 1))


class Camera(Component):
    """A Gaussian beam's image, wider along y."""

    kind: Literal["camera"] = "camera"

    def image(self, emitters, grid):
        z, y, x = grid.centers_nm()
        light = np.zeros(grid.shape)
        for (x_nm, y_nm, z_nm), photons in zip(emitters.xyz_nm, emitters.photons):
            sigma = 110.0 * np.sqrt(1 + ((z - z_nm) / 300) ** 2)[:, None, None]
            spot = np.exp(-(((x - x_nm) / sigma) ** 2) / 2 - ((y[:, None] - y_nm) / sigma / 1.5) ** 2 / 2)
            light += photons * grid.pixel_nm**2 * spot / (3 * np.pi * sigma**2)
        return light
'''
STRANGE = """\
mishape: 1
objects: []
views:
  blur: {grid: {shape: [1, 24, 24], pixel_nm: 109}, microscope: {kind: blur}}
  camera: {grid: {shape: [2, 24, 24], pixel_nm: 80, z_step_nm: 300}, microscope: {kind: camera}}
"""
KEYS = [
    "axial_cutoff",
    "axial_fwhm_nm",
    "brightest_plane_nm",
    "detected_fraction",
    "detected_fraction_error",
    "emitter",
    "formula_remarks",
    "formulas",
    "in_focus_bands",
    "lateral_cutoff",
    "lateral_fwhm_nm",
    "lateral_fwhm_px",
    "microscope",
    "peak_of_matched_media",
    "sample",
    "sampling",
    "stack",
    "view",
]

pytestmark = pytest.mark.usefixtures("folder")


def written(text: str = SCENE, name: str = "scene.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def physical_sizes(path: Path) -> dict[str, str]:
    """Return what the OME header says of the pixels' sizes."""
    with tifffile.TiffFile(path) as tiff:
        header = tiff.ome_metadata
    pixels = next(node for node in ElementTree.fromstring(header or "").iter() if node.tag.endswith("Pixels"))
    return {key.removeprefix("PhysicalSize"): value for key, value in pixels.attrib.items() if "PhysicalSize" in key}


@cache
def measured(name: str) -> PSFOfView:
    views = mishape.load_spec({"mishape": 1, "objects": [], **view_of(name)}).scene(0).views
    return psf_of_view(name, views[name])


def view_of(name: str) -> dict[str, Any]:
    kind, pixel_nm = ("confocal", 70) if name == "con1" else ("epi", 109)
    grid = {"shape": [1, 24, 24], "pixel_nm": pixel_nm}
    return {"views": {name: {"grid": grid, "microscope": {"kind": kind, "preset": name}}}}


def test_each_view_gets_a_stack_a_sheet_and_its_numbers(run: Run) -> None:
    code, out, err = run("psf", written(), "-o", "out")
    assert (code, err) == (0, "")
    names = [f"scene-{view}.psf.{ending}" for view in ("con", "epi") for ending in ("json", "ome.tif", "png")]
    assert sorted(path.name for path in Path("out").iterdir()) == names
    assert sorted(path.name for path in Path().iterdir()) == ["out", "scene.yaml"]
    assert [line for line in out.splitlines() if line.startswith("out")] == [
        f"out/scene-{view}.psf.{ending}" for view in ("epi", "con") for ending in ("ome.tif", "png", "json")
    ]
    for view, pixel_nm, step_nm in (("epi", 20.0, 59.0), ("con", 17.0, 44.0)):
        path = Path(f"out/scene-{view}.psf.ome.tif")
        numbers = json.loads(path.with_name(f"scene-{view}.psf.json").read_text(encoding="utf-8"))
        stack = tifffile.imread(path)
        assert stack.dtype == np.float32
        assert list(stack.shape) == numbers["stack"]["shape_zyx"]
        assert all(size % 2 for size in stack.shape)
        assert np.unravel_index(stack.argmax(), stack.shape) == tuple(size // 2 for size in stack.shape)
        assert (numbers["stack"]["pixel_nm"], numbers["stack"]["z_step_nm"]) == (pixel_nm, step_nm)
        assert numbers["stack"]["first_plane_nm"] == -step_nm * (len(stack) // 2)
        sizes = physical_sizes(path)
        assert [float(sizes[axis]) for axis in "XYZ"] == [pixel_nm / 1000, pixel_nm / 1000, step_nm / 1000]
        assert {sizes[f"{axis}Unit"] for axis in "XYZ"} == {"µm"}
        # What lies beyond 2 um: 4 % of a widefield plane at NA 1.4, nothing of a confocal's.
        share = float(stack[len(stack) // 2].sum(dtype=float)) / numbers["detected_fraction"]
        assert share == pytest.approx(1 if view == "con" else 0.964, abs=0.003)
        with Image.open(path.with_name(f"scene-{view}.psf.png")) as picture:
            assert (picture.mode, picture.width) == ("RGB", WIDTH)


def test_the_terminal_says_the_numbers(run: Run) -> None:
    code, out, _ = run("psf", written(), "--view", "con")
    assert code == 0
    for line in (
        "con (confocal), an emitter at the world's origin:",
        "  peak                     1.00 of the same objective's in matched media, as these are",
        "  lateral FWHM             215.1 nm (3.07 px of 70 nm)",
        "  brightest plane          0 nm from nominal focus",
        "  in focus at 0 nm         z -224 to 224 nm",
        "  detected fraction        0.535 of the photons, in the brightest plane",
        "  pixel                    70 nm is above Nyquist's 51.8 nm: contrast below 0.1 % is lost",
        "  by formula:",
        "    Abbe / sqrt2, confocal           151.5 nm  lambda / (2 sqrt2 NA)  (emission 600 nm)",
        "    lateral cut-off                  9.66 /um  2 NA / lambda  (sum of both 290 nm)",
        "scene-con.psf.json",
    ):
        assert line in out.splitlines()
    # Where contrast falls below 1e-8 of itself, which rounding moves in its third digit.
    assert re.search(
        r"^  lateral cut-off {10}9\.[234]\d /um measured, 9\.66 by formula \(sum of both 290 nm\)$", out, re.M
    )
    assert sorted(path.name for path in Path().glob("scene-*")) == [
        "scene-con.psf.json",
        "scene-con.psf.ome.tif",
        "scene-con.psf.png",
    ]


@pytest.mark.parametrize(
    ("name", "lateral_nm", "axial_nm", "depth_nm"),
    [("epi1", 274.6, 640.0, 516.92), ("epi2", 245.0, 593.0, 469.96), ("con1", 215.0, 451.0, 463.78)],
)
def test_numbers_of_the_presets(name: str, lateral_nm: float, axial_nm: float, depth_nm: float) -> None:
    """FWHM of the vectorial table, 1 %; the in-focus band is that of the truth, half the FWHM to each side."""
    found = data_of(measured(name))
    assert sorted([*found, "sample"]) == KEYS
    assert found["lateral_fwhm_nm"] == pytest.approx(lateral_nm, rel=0.01)
    assert found["axial_fwhm_nm"] == pytest.approx(axial_nm, rel=0.01)
    assert found["lateral_fwhm_px"] == pytest.approx(lateral_nm / found["sampling"]["pixel_nm"], rel=0.01)
    (band,) = found["in_focus_bands"]
    assert band["plane_nm"] == 0
    assert (band["low_nm"], band["high_nm"]) == pytest.approx((-axial_nm / 2, axial_nm / 2), rel=0.01)
    lengths = {one["name"]: one for one in found["formulas"]}
    assert set(lengths["depth of field"]) == {"name", "text", "value_nm", "wavelength_nm", "light"}
    assert lengths["depth of field"]["value_nm"] == pytest.approx(depth_nm, abs=0.01)


def test_a_pixel_is_compared_with_nyquist() -> None:
    """1 / (2 cut-off): 121.1 nm for epi1, 51.8 nm for con1, whose planes are single.

    Its contrast has faded at 7.1 / um, where 70 nm pixels end; that is no alarm.
    """
    epi, con = (data_of(measured(name))["sampling"] for name in ("epi1", "con1"))
    assert epi["nyquist_pixel_nm"] == pytest.approx(688 / (4 * 1.42), rel=1e-5)
    assert epi["pixel_remark"] == "109 nm is fine enough: Nyquist's is 121.1 nm"
    assert con["nyquist_pixel_nm"] == pytest.approx(1000 / (2 * 9.65775), rel=1e-5)
    assert con["pixel_remark"] == "70 nm is above Nyquist's 51.8 nm: contrast below 0.1 % is lost"
    assert 0 < con["contrast_beyond_pixel"] < 1e-3
    assert (con["z_step_nm"], con["contrast_beyond_z_step"], con["z_step_remark"]) == (None, None, None)


DEEP = """\
mishape: 1
objects: []
views:
  deep:
    grid: {shape: [1, 24, 24], pixel_nm: 150}
    microscope:
      {kind: epi, na: 1.2, emission_nm: 510, immersion_index: 1.33, sample_index: 1.36, depth_nm: 4000,
       coverslip_index: 1.52, coverslip_thickness_um: 180, emission_spectrum: [[500, 1], [560, 1]]}
  scalar:
    grid: {shape: [1, 24, 24], pixel_nm: 80}
    microscope: {kind: epi, preset: epi2, model: scalar, sample_index: 1.33, depth_nm: 1000}
"""


def views_measured(text: str, run: Run) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    code, out, _ = run("psf", written(text))
    assert code == 0
    first, second = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path().glob("*.psf.json")))
    return out.splitlines(), first, second


def test_mismatched_media_are_compared_with_matched_ones(run: Run) -> None:
    """The peak in JSON is that of the two microscopes' own PSFs; 1e-5."""
    lines, deep, scalar = views_measured(DEEP, run)
    scope = mishape.load_spec("scene.yaml").scene(0).views["deep"].microscope
    twin = Epi(na=1.2, emission_nm=510.0, immersion_index=1.33, emission_spectrum=((500.0, 1.0), (560.0, 1.0)))
    assert isinstance(scope, Epi)
    here = scope.psf(np.zeros(1), np.zeros(1), deep["brightest_plane_nm"])
    peak = float((here / twin.psf(np.zeros(1), np.zeros(1))).item())
    assert deep["peak_of_matched_media"] == pytest.approx(peak, rel=1e-5)
    assert 0.2 < peak < 0.9
    assert f"  peak                     {peak:.2f} of the same objective's in matched media" in lines
    assert lines.index("scalar (epi), an emitter at the world's origin:") > 0
    assert 0 < scalar["peak_of_matched_media"] < 1


def test_what_formulas_do_not_know_is_told(run: Run) -> None:
    lines, deep, scalar = views_measured(DEEP, run)
    assert deep["formula_remarks"] == ["formulas use emission_nm 510; the light is of 500 to 560 nm"]
    assert scalar["formula_remarks"] == [
        "formulas use na 1.4, which is above sample_index 1.33: the scalar model's aperture ends there"
    ]
    for remark in [*deep["formula_remarks"], *scalar["formula_remarks"]]:
        assert f"    {remark}" in lines
    assert {"  by formula (emission 510 nm):", "  by formula (emission 608 nm):"} < set(lines)
    assert "    Rayleigh                         259.2 nm  0.61 lambda / NA" in lines
    assert any(line.endswith(" /um measured, 4.71 by formula (emission 510 nm)") for line in lines)
    assert deep["sampling"]["pixel_remark"] == (
        "150 nm is above Nyquist's 106.2 nm: contrast up to "
        f"{100 * deep['sampling']['contrast_beyond_pixel']:.2g} % is lost"
    )


def test_sheet_names_the_media_and_draws_the_matched_profile(run: Run) -> None:
    views = mishape.load_spec(written(DEEP)).scene(0).views
    deep = psf_of_view("deep", views["deep"])
    assert optics_of(deep) == (
        "epi, NA 1.2, n 1.33, sample n 1.36, 4000 nm deep, coverslip n 1.52, coverslip 180 um, emission 510 nm, "
        "spectrum of 2 lines, 500 to 560 nm"
    )
    picture = np.asarray(sheet(deep, deep.emitter.stack(deep.fine_grid)))
    assert (picture[712:1032, 24:584] == psf_plots.GREY).all(axis=-1).sum() > 100
    matched = np.asarray(sheet(measured("epi1"), measured("epi1").emitter.stack(measured("epi1").fine_grid)))
    assert not (matched[712:1032, 24:584] == psf_plots.GREY).all(axis=-1).any()


@pytest.mark.parametrize(("error", "text"), [(None, "1.002"), (4e-4, "1.002"), (0.0034, "1.00"), (0.017, "1.0")])
def test_fraction_has_the_digits_that_its_error_allows(error: float | None, text: str) -> None:
    psf = measured("epi1")
    found = replace(psf.resolution, detected_fraction=1.0025 - 0.0001, detected_fraction_error=error)
    assert dict(measures_of(replace(psf, resolution=found)))["detected fraction"] == (
        f"{text} of the photons, in the brightest plane"
    )


def test_help_tells_of_plugin_files(run: Run) -> None:
    assert "--plugin FILE" in run("psf", "--help")[1]


def test_equal_runs_write_equal_bytes(run: Run) -> None:
    scene = written()
    for out in ("a", "b"):
        assert run("psf", scene, "--view", "epi", "-o", out)[0] == 0
    for path in Path("a").iterdir():
        assert path.read_bytes() == Path("b", path.name).read_bytes()
    text = Path("a/scene-epi.psf.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_microscopes_of_strangers(run: Run) -> None:
    Path("scopes.py").write_text(PLUGINS, encoding="utf-8")
    code, out, err = run("psf", written(STRANGE), "--plugin", "scopes.py")
    assert (code, err) == (0, "")
    assert "  peak " not in out
    for line in (
        "  axial FWHM               none: all planes are alike",
        "  in focus at 0 nm         every z",
        "  pixel                    109 nm is above Nyquist's 93.0 nm: contrast up to 0.66 % is lost",
        "  no formulas: the microscope does not say na, emission_nm and immersion_index",
    ):
        assert line in out.splitlines()
    blur, camera = (json.loads(Path(f"scene-{name}.psf.json").read_text()) for name in ("blur", "camera"))
    assert (blur["axial_fwhm_nm"], blur["stack"]["shape_zyx"][0], blur["stack"]["z_step_nm"]) == (None, 1, None)
    assert blur["in_focus_bands"] == [{"plane_nm": 0.0, "low_nm": None, "high_nm": None}]
    assert (blur["formulas"], blur["formula_remarks"], blur["lateral_cutoff"]["formula"]) == ([], [], None)
    assert (blur["peak_of_matched_media"], camera["detected_fraction_error"]) == (None, None)
    assert blur["sampling"]["nyquist_counts"] == "contrast above 0.001"
    stack = tifffile.imread("scene-blur.psf.ome.tif")
    assert stack.sum() == pytest.approx(1, abs=1e-4)
    assert "Z" not in physical_sizes(Path("scene-blur.psf.ome.tif"))
    # An image that is wider along y stays so in the stack.
    image = tifffile.imread("scene-camera.psf.ome.tif")
    plane = image[len(image) // 2]
    place = np.arange(len(plane)) - len(plane) // 2
    high, wide = (float(plane.sum(axis=axis) @ place**2.0) ** 0.5 for axis in (1, 0))
    assert high / wide == pytest.approx(1.5, rel=0.01)
    assert camera["axial_fwhm_nm"] == pytest.approx(600, rel=0.01)
    assert [band["plane_nm"] for band in camera["in_focus_bands"]] == [-150, 150]
    assert camera["lateral_cutoff"]["measured_per_um"] is None


def test_sheet_shows_rings_planes_and_focus() -> None:
    psf = measured("epi1")
    picture = np.asarray(sheet(psf, psf.emitter.stack(psf.fine_grid)))
    assert picture.shape[1:] == (WIDTH, 3)
    linear, decades, section = (picture[162:642, left : left + 480].astype(int) for left in (24, 610, 1196))
    assert linear[240, 240].sum() > 600
    assert linear[5, 5].sum() < 60
    # Along a radius from the axis the logarithmic picture is bright and dark again and again: rings.
    radius = decades[240, 240:].sum(axis=1)
    turns = np.diff(np.sign(np.diff(np.convolve(radius, np.ones(5) / 5, "valid").round())))
    assert (turns != 0).sum() >= 4
    assert (section == drawing.ORANGE).all(axis=-1).any(axis=1).sum() == 1
    assert (picture[732:932] == psf_plots.SHADE).all(axis=-1).sum() > 5000
    for colour in (psf_plots.BLUE, psf_plots.RUST):
        assert (picture[712:1032] == colour).all(axis=-1).sum() > 500


def test_marks_stand_where_the_values_are() -> None:
    """The shaded band of the axial profile is as wide as the band that the numbers state; a pixel to each side."""
    psf = measured("epi1")
    picture = np.asarray(sheet(psf, psf.emitter.stack(psf.fine_grid)))
    rows = (picture[672:1032] == psf_plots.SHADE).all(axis=-1)
    columns = np.flatnonzero(rows.any(axis=0))
    (band,) = psf.bands
    assert band.low_nm is not None
    assert band.high_nm is not None
    nm_per_px = 3 * (psf.resolution.axial_fwhm_nm or 0) / (560 - 62)
    assert np.ptp(columns) == pytest.approx((band.high_nm - band.low_nm) / nm_per_px, abs=2)


@pytest.mark.parametrize(
    ("length", "rounded"), [(22.88, 22.0), (20.0, 20.0), (5.96, 5.9), (1009.8, 1000.0), (0.57, 0.57)]
)
def test_two_digits(length: float, rounded: float) -> None:
    assert two_digits(length) == rounded


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--view", "cno"], 2, "the scene has no view 'cno': did you mean 'con'? (known: con, epi)"),
        (
            ["--view", "epi", "-o", "scene.yaml"],
            1,
            "'scene.yaml' could not be written: [Errno 17] File exists: 'scene.yaml'",
        ),
    ],
)
def test_wrong_usage(arguments: list[str], code: int, message: str, run: Run) -> None:
    assert run("psf", written(), *arguments) == (code, "", f"error: {message}\n")
    assert [path.name for path in Path().iterdir()] == ["scene.yaml"]


def test_wrong_scene(run: Run) -> None:
    code, out, err = run("psf", written(SCENE.replace("preset: con1", "preset: con9")))
    assert (code, out) == (2, "")
    assert err.startswith("error: scene.yaml:5:")
    assert "views.con.microscope.preset: 'con9' is not known: did you mean 'con1'?" in err


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("ours", "the bead file is empty: record beads"),
        ("no light", "the PSF of view 'blur' failed: ZeroDivisionError: no light"),
    ],
)
def test_psf_that_fails(fault: str, message: str, run: Run) -> None:
    Path("scopes.py").write_text(PLUGINS, encoding="utf-8")
    scene = written(STRANGE.replace("kind: blur", f"kind: blur, fault: {fault}"))
    assert run("psf", scene, "-o", "out", "--plugin", "scopes.py") == (1, "", f"error: {message}\n")
    assert not Path("out").exists()
