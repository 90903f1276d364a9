"""Images of point emitters: linearity, places, light, symmetry, and the fast operator against the direct sum."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Literal

import array_api_strict as strict
import numpy as np
import pytest
from conftest import Accuracy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mishape.engine import images, reach, slabs
from mishape.engine.arrays import to_numpy
from mishape.engine.component import Keyed
from mishape.engine.errors import EmitterError, MishapeError
from mishape.engine.grid import Grid
from mishape.engine.imaging import PSFMicroscope, direct_sum
from mishape.engine.types import Emitters, Points
from mishape.plugins.microscopes.confocal import Confocal
from mishape.plugins.microscopes.epi import Epi

from . import CON1, EPI1, EPI2, NAMES, PIXEL_NM, SCOPES, emitter
from .test_backends import as_strict, moved

Image = NDArray[np.float64]
all_scopes = pytest.mark.parametrize("scope", SCOPES, ids=NAMES)
quick = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def scattered(seed: int, count: int, half_nm: tuple[float, float, float]) -> Emitters:
    rng = np.random.default_rng(seed)
    return Emitters(rng.uniform(-1, 1, (count, 3)) * half_nm, rng.uniform(1, 1000, count))


def together(*parts: Emitters) -> Emitters:
    return Emitters(np.concatenate([p.xyz_nm for p in parts]), np.concatenate([p.photons for p in parts]))


def difference(one: Image, other: Image, peak: float | None = None) -> float:
    """Largest difference as a fraction of the second image's peak."""
    return float(np.abs(one - other).max() / (peak or other.max()))


def named(scope: PSFMicroscope) -> str:
    return NAMES[SCOPES.index(scope)]


def focal_peak(scope: PSFMicroscope, grid: Grid, photons: float) -> float:
    """What a pixel would get from an emitter in focus at its centre, were the PSF flat across it."""
    return float(photons * scope.psf(np.zeros(1), np.zeros(1), 0.0)[0, 0] * grid.pixel_nm**2)


# ---- linearity -------------------------------------------------------------------------------------------------------
@quick
@given(seed=st.integers(0, 10**6), counts=st.tuples(st.integers(0, 8), st.integers(1, 8)), factor=st.floats(1e-6, 1e4))
def test_images_add_and_scale(seed: int, counts: tuple[int, int], factor: float) -> None:
    """Test 1: I(A + B) = I(A) + I(B) and I(cA) = c I(A), 1e-5 of the peak, for parts of any depth."""
    grid = Grid(shape=(2, 20, 17), pixel_nm=80.0, z_step_nm=300.0)
    first, second = (scattered(seed + i, n, (1500.0, 1500, 1500)) for i, n in enumerate(counts))
    a, b, both = (EPI2.image(e, grid) for e in (first, second, together(first, second)))
    assert difference(a + b, both) < 1e-5
    scaled = EPI2.image(dataclasses.replace(second, photons=factor * second.photons), grid)
    np.testing.assert_allclose(scaled, factor * b, atol=1e-5 * factor * b.max())


@all_scopes
def test_images_of_parts_add(scope: PSFMicroscope, accuracy: Accuracy) -> None:
    """Test 1 for the presets: parts of any depth, 1e-5 of the peak."""
    grid = Grid(shape=(2, 32, 32), pixel_nm=PIXEL_NM[scope], z_step_nm=300.0)
    parts = [scattered(seed, 40, (1500.0, 1500, 1500)) for seed in (1, 2)]
    apart, whole = sum(scope.image(part, grid) for part in parts), scope.image(together(*parts), grid)
    accuracy(1, "I(A + B) against I(A) + I(B), of the peak", difference(apart, whole), abs=1e-5, case=named(scope))


def test_no_emitters_no_light() -> None:
    grid = Grid(shape=(2, 5, 9), pixel_nm=80.0, z_step_nm=300.0)
    for render in (EPI1.image, lambda e, g: direct_sum(EPI1, e, g)):
        image = render(Emitters(np.zeros((0, 3)), np.zeros(0)), grid)
        assert image.shape == (2, 5, 9)
        assert not image.any()
    far = EPI1.image(emitter(80_000.0, 0.0), grid)
    assert far.shape == (2, 5, 9)
    assert np.abs(far).max() < 1e-9


@pytest.mark.parametrize("photons", [np.nan, np.inf, 1e31, 1j])
def test_photons_that_are_none_are_refused(photons: complex) -> None:
    with pytest.raises(
        EmitterError, match=r"^emitters need real numbers of photons up to 1e\+30: others, or NaN, given$"
    ):
        Emitters(np.zeros((1, 3)), np.array([photons]))


def test_arrays_of_two_libraries_are_refused() -> None:
    with pytest.raises(EmitterError, match=r"one library: positions of numpy and photons of array_api_strict given$"):
        Emitters(np.zeros((1, 3)), strict.asarray([1.0]))


@pytest.mark.parametrize("pixel_nm", [30_000.0, 100_000.0])
def test_pixels_larger_than_all_light(pixel_nm: float) -> None:
    """One pixel holds what one emitter gives, but for the tail beyond the reach."""
    image = EPI2.image(emitter(10.0, 0.0), Grid(shape=(1, 3, 3), pixel_nm=pixel_nm))
    assert image[0, 1, 1] == pytest.approx(1000, rel=0.02)


def test_float32_emitters() -> None:
    """Emitters in single precision give the same image to 1e-5 of the peak (its spacing at 2 um is 1e-4 nm)."""
    grid = Grid(shape=(2, 24, 24), pixel_nm=80.0, z_step_nm=300.0)
    double = scattered(3, 30, (1000.0, 1000, 400))
    single = Emitters(double.xyz_nm.astype(np.float32), double.photons.astype(np.float32))
    assert difference(EPI2.image(single, grid), EPI2.image(double, grid)) < 1e-5
    assert difference(direct_sum(EPI2, single, grid), direct_sum(EPI2, double, grid)) < 1e-5


# ---- where things are ------------------------------------------------------------------------------------------------
@all_scopes
@pytest.mark.parametrize("size", [32, 33])
def test_whole_pixel_shifts(scope: PSFMicroscope, size: int, accuracy: Accuracy) -> None:
    """Test 2: moving the emitter by (3, -2) pixels moves the image by as many columns and rows, 1e-5 of the peak."""
    pixel = PIXEL_NM[scope]
    grid = Grid(shape=(1, size, size), pixel_nm=pixel)
    still, moved = (scope.image(emitter(13 + i * pixel, -20 + j * pixel, 40.0), grid) for i, j in ((0, 0), (3, -2)))
    moved_by = difference(moved[:, :-2, 3:], still[:, 2:, :-3])
    accuracy(2, "image shifted by whole pixels, of the peak", moved_by, abs=1e-5, case=f"{named(scope)} {size} px")


@all_scopes
def test_a_tenth_of_a_pixel_moves_the_centroid(scope: PSFMicroscope, accuracy: Accuracy) -> None:
    """Test 2: by 0.100 +- 0.002 px, in a field that leaves 3 % of the light outside at most."""
    pixel = PIXEL_NM[scope]
    grid = Grid(shape=(1, 96, 96), pixel_nm=pixel)
    x = grid.centers_nm()[2] / pixel
    image = scope.image(emitter(0.1 * pixel, -0.1 * pixel), grid)[0]
    moved = (image @ x).sum() / image.sum()
    accuracy(2, "centroid moved by 0.1 px, px", moved, 0.1, abs=0.002, case=named(scope))
    assert (image.T @ x).sum() / image.sum() == pytest.approx(-0.1, abs=0.002)


@all_scopes
@pytest.mark.parametrize("shape", [(1, 31, 31), (1, 32, 32), (1, 21, 40), (1, 40, 21)])
def test_one_emitter_off_the_pixel_centre(
    scope: PSFMicroscope, shape: tuple[int, int, int], accuracy: Accuracy
) -> None:
    """Test 3: an emitter at (0.3, -0.2) px of the exact sum, L2 < 1 %, and on the side where it belongs."""
    pixel = PIXEL_NM[scope]
    grid = Grid(shape=shape, pixel_nm=pixel)
    image, exact = (f(emitter(0.3 * pixel, -0.2 * pixel), grid) for f in (scope.image, _exactly(scope)))
    error = np.linalg.norm(image - exact) / np.linalg.norm(exact)
    accuracy(3, "emitter at (0.3, -0.2) px: relative L2 to the exact sum", error, abs=0.01, case=named(scope))
    # Of an odd count the middle pixel holds the origin, of an even one (n - 1) / 2 lies between two.
    row, column = round(shape[1] / 2 - 0.5 - 0.2), round(shape[2] / 2 - 0.5 + 0.3)
    assert np.unravel_index(image[0].argmax(), image[0].shape) == (row, column)
    if shape == (1, 31, 31):
        middle = image[0, 14:17, 14:17]
        assert middle[1, 2] > middle[0, 1] > middle[2, 1] > middle[1, 0]


def _exactly(scope: PSFMicroscope) -> Any:
    return lambda emitters, grid: direct_sum(scope, emitters, grid)


@pytest.mark.parametrize("scope", [EPI1, CON1], ids=["epi1", "con1"])
def test_direct_sum_integrates_over_each_pixel(scope: PSFMicroscope) -> None:
    """The reference itself, against a midpoint rule of 40 x 40 exact PSF values in each of three pixels: 2e-4.

    A midpoint rule's error is h^2/24 of the curvature; with h = pixel/40 that is below 1e-4 of the peak here.
    """
    pixel = PIXEL_NM[scope]
    grid = Grid(shape=(1, 5, 8), pixel_nm=pixel)
    image = direct_sum(scope, emitter(37.0, -55.0, 120.0, photons=1.0), grid)[0]
    inside = (np.arange(40) + 0.5) / 40 - 0.5
    for row, column in ((2, 4), (0, 0), (4, 6)):
        x = (column - 3.5 + inside) * pixel - 37
        y = (row - 2.0 + inside) * pixel + 55
        values = scope.psf(np.hypot(x[:, None], y).ravel(), np.array([120.0]), 0.0)
        assert image[row, column] == pytest.approx(values.mean() * pixel**2, abs=2e-4 * image.max())


@all_scopes
@pytest.mark.parametrize("size", [(24, 24), (25, 25), (24, 31)])
def test_a_quarter_turn(scope: PSFMicroscope, size: tuple[int, int], accuracy: Accuracy) -> None:
    """Test 13: emitters turned by +90 deg about z (x to y) turn the image, 1e-5.

    Rows run along +y, downwards: in the array's picture x to y is clockwise, `rot90` with k = -1.
    """
    turned_size = size[::-1]
    emitters = scattered(5, 20, (1200.0, 1200, 300))
    turned = Emitters(emitters.xyz_nm[:, [1, 0, 2]] * [-1.0, 1, 1], emitters.photons)
    image = scope.image(emitters, Grid(shape=(2, *size), pixel_nm=PIXEL_NM[scope], z_step_nm=250.0))
    other = scope.image(turned, Grid(shape=(2, *turned_size), pixel_nm=PIXEL_NM[scope], z_step_nm=250.0))
    error = difference(np.rot90(image, -1, axes=(1, 2)), other)
    accuracy(13, "emitters turned by 90 deg against the turned image, of the peak", error, abs=1e-5, case=named(scope))


@all_scopes
def test_planes_of_any_spacing(scope: PSFMicroscope) -> None:
    """Planes in any order and spacing are those of single-plane grids, each operator within its 0.2 %."""
    planes = (400.0, -650.0, 35.0)
    emitters = scattered(7, 10, (800.0, 800, 500))
    pixel = PIXEL_NM[scope]
    stack = scope.image(emitters, Grid(shape=(3, 24, 20), pixel_nm=pixel, planes_nm=planes))
    for image, plane in zip(stack, planes, strict=True):
        single = scope.image(emitters, Grid(shape=(1, 24, 20), pixel_nm=pixel, planes_nm=(plane,)))
        assert difference(image, single[0], stack.max()) < 4e-3


# ---- light -----------------------------------------------------------------------------------------------------------
def test_a_lone_emitters_light_on_20_um(accuracy: Accuracy) -> None:
    """Test 4: on a 20 um field each plane over +-2 um holds the photons to 2 %; the tails leave it."""
    grid = Grid(shape=(3, 184, 184), pixel_nm=109.0, planes_nm=(-2000.0, -300.0, 0.0))
    sums = EPI1.image(emitter(0, 0), grid).sum(axis=(1, 2))
    accuracy(4, "the same on 20 um, over +-2 um of focus: least", sums.min() / 1000, 1, abs=0.02)
    accuracy(4, "the same on 20 um, over +-2 um of focus: most / least", sums.max() / sums.min(), 1, abs=0.01)
    assert sums.max() < 1000


@all_scopes
@pytest.mark.parametrize("z_nm", [-2200.0, -1000.0, "lowest - 1", "lowest + 1", -650.0, 300.0, "highest - 1", 2240.0])
def test_light_far_from_focus(scope: PSFMicroscope, z_nm: float | str) -> None:
    """A lone emitter at any depth, at and between the borders of the operator's slabs, against the exact sum.

    The sum over the field to 0.5 % (0.46 % at a border of con1's), the worst pixel to 1 % of the emitter's own peak: a
    rank chosen by the brightest PSF lost up to 44 % of the haze that many dim emitters make.
    """
    grid = Grid(shape=(1, 40, 40), pixel_nm=PIXEL_NM[scope])
    if isinstance(z_nm, str):
        edge, sign, _ = z_nm.split()
        z_nm = slabs.outline_of(Keyed.of(scope), grid).z_range_nm(0)[edge == "highest"] + (1 if sign == "+" else -1)
    lone = emitter(20.0, 0.0, z_nm)
    image, exact = scope.image(lone, grid), direct_sum(scope, lone, grid)
    assert image.sum() == pytest.approx(exact.sum(), rel=5e-3)
    assert difference(image, exact) < 0.01


@pytest.mark.parametrize("quality", ["standard", "exact"])
@pytest.mark.parametrize(
    ("scope", "depths_nm"),
    [(EPI1, (3000.0, 5000, 8000, 12000)), (EPI2, (3000.0, 5000, 8000)), (CON1, (1500.0, 3000))],
    ids=NAMES,
)
def test_light_very_far_from_focus(scope: PSFMicroscope, depths_nm: tuple[float, ...], quality: str) -> None:
    """A plane that sees nothing but light from far away holds the quality too: 0.3 and 0.1 % of its own peak.

    Its transfer functions are weak, but so many that together they make the spike on the axis.
    """
    grid = Grid(shape=(1, 40, 40), pixel_nm=PIXEL_NM[scope])
    wanted = {"standard": 3e-3, "exact": 1e-3}[quality]
    for z_nm in depths_nm:
        lone = emitter(20.0, 0.0, z_nm)
        image = scope.model_copy(update={"quality": quality}).image(lone, grid)
        assert difference(image, direct_sum(scope, lone, grid)) < wanted, z_nm


@pytest.mark.parametrize("z_nm", [5000.0, 8000.0, -20_000.0])
def test_a_confocal_is_dark_far_from_focus(z_nm: float) -> None:
    """Light of 1e-6 of the focal peak: within 1e-6 of that peak, and no less of it in all than 5 %."""
    grid = Grid(shape=(1, 40, 40), pixel_nm=70.0)
    image, exact = CON1.image(emitter(0, 0, z_nm), grid), direct_sum(CON1, emitter(0, 0, z_nm), grid)
    assert difference(image, exact, focal_peak(CON1, grid, 1000.0)) < 1e-6
    assert image.sum() == pytest.approx(exact.sum(), rel=0.05)


def test_a_uniform_sheet_has_no_focus(accuracy: Accuracy) -> None:
    """Test 4: the missing cone: a uniform sheet is equally bright, per area, at any defocus, 0.5 %; and it is 1.

    The sheet is a lattice of 218 nm, finer than the cut-off of 242 nm, and ends 12 um outside the field: 1 % of the
    light comes from beyond.
    """
    pixel = 109.0
    grid = Grid(shape=(4, 16, 16), pixel_nm=pixel, planes_nm=(-2000.0, -600.0, 0.0, 1200.0))
    axis = np.arange(-60, 60) * 2 * pixel + 30
    x, y = (a.ravel() for a in np.meshgrid(axis, axis))
    sheet = Emitters(np.stack([x, y, 0 * x], axis=1), np.full(x.size, 4.0))
    image = EPI1.image(sheet, grid)
    levels = image.mean(axis=(1, 2))
    accuracy(4, "uniform sheet, widefield: most / least over focus", levels.max() / levels.min(), 1, abs=0.005)
    np.testing.assert_allclose(image, 1, atol=0.015)


def test_an_open_pinhole_sums_to_the_widefield(accuracy: Accuracy) -> None:
    """Test 24: at equal dose an open pinhole (60 AU) detects the widefield's photons, 1 %."""
    grid = Grid(shape=(1, 80, 80), pixel_nm=100.0)
    optics = {"na": 1.4, "emission_nm": 600.0}
    widefield = Epi(**optics).image(emitter(0, 0), grid).sum()
    confocal = Confocal(**optics, excitation_nm=561.0, pinhole_au=60.0).image(emitter(0, 0), grid).sum()
    accuracy(24, "open pinhole (60 AU): light against the widefield's", confocal / widefield, 1, abs=0.01)
    assert CON1.image(emitter(0, 0), grid).sum() < 0.7 * widefield


def test_dose_multiplies() -> None:
    grid = Grid(shape=(1, 16, 16), pixel_nm=70.0)
    double = Confocal(preset="con1", dose=2.0).image(emitter(0, 0), grid)
    np.testing.assert_allclose(double, 2 * CON1.image(emitter(0, 0), grid), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scope", [EPI1, EPI2], ids=["epi1", "epi2"])
def test_an_emitter_outside_the_field(scope: PSFMicroscope, accuracy: Accuracy) -> None:
    """Test 17: an emitter 1 um outside lights the field as in a larger one's crop: 0.1 % of what it gives."""
    pixel = PIXEL_NM[scope]
    outside = emitter(16 * pixel + 1000, 200.0, 150.0)
    image = scope.image(outside, Grid(shape=(1, 32, 32), pixel_nm=pixel))
    larger = scope.image(outside, Grid(shape=(1, 80, 80), pixel_nm=pixel))[:, 24:56, 24:56]
    assert larger.max() > 0
    accuracy(17, "emitter 1 um outside against a larger field", difference(image, larger), abs=1e-3, case=named(scope))


def test_an_emitter_outside_a_confocal_field() -> None:
    """Test 17: 1 um away a confocal sees 2e-6 of the focal peak, less than the engine's error: 1e-4 of that peak."""
    outside = emitter(16 * 70.0 + 1000, 200.0, 150.0)
    image = CON1.image(outside, Grid(shape=(1, 32, 32), pixel_nm=70.0))
    grid = Grid(shape=(1, 80, 80), pixel_nm=70.0)
    larger = CON1.image(outside, grid)
    assert difference(image, larger[:, 24:56, 24:56], larger.max()) < 1e-4


@pytest.fixture
def forgetting() -> Iterator[Callable[[], None]]:
    """Forget all modes and operators, when asked to and at the end."""

    def forget() -> None:
        slabs._modes.clear()
        images._operators.clear()

    yield forget
    forget()


@all_scopes
def test_doubled_padding_changes_nothing(
    scope: PSFMicroscope, forgetting: Callable[[], None], monkeypatch: pytest.MonkeyPatch, accuracy: Accuracy
) -> None:
    """Test 17: a reach of 30 um (emitters that far outside then count) changes < 0.1 % of the peak, at `exact`."""
    half = 16 * PIXEL_NM[scope]
    inside, outside = scattered(1, 20, (half, half, 200)), scattered(2, 200, (half + 12_000, half + 12_000, 250))
    emitters = together(inside, outside)
    grid = Grid(shape=(2, 32, 32), pixel_nm=PIXEL_NM[scope], z_step_nm=300.0)
    exact = scope.model_copy(update={"quality": "exact"})
    image = exact.image(emitters, grid)
    monkeypatch.setattr(reach, "LEVEL", 0.0)
    monkeypatch.setattr(reach, "MAX_WIDTHS", 240.0)
    forgetting()
    wider = exact.image(emitters, grid)
    assert difference(image, wider) > 0
    accuracy(17, "doubled padding, of the peak", difference(image, wider), abs=1e-3, case=named(scope))


# ---- fast against exact ----------------------------------------------------------------------------------------------
def tube(count: int) -> Emitters:
    """Emitters on the surface of a bent tube, 3 um long, 300 nm wide, rising by 800 nm."""
    rng = np.random.default_rng(11)
    along, around = rng.uniform(-1, 1, count), rng.uniform(0, 2 * np.pi, count)
    x = 1500 * along
    y = 400 * np.sin(2 * along) + 150 * np.cos(around)
    z = 400 * along + 150 * np.sin(around)
    return Emitters(np.stack([x, y, z], axis=1), rng.uniform(50, 500, count))


@pytest.mark.parametrize(("scope", "count"), [(EPI1, 100), (EPI2, 100), (CON1, 50)], ids=NAMES)
def test_the_fast_image_of_a_tube(scope: PSFMicroscope, count: int, accuracy: Accuracy) -> None:
    """Test 16: the default renderer against the exact sum on a tube: max error < 0.5 % of the peak, sums to 0.5 %."""
    grid = Grid(shape=(3, 40, 48), pixel_nm=PIXEL_NM[scope], z_step_nm=250.0)
    image, exact = scope.image(tube(count), grid), direct_sum(scope, tube(count), grid)
    accuracy(16, "tube against the exact sum, of the peak", difference(image, exact), abs=5e-3, case=named(scope))
    np.testing.assert_allclose(image.sum(axis=(1, 2)), exact.sum(axis=(1, 2)), rtol=5e-3)


@st.composite
def microscopes(draw: st.DrawFn) -> Epi | Confocal:
    index = draw(st.sampled_from([1.0, 1.33, 1.515]))
    optics = {
        "na": draw(st.floats(0.3, index - 0.08)),
        "emission_nm": draw(st.floats(450, 800)),
        "immersion_index": index,
    }
    if draw(st.booleans()):
        return Epi(**optics)
    excitation_nm = optics["emission_nm"] * draw(st.floats(0.8, 1))
    return Confocal(**optics, excitation_nm=excitation_nm, pinhole_au=draw(st.floats(0.3, 3)))


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    planes = draw(st.lists(st.floats(-800, 800), min_size=1, max_size=2))
    rows, columns = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    return Grid(shape=(len(planes), rows, columns), pixel_nm=draw(st.floats(40, 250)), planes_nm=tuple(planes))


@quick
@given(scope=microscopes(), grid=grids(), seed=st.integers(0, 10**6), count=st.integers(1, 4))
def test_devices_are_exact_for_any_optics(scope: PSFMicroscope, grid: Grid, seed: int, count: int) -> None:
    """Test 16 at large, in array-api-strict's arrays, to 1 %.

    Of the image's peak, or of 3 % of the brightest emitter's focal peak if that is dimmer.

    The second is the engine's own floor, reached where all light is out of a confocal's focus or all emitters lie
    outside the field: FAINTEST in modes.py, and the aliases of the spreading, 1e-4 of the focal peak.
    """
    half_x, half_y = grid.half_field_nm()
    emitters = scattered(seed, count, (half_x + 500, half_y + 500, 1000))
    exact = direct_sum(scope, emitters, grid)
    scale = max(exact.max(), 0.03 * focal_peak(scope, grid, emitters.photons.sum()))
    image = to_numpy(scope.image(moved(emitters, as_strict), grid))
    assert difference(image, exact, scale) < 0.01


# ---- similarity ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("scope", "double"),
    [
        (EPI1, Epi(na=1.42, emission_nm=2 * 688.0)),
        (CON1, Confocal(na=1.4, emission_nm=2 * 600.0, excitation_nm=2 * 561.0)),
    ],
    ids=["epi1", "con1"],
)
def test_doubling_every_length(scope: PSFMicroscope, double: PSFMicroscope, accuracy: Accuracy) -> None:
    """Test 19: the same image to 1e-5, by the exact sum and by the fast operator, whose lengths follow the PSF's."""
    one = scattered(13, 8, (800.0, 800, 350))
    two = Emitters(2 * one.xyz_nm, one.photons)
    grid, grid2 = (Grid(shape=(2, 20, 22), pixel_nm=f * PIXEL_NM[scope], z_step_nm=f * 300.0) for f in (1, 2))
    assert difference(direct_sum(double, two, grid2), direct_sum(scope, one, grid)) < 1e-5
    error = difference(double.image(two, grid2), scope.image(one, grid))
    accuracy(19, "every length doubled, of the peak", error, abs=1e-5, case=named(scope))


def test_excitation_leaves_widefield_images_alone(accuracy: Accuracy) -> None:
    """Test 12: the same bytes at any excitation for a widefield, another image for a confocal."""
    grid = Grid(shape=(1, 16, 16), pixel_nm=70.0)
    emitters = emitter(0, 0, 200.0)
    blue, green = (Epi(preset="epi1", excitation_nm=nm).image(emitters, grid) for nm in (405.0, 561.0))
    np.testing.assert_array_equal(blue, green)
    other = Confocal(preset="con1", excitation_nm=488.0).image(emitters, grid)
    change = difference(other, CON1.image(emitters, grid))
    assert change > 0.05
    accuracy(12, "change of a widefield's image with excitation, photons", np.abs(blue - green).max(), abs=0.0)


class Doughnut(PSFMicroscope):
    """A ring of light that is dark on its axis: r^2 times a Gaussian."""

    kind: Literal["doughnut"] = "doughnut"

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        spread = 120 * np.sqrt(1 + ((z_nm[:, None] - focus_nm) / 500) ** 2)
        return r_nm**2 / (2 * np.pi * spread**4) * np.exp(-(r_nm**2) / (2 * spread**2)) / 2


def test_a_psf_that_is_dark_on_its_axis() -> None:
    """The extent is measured at the brightest radius, so the fast image is that of any other PSF."""
    grid = Grid(shape=(2, 32, 32), pixel_nm=80.0, z_step_nm=300.0)
    emitters = scattered(21, 12, (600.0, 600, 500))
    assert difference(Doughnut().image(emitters, grid), direct_sum(Doughnut(), emitters, grid)) < 5e-3


def test_the_exact_sum_is_exact_at_wide_pixels() -> None:
    """A pixel of 1000 nm holds what 20 x 20 pixels of 50 nm hold."""
    lone = emitter(130.0, -70.0, 0.0)
    wide = direct_sum(EPI2, lone, Grid(shape=(1, 3, 3), pixel_nm=1000.0))[0]
    fine = direct_sum(EPI2, lone, Grid(shape=(1, 60, 60), pixel_nm=50.0))[0]
    np.testing.assert_allclose(wide, fine.reshape(3, 20, 3, 20).sum(axis=(1, 3)), atol=1e-4 * wide.max())


def test_light_too_wide_for_the_pixels_is_refused() -> None:
    """An objective of NA 0.02 has light 14 um wide: on pixels of 5 nm its reach would fill the memory."""
    scope = Epi(na=0.02, emission_nm=550.0, immersion_index=1.0)
    with pytest.raises(
        MishapeError, match=r"light that reaches 3\d\d\d\d\d nm needs grids of .* points, more than 1e\+08: use pixels"
    ):
        scope.image(emitter(0, 0, 0), Grid(shape=(1, 16, 16), pixel_nm=5.0))
