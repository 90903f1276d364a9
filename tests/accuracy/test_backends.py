"""The array-API path: array-api-strict stands for CuPy, torch for itself, and both must give what numpy gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from conftest import Accuracy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import i0

from mishape.engine import arrays, images
from mishape.engine.errors import MishapeError
from mishape.engine.fft_grids import FFTGrids
from mishape.engine.grid import Grid
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.lattice import axis_of, for_fft
from mishape.engine.quality import QUALITIES
from mishape.engine.types import Emitters

from . import NAMES, PIXEL_NM, SCOPES

WINDOW = QUALITIES["exact"].window
Convert = Callable[[Any], Any]
quick = settings(max_examples=60, deadline=None, derandomize=True)


def as_strict(array: Any) -> Any:
    return strict.asarray(array)


def as_torch(array: Any) -> Any:
    return pytest.importorskip("torch", reason="pip install 'mishape[learn]' to image torch's arrays").asarray(array)


def moved(emitters: Emitters, convert: Convert, dtype: type = np.float64) -> Emitters:
    return Emitters(*(convert(a.astype(dtype)) for a in (emitters.xyz_nm, emitters.photons)))


def some(count: int, seed: int = 17) -> Emitters:
    rng = np.random.default_rng(seed)
    return Emitters(rng.uniform(-1, 1, (count, 3)) * [1300.0, 900, 1400], rng.uniform(1, 1000, count))


libraries = pytest.mark.parametrize("convert", [as_strict, as_torch], ids=["strict", "torch"])


@libraries
@pytest.mark.parametrize("scope", SCOPES, ids=NAMES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_images_agree_with_numpy(scope: PSFMicroscope, dtype: type, convert: Convert, accuracy: Accuracy) -> None:
    """Across array libraries expected photons agree to 1e-5 of the peak (the design's section 7), over two slabs.

    Numpy's take the least grid that holds their emitters, a device's always the same one.
    """
    grid = Grid(shape=(2, 24, 31), pixel_nm=PIXEL_NM[scope], z_step_nm=250.0)
    expected = scope.image(some(40), grid)
    given = moved(some(40), convert, dtype)
    image = scope.image(given, grid)
    assert arrays.namespace(image) is arrays.namespace(given.photons)
    assert image.dtype == given.photons.dtype
    assert expected.dtype == np.float32
    error = np.abs(arrays.to_numpy(image) - expected).max() / expected.max()
    case = f"{NAMES[SCOPES.index(scope)]} {convert.__name__[3:]} {dtype.__name__}"
    accuracy(21, "another array library's photons, of the peak", error, abs=1e-5, case=case)


@libraries
def test_a_batch_is_its_images(convert: Convert) -> None:
    """Each of a batch is the image of its own emitters, whatever the others are, to 1e-6; some have none."""
    scope, grid = SCOPES[1], Grid(shape=(2, 24, 31), pixel_nm=80.0, z_step_nm=250.0)
    sets = [some(count, seed) for count, seed in ((40, 1), (0, 2), (7, 3))]
    batch = scope.image_many([moved(e, convert) for e in sets], grid)
    assert tuple(batch.shape) == (3, *grid.shape)
    for emitters, image in zip(sets, arrays.to_numpy(batch), strict=True):
        alone = arrays.to_numpy(scope.image(moved(emitters, convert), grid))
        np.testing.assert_allclose(image, alone, atol=1e-6 * (1 + alone.max()))
    np.testing.assert_array_equal(scope.image_many(sets, grid), np.stack([scope.image(e, grid) for e in sets]))


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(MishapeError, match=r"^no emitters to image: give at least one set of emitters$"):
        SCOPES[0].image_many([], Grid(shape=(1, 4, 5), pixel_nm=80.0))


@libraries
def test_no_emitters_on_another_backend(convert: Convert) -> None:
    empty = moved(Emitters(np.zeros((0, 3)), np.zeros(0)), convert)
    image = SCOPES[0].image(empty, Grid(shape=(1, 4, 5), pixel_nm=80.0))
    assert arrays.namespace(image) is arrays.namespace(empty.photons)
    assert tuple(image.shape) == (1, 4, 5)
    assert not arrays.to_numpy(image).any()


class OutOfMemoryError(RuntimeError):
    """Named as CuPy's and torch's are."""


def full_device(monkeypatch: pytest.MonkeyPatch, holds: int) -> list[int]:
    """A device that holds so many images; the sizes of the batches that were tried."""
    tried: list[int] = []
    fill = images._fill

    def limited(out: Any, scope: Any, batch: Any, grid: Any) -> None:
        tried.append(len(batch))
        if len(batch) > holds:
            raise OutOfMemoryError("out of memory")
        fill(out, scope, batch, grid)

    monkeypatch.setattr(images, "_fill", limited)
    return tried


def test_a_full_device_takes_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    scope, grid = SCOPES[1], Grid(shape=(1, 24, 31), pixel_nm=80.0)
    sets = [moved(some(5, seed), as_strict) for seed in range(7)]
    whole = arrays.to_numpy(scope.image_many(sets, grid))
    tried = full_device(monkeypatch, holds=2)
    np.testing.assert_allclose(arrays.to_numpy(scope.image_many(sets, grid)), whole, atol=1e-6 * whole.max())
    assert tried == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_a_device_too_small_for_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    full_device(monkeypatch, holds=0)
    with pytest.raises(MishapeError, match=r"^the device ran out of memory over one image of \(1, 24, 31\) pixels"):
        SCOPES[1].image(moved(some(5), as_strict), Grid(shape=(1, 24, 31), pixel_nm=80.0))


def test_other_errors_of_a_device_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("device lost")

    monkeypatch.setattr(images, "_fill", fails)
    with pytest.raises(RuntimeError, match=r"^device lost$"):
        SCOPES[1].image(some(5), Grid(shape=(1, 24, 31), pixel_nm=80.0))


# ---- derivatives -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scope", SCOPES, ids=NAMES)
def test_derivatives_by_torch(scope: PSFMicroscope) -> None:
    """With respect to x, y, z and photons, against central differences: 1e-5 of the largest derivative.

    Differences over 2e-3 nm are exact to 1e-8 here but where an emitter crosses one of the places, some 4 nm apart,
    between which v_k(z) is linear: none does.
    """
    torch = pytest.importorskip("torch", reason="pip install 'mishape[learn]'")
    grid, emitters = Grid(shape=(2, 24, 31), pixel_nm=PIXEL_NM[scope], z_step_nm=250.0), some(20)
    rng = np.random.default_rng(5)
    weights = torch.asarray(rng.normal(size=grid.shape))

    def loss(xyz: Any, photons: Any) -> Any:
        return (scope.image(Emitters(xyz, photons), grid) * weights).sum()

    xyz, photons = (torch.asarray(a).requires_grad_() for a in (emitters.xyz_nm, emitters.photons))
    loss(xyz, photons).backward()
    for given_array, gradient, step in ((emitters.xyz_nm, xyz.grad, 1e-3), (emitters.photons, photons.grad, 1e-3)):
        for _ in range(3):
            way = rng.normal(size=given_array.shape) * (rng.random(given_array.shape[-1]) < 0.7)
            ends = (given_array + sign * step * way for sign in (1, -1))
            if given_array is emitters.photons:
                values = [float(loss(xyz.detach(), torch.asarray(end))) for end in ends]
            else:
                values = [float(loss(torch.asarray(end), photons.detach())) for end in ends]
            found = float((gradient * torch.asarray(way)).sum())
            scale = float(gradient.abs().max())
            assert found == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-5 * scale)


# ---- parts -----------------------------------------------------------------------------------------------------------
@quick
@given(
    sizes=st.tuples(st.integers(1, 30), st.integers(1, 6), st.integers(1, 4), st.integers(1, 40)),
    seed=st.integers(0, 10**6),
)
def test_all_forms_of_spread(sizes: tuple[int, int, int, int], seed: int) -> None:
    """The sparse form, torch's and the sorted one give what a plain loop gives: 1e-12 of the largest."""
    items, touched, kinds, cells = sizes
    rng = np.random.default_rng(seed)
    index = rng.integers(0, cells, (items, touched))
    weights, values = rng.uniform(size=(items, touched)), rng.normal(size=(items, kinds))
    expected = np.zeros((cells, kinds))
    np.add.at(expected, index, weights[:, :, None] * values[:, None, :])
    for convert in (np.asarray, as_strict, as_torch):
        found = arrays.spread(*(convert(a) for a in (index, weights, values)), cells)
        # Differences of running sums: the error is that of the sum over all items.
        np.testing.assert_allclose(arrays.to_numpy(found), expected, atol=1e-12 * (1 + np.abs(values).sum()))


@quick
@given(position=st.lists(st.floats(-300, 300), min_size=1, max_size=20))
def test_window_weights(position: list[float]) -> None:
    """The grid points within half a width, and the Kaiser-Bessel window's values there, to 2e-6; strict agrees."""
    x, width, beta = np.array(position), WINDOW.width, WINDOW.beta
    first, weights = WINDOW.weights(x, x)
    distance = first[:, None] + np.arange(width) - x[:, None]
    assert (np.abs(distance) <= width / 2 + 1e-9).all()
    inside = np.clip(1 - (2 * distance / width) ** 2, 0, None)
    np.testing.assert_allclose(weights, i0(beta * np.sqrt(inside)) / i0(beta), atol=2e-6)
    strict_first, strict_weights = WINDOW.weights(as_strict(x), as_strict(x))
    np.testing.assert_array_equal(np.from_dlpack(strict_first), first)
    np.testing.assert_allclose(np.from_dlpack(strict_weights), weights, atol=1e-14)


@quick
@given(position=st.floats(10, 38))
def test_a_spread_point_keeps_its_spectrum(position: float) -> None:
    """Up to the band limit, the spread point's DFT over the window's spectrum is exp(-2 pi i f x).

    Expected error: the first alias, W(1 - f) / W(f), 1.5 % at the limit, where an OTF is at its weakest, and 1e-3
    below 0.3 cycles, where the window's cut edge, 1 / I_0(beta) = 3e-4 high, is all that is left.
    """
    size = 48
    first, weights = WINDOW.weights(np.array([position]), np.zeros(1))
    line = np.zeros(size)
    line[int(first[0]) : int(first[0]) + WINDOW.width] = weights[0]
    frequency = np.fft.rfftfreq(size)
    found = np.fft.rfft(line) / WINDOW.spectrum(frequency)
    error = np.abs(found - np.exp(-2j * np.pi * frequency * position))
    assert error[frequency <= WINDOW.band_limit].max() < 1.5e-2
    assert error[frequency <= 0.3].max() < 1e-3


@libraries
def test_transforms_invert_each_other(convert: Convert) -> None:
    """Along columns and rows, padded to a length."""
    maps = np.random.default_rng(0).normal(size=(2, 6, 9))
    spectra = arrays.fft_rows(arrays.rfft_columns(convert(maps), 12), 8)
    back = arrays.irfft_columns(arrays.ifft_rows(spectra), 12)
    np.testing.assert_allclose(arrays.to_numpy(back)[:, :6, :9], maps, atol=1e-12)
    np.testing.assert_allclose(arrays.to_numpy(spectra), np.fft.rfft2(maps, (8, 12)), atol=1e-12)


@pytest.mark.parametrize("pixel_nm", [80.0, 150.0, 260.0, 400.0])
@pytest.mark.parametrize("shape", [(1, 1, 20), (2, 33, 20)])
def test_the_two_ways_to_transform_agree(shape: tuple[int, int, int], pixel_nm: float) -> None:
    """Fourier transforms (strict's arrays) and matrix products (numpy's), up to frequencies that pixels alias."""
    grid = Grid(shape, pixel_nm, planes_nm=(-100.0, 300.0)[: shape[0]])
    for scope in SCOPES[1:]:
        expected = scope.image(some(30), grid)
        images._operators.clear()
        found = arrays.to_numpy(scope.image(moved(some(30), as_strict), grid))
        ways = [operator.grids for operator in images._operators._values.values()]
        assert all(isinstance(grids, FFTGrids) for grids in ways)
        if pixel_nm > 200:
            assert all(grids.rows.finer > 1 and 2 * grids.rows.band + 1 > grids.rows.period for grids in ways)
        assert np.abs(found - expected).max() < 1e-5 * expected.max()


@quick
@given(pixel_nm=st.floats(60, 250), seed=st.integers(0, 10**6), lower=st.booleans())
def test_transfer_functions_read_by_rows(pixel_nm: float, seed: int, lower: bool) -> None:
    """On a device some rows at a time, from any row on: as if at once, to 1e-12 of the largest."""
    rng = np.random.default_rng(seed)
    axis = for_fft(axis_of(20, pixel_nm, 2, 900.0, 0.0, 3e-3, WINDOW), 3e-3)
    grids = FFTGrids(axis, axis, WINDOW)
    rows, columns = axis.band + 1, axis.band // 2
    upper = strict.asarray(rng.normal(size=(2, rows, columns)))
    below = strict.asarray(rng.normal(size=(2, rows - 1, columns))) if lower else None
    terms = strict.asarray(rng.normal(size=(1, 2, axis.points, axis.band + 1)) + 0j)
    whole, parts = (grids.dark(1, 1, strict.asarray(np.ones(1))) for _ in range(2))
    grids.add(whole[:, 0, ...], (upper, below), terms, 0)
    for start in range(0, rows, 7):
        stop = min(start + 7, rows)
        part = below[:, rows - stop : rows - max(start, 1), :] if below is not None else None
        grids.add(parts[:, 0, ...], (upper[:, start:stop, :], part), terms, start)
    assert np.abs(arrays.to_numpy(whole)).max() > 1
    np.testing.assert_allclose(arrays.to_numpy(parts), arrays.to_numpy(whole), atol=1e-12)
