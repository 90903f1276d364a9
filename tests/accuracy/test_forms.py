"""PSFs that are given in x and y, and those that cannot be imaged: what a third party's microscope may be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytest
import yaml
from conftest import ROOT, Run
from numpy.typing import NDArray

import mishape
from mishape.engine import images, operators, slabs
from mishape.engine.component import Keyed, Real
from mishape.engine.errors import MishapeError, PluginError
from mishape.engine.grid import Grid
from mishape.engine.imaging import PSFMicroscope, direct_sum
from mishape.engine.quality import QUALITIES, QualityName
from mishape.engine.types import Emitters, Points
from mishape.testing import check_microscope

from . import emitter
from .test_imaging import difference, scattered

SIGMA_NM, RANGE_NM = 150.0, 500.0
GRID = Grid((2, 23, 30), 100.0, planes_nm=(-150.0, 250.0))


def spot(x_nm: Points, y_nm: Points, sigma_x_nm: Points, sigma_y_nm: Points) -> Points:
    """A Gaussian of one photon."""
    form = np.exp(-(x_nm**2) / (2 * sigma_x_nm**2) - y_nm**2 / (2 * sigma_y_nm**2))
    return form / (2 * math.pi * sigma_x_nm * sigma_y_nm)


def widened(z_nm: Points, focus_nm: float) -> Points:
    """Standard deviations, (n_z, 1), of a beam that is narrowest at the focus."""
    return SIGMA_NM * np.sqrt(1 + ((z_nm[:, None] - focus_nm) / RANGE_NM) ** 2)


class Beam(PSFMicroscope):
    """A Gaussian beam, along the radius."""

    kind: Literal["beam"] = "beam"

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        wide = widened(z_nm, focus_nm)
        return spot(r_nm, np.zeros(1), wide, wide)


class Square(PSFMicroscope):
    """The same, in x and y."""

    kind: Literal["square"] = "square"

    def psf_xy(self, x_nm: Points, y_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        wide = widened(z_nm, focus_nm)
        return spot(x_nm, y_nm, wide, wide)


class Astigmatic(PSFMicroscope):
    """Narrow along x below the plane and along y above it, as for three-dimensional localisation."""

    kind: Literal["astigmatic"] = "astigmatic"
    split_nm: Real = 200.0
    """Of each focus from the plane, nm; default 200, chosen for these tests."""

    def psf_xy(self, x_nm: Points, y_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        return spot(x_nm, y_nm, widened(z_nm, focus_nm - self.split_nm), widened(z_nm, focus_nm + self.split_nm))


class Coma(PSFMicroscope):
    """A spot with three tenths of its light in a wider one beside it."""

    kind: Literal["coma"] = "coma"
    tail_x_nm: Real = 300.0
    """Where the wider spot is, nm; default 300."""
    tail_y_nm: Real = -150.0
    """Where the wider spot is, nm; default -150."""

    def psf_xy(self, x_nm: Points, y_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        wide = widened(z_nm, focus_nm)
        tail = spot(x_nm - self.tail_x_nm, y_nm - self.tail_y_nm, 1.2 * wide, 1.2 * wide)
        return 0.7 * spot(x_nm, y_nm, wide, wide) + 0.3 * tail


class Neither(PSFMicroscope):
    """Says nothing about light."""

    kind: Literal["neither"] = "neither"


FORMS = [Astigmatic(), Coma(), Square()]
forms = pytest.mark.parametrize("scope", FORMS, ids=[scope.kind for scope in FORMS])


def inside(seed: int = 8, count: int = 8) -> Emitters:
    return scattered(seed, count, (1700.0, 1300, 700))


# ---- without symmetry ------------------------------------------------------------------------------------------------
@forms
@pytest.mark.parametrize("quality", get_args(QualityName))
def test_the_image_of_a_psf_in_x_and_y(scope: PSFMicroscope, quality: str, each_path: str) -> None:
    """Within its quality of the exact sum; emitters within the field and 1 um outside."""
    image = scope.model_copy(update={"quality": quality}).image(inside(), GRID)
    assert difference(image, direct_sum(scope, inside(), GRID)) < QUALITIES[quality].error


def centroid(image: NDArray[np.float64], grid: Grid) -> tuple[float, float]:
    _, y, x = grid.centers_nm()
    return float(image.sum(axis=0) @ x / image.sum()), float(image.sum(axis=1) @ y / image.sum())


@pytest.mark.parametrize("imaged", [lambda s, e, g: s.image(e, g), direct_sum], ids=["image", "direct sum"])
def test_light_appears_where_the_offset_says(imaged: Callable[..., NDArray[np.float64]]) -> None:
    """The centroid is the emitter's place plus three tenths of the tail's (300, -150) nm: 1 nm."""
    grid, scope = Grid((1, 61, 64), 80.0), Coma()
    image = imaged(scope, emitter(130.0, 70.0), grid)[0]
    assert centroid(image, grid) == pytest.approx((130 + 90, 70 - 45), abs=1)


def test_astigmatism_turns_with_depth() -> None:
    """Above the plane light is wider along x, below along y: variances of the formula, plus a pixel's own, 2 %.

    At the quality exact: what lies 2 um away counts as much as the spot in a variance.
    """
    grid, scope = Grid((1, 61, 61), 80.0), Astigmatic(quality="exact")
    _, y, x = grid.centers_nm()
    for z_nm in (-200.0, 200.0):
        image = scope.image(emitter(0.0, 0.0, z_nm), grid)[0].astype(np.float64)
        along_x, along_y = (image.sum(axis=axis) / image.sum() for axis in (0, 1))
        wide_x, wide_y = (widened(np.array([z_nm]), sign * 200.0)[0, 0] for sign in (-1, 1))
        assert (wide_x > wide_y) == (z_nm > 0)
        assert along_x @ x**2 == pytest.approx(wide_x**2 + 80**2 / 12, rel=0.02)
        assert along_y @ y**2 == pytest.approx(wide_y**2 + 80**2 / 12, rel=0.02)


def test_a_radial_psf_in_both_forms() -> None:
    """1e-3 of the peak at the quality exact, by both ways of sampling, at emitters far out of focus too."""
    emitters = scattered(3, 12, (2000.0, 1700, 1500))
    radial, square = (scope.image(emitters, GRID) for scope in (Beam(quality="exact"), Square(quality="exact")))
    assert difference(square, radial) < 1e-3
    assert difference(direct_sum(Square(), emitters, GRID), direct_sum(Beam(), emitters, GRID)) < 1e-5


def test_the_mean_over_directions_stands_for_psf() -> None:
    r, z = np.array([0.0, 90, 400]), np.array([-100.0, 300])
    np.testing.assert_allclose(Square().psf(r, z, 50.0), Beam().psf(r, z, 50.0), rtol=1e-12)
    assert (Square().is_radial, Beam().is_radial) == (False, True)


@forms
def test_transfer_functions_read_anew(scope: PSFMicroscope, each_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are not held, complex ones too, are read a few rows at a time: the image of held ones to 1e-6."""
    held = scope.image(inside(), GRID)
    monkeypatch.setattr(operators, "HELD_BYTES", 0)
    monkeypatch.setattr(operators, "POINTS_AT_ONCE", 1 << 7)
    images._operators.clear()
    assert difference(scope.image(inside(), GRID), held) < 1e-6
    assert all(operator.held is None for operator in images._operators._values.values())
    images._operators.clear()


def test_the_conformance_suite_takes_all_forms() -> None:
    check_microscope(Astigmatic())
    check_microscope(Beam())


SCOPES_FILE = '''"""An astigmatic microscope."""

from typing import Literal

import numpy as np

from mishape.engine.imaging import PSFMicroscope


class Astigmatic(PSFMicroscope):
    """Narrow along x below the plane and along y above it."""

    kind: Literal["astigmatic"] = "astigmatic"

    def psf_xy(self, x_nm, y_nm, z_nm, focus_nm):
        wide_x, wide_y = (150 * np.sqrt(1 + ((z_nm[:, None] - focus_nm + s) / 500) ** 2) for s in (200, -200))
        return np.exp(-(x_nm**2) / (2 * wide_x**2) - y_nm**2 / (2 * wide_y**2)) / (2 * np.pi * wide_x * wide_y)
'''


def test_everything_else_takes_a_psf_in_x_and_y(run: Run, folder: Path) -> None:
    """`mishape psf` and the in-focus truth of a plugin file's microscope.

    On the axis its light is 1 / sqrt((1 + a^2) (1 + b^2)), a and b (z -+ 200) / 500: half of the most at 578.3 nm.
    """
    Path("scopes.py").write_text(SCOPES_FILE, encoding="utf-8")
    scene = {
        "mishape": 1,
        "objects": [
            {
                "shape": {"kind": "implicit", "form": "sphere", "radius_nm": 900},
                "labeler": {"kind": "surface", "density_per_um2": 100},
            }
        ],
        "views": {
            "a": {
                "grid": {"shape": [1, 24, 24], "pixel_nm": 100},
                "microscope": {"kind": "astigmatic"},
                "noise": {"kind": "none"},
            }
        },
        "truths": {"in_focus": {}},
    }
    Path("scene.yaml").write_text(yaml.safe_dump(scene), encoding="utf-8")
    code, _, err = run("psf", "scene.yaml", "--plugin", "scopes.py")
    assert (code, err) == (0, "")
    assert Path("scene-a.psf.json").is_file()
    numbers = json.loads(Path("scene-a.psf.json").read_text(encoding="utf-8"))
    assert numbers["axial_fwhm_nm"] == pytest.approx(2 * 578.3, rel=2e-3)
    truths = mishape.simulate(mishape.load_spec("scene.yaml").scene(0)).truths
    np.testing.assert_allclose(truths["a.in_focus_band_nm"], [[-578.3, 578.3]], atol=3)
    # A sphere of 900 nm is widest at the middle: all of it that the field shows lies in the band somewhere.
    assert truths["a.in_focus"].data.sum() == pytest.approx(math.pi * 9**2, rel=0.05)


def test_the_page_about_microscopes_shows_one() -> None:
    """Its example runs, its light is wider along x above the plane, and its table has every quality's error."""
    page = (ROOT / "docs/microscopes.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    exec(example, names)
    _, y, x = Grid((1, 33, 33), 100.0).centers_nm()
    image = names["image"][0]
    assert image.sum() == pytest.approx(1000, rel=0.01)
    assert image.sum(axis=0) @ x**2 > 1.5 * (image.sum(axis=1) @ y**2)
    rows = re.findall(r"^\| `(\w+)`(?: \(default\))? \| ([\d.]+) % \| ([\d.]+) % \|", page, flags=re.M)
    assert {name: float(error) / 100 for name, error, _ in rows} == {n: q.error for n, q in QUALITIES.items()}
    assert all(float(found) < float(error) for _, error, found in rows)


# ---- what cannot be imaged -------------------------------------------------------------------------------------------
def test_a_microscope_without_a_psf() -> None:
    message = r"^neither: this microscope gives neither psf nor psf_xy: implement one of them$"
    for ask in (lambda: Neither().image(inside(), GRID), lambda: direct_sum(Neither(), inside(), GRID)):
        with pytest.raises(PluginError, match=message):
            ask()


class Misshapen(PSFMicroscope):
    """Forgets z."""

    kind: Literal["misshapen"] = "misshapen"

    def psf_xy(self, x_nm: Points, y_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        return Square().psf_xy(x_nm, y_nm, z_nm, focus_nm)[0]


@pytest.mark.parametrize("imaged", [lambda s, e, g: s.image(e, g), direct_sum], ids=["image", "direct sum"])
def test_a_psf_xy_of_another_shape(imaged: Callable[..., NDArray[np.float64]]) -> None:
    with pytest.raises(
        PluginError,
        match=r"^misshapen: psf_xy gave an array of shape \(\d+,\) for \d+ z and \d+ places: return photon fractions "
        r"per nm\^2 of shape \(len\(z_nm\), len\(x_nm\)\)$",
    ):
        imaged(Misshapen(), inside(), GRID)


class Strange(PSFMicroscope):
    """Light that no lens makes."""

    kind: Literal["strange"] = "strange"
    form: str = "pillbox"
    """Which; default pillbox."""

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        beam = Beam().psf(r_nm, z_nm, focus_nm)
        forms = {
            "pillbox": np.where(r_nm < 400, 1e-6, 0.0) * np.ones_like(beam),
            "flicker": beam * (1 + 0.5 * np.sin(2 * np.pi * z_nm[:, None] / 3)),
            "nan": np.where(z_nm[:, None] > 80, np.nan, beam),
            "nan far away": np.where(r_nm > 2000, np.nan, beam),
            "nan far along z": np.where(np.abs(z_nm[:, None]) > 1100, np.nan, beam),
            "endless": 1e-9 * np.ones_like(beam),
            "dark": 0 * beam,
        }
        return forms[self.form]


REFUSED = {
    "pillbox": "this PSF holds detail far finer than its own width: it cannot be imaged within the requested error. "
    "Smooth it: light has no sharp edges",
    "flicker": "this PSF changes too quickly with the emitter's z to be imaged within 0.3 % of its peak: 400 places "
    "over its axial width do not follow it. Is its unit nm? Ask for a lower quality, or smooth the PSF",
    "nan": "this PSF holds NaN or infinity: its formula fails at some place",
    "nan far away": "this PSF holds NaN or infinity: its formula fails at some place",
    "nan far along z": "this PSF holds NaN or infinity: its formula fails at some place",
    "endless": "this PSF does not fall to half of its maximum within 6.5536e+06 nm: is its unit nm?",
    "dark": "this PSF is nowhere above 0: return photon fractions per nm^2",
}


@pytest.mark.parametrize("form", REFUSED)
def test_light_that_cannot_be_imaged(form: str) -> None:
    with pytest.raises(MishapeError) as refused:
        Strange(form=form).image(inside(), GRID)
    assert str(refused.value) == REFUSED[form]


class Ringed(PSFMicroscope):
    """A wide spot with 2 % of its light in a core of a fifth of its width."""

    kind: Literal["ringed"] = "ringed"

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        wide = widened(z_nm, focus_nm)
        core = spot(r_nm, np.zeros(1), wide / 5, wide / 5)
        return 0.98 * spot(r_nm, np.zeros(1), wide, wide) + 0.02 * core


@pytest.mark.parametrize("quality", get_args(QualityName))
def test_fine_detail_in_a_wide_spot(quality: str) -> None:
    """It is sampled more finely than its width asks for, and imaged within the quality."""
    scope = Ringed(quality=quality)
    outline = slabs.outline_of(Keyed.of(scope), GRID)
    assert outline.grain_nm < outline.extent.lateral_nm
    assert difference(scope.image(inside(), GRID), direct_sum(scope, inside(), GRID)) < QUALITIES[quality].error
