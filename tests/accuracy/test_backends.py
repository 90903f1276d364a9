"""The array-API path: array-api-strict stands for CuPy and torch, and must give what numpy gives."""

from __future__ import annotations

from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from conftest import Accuracy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import i0

from mishape.engine import arrays, spreading
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.lowrank import BAND_LIMIT
from mishape.engine.spreading import WIDTH, axis_weights, window_beta, window_spectrum
from mishape.engine.types import Emitters, Grid

from . import NAMES, PIXEL_NM, SCOPES

BETA = window_beta(BAND_LIMIT)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def as_strict(emitters: Emitters, dtype: Any = strict.float64) -> Emitters:
    return Emitters(*(strict.asarray(a, dtype=dtype) for a in (emitters.xyz_nm, emitters.photons)))


@pytest.mark.parametrize("scope", SCOPES, ids=NAMES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(strict.float64, 1e-10), (strict.float32, 1e-5)])
def test_images_agree_with_numpy(scope: PSFMicroscope, dtype: Any, tolerance: float, accuracy: Accuracy) -> None:
    """Across backends expected photons agree to 1e-5 of the peak (the design's section 7); float64 far better."""
    rng = np.random.default_rng(17)
    emitters = Emitters(rng.uniform(-1, 1, (40, 3)) * [1300.0, 900, 400], rng.uniform(1, 1000, 40))
    grid = Grid(shape=(2, 24, 31), pixel_nm=PIXEL_NM[scope], z_step_nm=250.0)
    expected = scope.image(emitters, grid)
    image = scope.image(as_strict(emitters, dtype), grid)
    assert arrays.namespace(image) is strict
    assert image.shape == grid.shape
    error = np.abs(np.from_dlpack(image) - expected).max() / expected.max()
    case = NAMES[SCOPES.index(scope)] + (" float32" if dtype is strict.float32 else "")
    accuracy(21, "another array library's photons, of the peak", error, abs=tolerance, case=case)


def test_no_emitters_on_another_backend() -> None:
    empty = as_strict(Emitters(np.zeros((0, 3)), np.zeros(0)))
    image = SCOPES[0].image(empty, Grid(shape=(1, 4, 5), pixel_nm=80.0))
    assert arrays.namespace(image) is strict
    assert image.shape == (1, 4, 5)
    assert not np.from_dlpack(image).any()


@quick
@given(
    sizes=st.tuples(st.integers(1, 30), st.integers(1, 6), st.integers(1, 4), st.integers(1, 40)),
    seed=st.integers(0, 10**6),
)
def test_both_forms_of_spread(sizes: tuple[int, int, int, int], seed: int) -> None:
    """The sparse and the sorted form give what a plain loop gives: 1e-12 of the largest (sums in other orders)."""
    items, touched, kinds, cells = sizes
    rng = np.random.default_rng(seed)
    index = rng.integers(0, cells, (items, touched))
    weights, values = rng.uniform(size=(items, touched)), rng.normal(size=(items, kinds))
    expected = np.zeros((cells, kinds))
    np.add.at(expected, index, weights[:, :, None] * values[:, None, :])
    sparse = arrays.spread(index, weights, values, cells)
    ordered = arrays.spread(*(strict.asarray(a) for a in (index, weights, values)), cells)
    np.testing.assert_allclose(sparse, expected, atol=1e-12 * (1 + np.abs(expected).max()))
    # Differences of running sums: the error is that of the sum over all items.
    np.testing.assert_allclose(np.from_dlpack(ordered), expected, atol=1e-12 * (1 + np.abs(values).sum()))


@quick
@given(position=st.lists(st.floats(-300, 300), min_size=1, max_size=20), size=st.integers(WIDTH, 100))
def test_axis_weights(position: list[float], size: int) -> None:
    """Six neighbours, wrapped, none further than three; the weights are the Kaiser-Bessel window's; strict agrees."""
    x = np.array(position)
    index, weights = axis_weights(x, size, BETA)
    assert index.shape == weights.shape == (len(x), WIDTH)
    assert index.min() >= 0
    assert index.max() < size
    distance = (index - x[:, None] + size / 2) % size - size / 2
    near = np.abs(distance) <= WIDTH / 2 + 1e-9
    assert (near | (size == WIDTH)).all()
    inside = np.clip(1 - (2 * distance / WIDTH) ** 2, 0, None)
    np.testing.assert_allclose(weights, i0(BETA * np.sqrt(inside)) / i0(BETA), atol=1e-6)
    strict_index, strict_weights = axis_weights(strict.asarray(x), size, BETA)
    np.testing.assert_array_equal(np.from_dlpack(strict_index), index)
    np.testing.assert_allclose(np.from_dlpack(strict_weights), weights, rtol=1e-14)


@quick
@given(position=st.floats(-20, 80))
def test_a_spread_point_keeps_its_spectrum(position: float) -> None:
    """Up to the band limit, the spread point's DFT over the window's spectrum is exp(-2 pi i f x).

    Expected error: the first alias, W(1 - f) / W(f), 1.5 % at the limit, where an OTF is at its weakest, and 1e-3
    below 0.3 cycles, where the window's cut edge, 1 / I_0(beta) = 3e-4 high, is all that is left.
    """
    size = 48
    index, weights = axis_weights(np.array([position]), size, BETA)
    line = np.zeros(size)
    np.add.at(line, index[0], weights[0])
    frequency = np.fft.rfftfreq(size)
    found = np.fft.rfft(line) / window_spectrum(frequency, BETA)
    error = np.abs(found - np.exp(-2j * np.pi * frequency * position))
    assert error[frequency <= BAND_LIMIT].max() < 1.5e-2
    assert error[frequency <= 0.3].max() < 1e-3


def test_bessel_series() -> None:
    """Against scipy's I_0, 1e-12 relative, over the arguments of a window."""
    x = np.linspace(0, 20, 400)
    np.testing.assert_allclose(spreading._bessel_i0(x), i0(x), rtol=1e-12)


def test_transforms_invert_each_other() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 6, 9))
    for given_maps in (maps, strict.asarray(maps)):
        back = arrays.irfft2(arrays.rfft2(given_maps), 9)
        assert arrays.namespace(back) is arrays.namespace(given_maps)
        np.testing.assert_allclose(arrays.to_numpy(back), maps, atol=1e-12)
