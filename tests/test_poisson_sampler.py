"""The samplers of noise against the exact laws, on every code path: host, compiled (where numba is), device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtri, pdtr, pdtrc

from mishape.engine import poisson as sampler
from mishape.engine.device_noise import DeviceDraws
from mishape.engine.fast import SWITCH, code_path
from mishape.engine.gaussian import box_muller, gaussian
from mishape.engine.poisson import brackets, poisson

Draw = Callable[[NDArray[Any]], NDArray[Any]]
MEANS = [0.01, 0.1, 0.5, 1, 2, 2.5, 3, 9.9, 10, 10.1, 30, 100, 255.5, 1e3, 1e4, 65536, 1e5]
"""Whole numbers and others, and both sides of each place where a sampler changes its way."""
COUNT = 200_000


@pytest.fixture(params=["core", "fast", "strict", "torch"])
def draw(request: pytest.FixtureRequest, use_path: Callable[[str], None]) -> Draw:
    """Return what draws a Poisson deviate for each of N means: on both code paths, and on two libraries' devices."""
    if request.param in ("core", "fast"):
        use_path(request.param)
        return lambda means: poisson(means, rng())
    library: Any = array_api_strict if request.param == "strict" else pytest.importorskip("torch")

    def on_device(means: NDArray[Any]) -> NDArray[Any]:
        given = library.asarray(means)[None, :]
        return np.asarray(DeviceDraws([rng()], given).poisson(given, math.inf))[0]

    return on_device


def rng(seed: int = 11) -> np.random.Generator:
    return np.random.default_rng(seed)


def assert_poisson(counts: NDArray[Any], mean: float) -> None:
    """Chi-square in bins of at least 20 expected counts, tails included; mean and variance within 4 standard errors."""
    law, size = stats.poisson(mean), counts.size
    edges = np.unique(law.ppf(np.linspace(0, 1, 41)[1:-1]))
    edges = np.unique([law.ppf(30 / size), *edges, law.isf(30 / size)])  # the last of each bin
    expected = np.diff([0, *law.cdf(edges), 1]) * size
    while expected[-1] < 20:
        edges, expected = edges[:-1], np.append(expected[:-2], expected[-2:].sum())
    observed = np.histogram(counts, [-1, *edges + 0.5, np.inf])[0]
    assert expected.min() >= 20
    if len(expected) > 1:
        assert 1e-4 < stats.chisquare(observed, expected).pvalue < 1 - 1e-4
    assert counts.mean() == pytest.approx(mean, abs=4 * math.sqrt(mean / size))
    error = math.sqrt((mean + 2 * mean**2) / size)  # of the variance: (mu_4 - sigma**4) / size, mu_4 = mean + 3 mean**2
    assert counts.var() == pytest.approx(mean, abs=4 * error)


@pytest.mark.parametrize("mean", MEANS)
def test_poisson_law(draw: Draw, mean: float) -> None:
    counts = draw(np.full(COUNT, float(mean)))
    assert np.array_equal(counts, np.floor(counts))
    assert counts.min() >= 0
    assert_poisson(counts, mean)


@pytest.mark.parametrize("mean", [3.0, 30.0, 1000.0])
def test_tails_beyond_four_sigma(each_path: str, mean: float) -> None:
    """Against the exact survival function, not the normal one: within 4 standard errors of the number drawn there."""
    size, law, sigma = 3_000_000, stats.poisson(mean), math.sqrt(mean)
    counts = poisson(np.full(size, mean, dtype=np.float32), rng())
    for found, chance in (
        ((counts > mean + 4 * sigma).sum(), law.sf(mean + 4 * sigma)),
        ((counts < mean - 3 * sigma).sum(), law.cdf(np.ceil(mean - 3 * sigma) - 1)),
    ):
        assert found == pytest.approx(size * chance, abs=4 * math.sqrt(size * chance) + 1)


@pytest.mark.parametrize("mean", [2e6, 1e9, 1e15])
def test_huge_means(draw: Draw, mean: float) -> None:
    z = (draw(np.full(100_000, mean)) - mean) / math.sqrt(mean)
    assert z.mean() == pytest.approx(0, abs=4 / math.sqrt(z.size))
    assert z.var() == pytest.approx(1, abs=4 * math.sqrt(2 / z.size))
    assert stats.kstest(z, "norm").pvalue > 1e-4


def test_all_means_side_by_side(draw: Draw) -> None:
    """Each mean keeps its law and its place among others that are drawn in other ways; no light is no count."""
    means = [0.0, *MEANS, 1e9]
    counts = draw(np.tile(means, 20_000)).reshape(-1, len(means))
    assert np.all(counts[:, 0] == 0)
    for column, mean in enumerate(MEANS, 1):
        assert_poisson(counts[:, column], mean)
    correlation = np.corrcoef(counts[:, 1:].T)
    assert np.abs(correlation - np.eye(len(correlation))).max() < 5 / math.sqrt(len(counts))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_follow_from_seed_and_values_alone(each_path: str, dtype: Any) -> None:
    means = rng(1).uniform(0, 300, (3, 111, 99)).astype(dtype)
    first = poisson(means, rng())
    assert first.dtype == dtype
    for same in (poisson(means, rng()), poisson(means.ravel(), rng()).reshape(means.shape)):
        assert first.tobytes() == same.tobytes()
    assert first.tobytes() == poisson(np.asfortranarray(means), rng()).tobytes()
    assert np.mean(first != poisson(means, rng(12))) > 0.9


@pytest.mark.parametrize("shape", [(0,), (1,), (2, 1), (1, 1, sampler.BLOCK + 1)])
def test_any_shape(each_path: str, shape: tuple[int, ...]) -> None:
    assert poisson(np.full(shape, 100.0), rng()).shape == shape


@pytest.mark.parametrize("mean", [2.0, 2.7, 4.0, 7.3, 15.1, 20.7, 43.6, 100.0, 999.5, 1e4, 1e5])
def test_expansion_is_within_its_slack(mean: float) -> None:
    """At every level where the quantile steps, up to 9 sigma, both neighbours of the step are among the candidates."""
    k = np.floor(np.arange(max(0, mean - 10 * math.sqrt(mean)), mean + 13 * math.sqrt(mean) + 30))
    below, above = pdtr(k, mean), pdtrc(k, mean)
    w = np.where(below < 0.5, ndtri(below), -ndtri(above))
    near = np.abs(w) < 9
    low, high = brackets(w[near], np.full(near.sum(), mean))
    assert np.all(low <= k[near])
    assert np.all(high >= k[near] + 1)


@pytest.mark.parametrize("mean", [2.0, 10.0, 300.25, 65536.0])
def test_single_precision_brackets_the_exact_quantile(mean: float) -> None:
    """The quick candidates hold the quantile that the same uniform numbers give in double precision."""
    uniform = rng().random((2, 50_000))
    exact = stats.poisson.ppf(stats.norm.cdf(box_muller(uniform).ravel()), mean)
    low, high = brackets(box_muller(uniform, single=True).ravel(), np.full(exact.size, mean, np.float32))
    assert np.all((np.maximum(low, 0) <= exact) & (exact <= high))
    assert np.mean(low != high) < 0.12


@pytest.mark.parametrize("mean", [5.0, 120.0, 5000.0])
def test_core_deviates_are_the_quantiles(mean: float, use_path: Callable[[str], None]) -> None:
    use_path("core")
    counts = poisson(np.full(2 * 8000, mean), rng())
    level = stats.norm.cdf(box_muller(rng().random((2, 8000))).ravel())
    np.testing.assert_array_equal(counts, stats.poisson.ppf(level, mean))


def normals(path: str) -> NDArray[Any]:
    if path == "core":
        return gaussian(1_000_001, rng())
    from mishape.engine.compiled_noise import digitize

    zero, one = np.zeros((1000, 1000)), np.ones((1000, 1000))
    return (digitize(zero[None], one, 4000 * one, 32768 + zero, 65535, rng()).ravel() - 32768.0) / 4000


def test_normal_law(each_path: str) -> None:
    z = normals(each_path)
    edges = stats.norm.ppf(np.concatenate([[3e-5, 3e-4], np.linspace(0.005, 0.995, 199), [1 - 3e-4, 1 - 3e-5]]))
    edges = np.round(edges * 4000 + 0.5) / 4000 - 0.5 / 4000  # between the levels of the compiled path's converter
    observed = np.histogram(z, [-np.inf, *edges, np.inf])[0]
    expected = np.diff([0, *stats.norm.cdf(edges), 1]) * z.size
    assert 1e-4 < stats.chisquare(observed, expected).pvalue < 1 - 1e-4
    assert 4.4 < np.abs(z).max() < 6
    assert z.mean() == pytest.approx(0, abs=4e-3)
    assert z.var() == pytest.approx(1, abs=4 * math.sqrt(2 / z.size))
    assert stats.kurtosis(z) == pytest.approx(0, abs=4 * math.sqrt(24 / z.size))
    assert np.corrcoef(z[1:], z[:-1])[0, 1] == pytest.approx(0, abs=4e-3)


def test_device_normals_and_words() -> None:
    draws = DeviceDraws([rng()], np.empty(0))
    z = draws._normal(1, 300_001)
    assert stats.kstest(z, "norm").pvalue > 1e-4
    uniform = draws._uniform(1, 300_000)[0]
    assert stats.kstest(uniform, "uniform").pvalue > 1e-4
    assert uniform.min() >= 0
    assert uniform.max() < 1


def test_words_are_those_of_splitmix64() -> None:
    """The generator's published first words for the seed 1234567 (Vigna's splitmix64.c)."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    expected = [(word >> 11) * 2.0**-53 for word in published]
    draws = DeviceDraws([rng()], np.empty(0))
    draws._next = np.array([[1234567]])
    assert draws._uniform(1, 3)[0].tolist() == expected
    pytest.importorskip("numba")
    from mishape.engine import compiled_noise

    step = 0x9E3779B97F4A7C15
    places = [np.uint64((1234567 + number * step) % 2**64) for number in (1, 2, 3)]
    assert [compiled_noise._uniform(place) for place in places] == expected


def test_path_is_chosen_by_the_variable(monkeypatch: pytest.MonkeyPatch, use_path: Callable[[str], None]) -> None:
    from mishape.engine.errors import MishapeError

    def chosen(wish: str) -> str:
        monkeypatch.setenv(SWITCH, wish)
        code_path.cache_clear()
        return code_path()

    use_path("core")
    assert chosen("0") == "core"
    with pytest.raises(MishapeError, match=r"^MISHAPE_FAST is 'yes': set it to 0 \(core\) or 1 \(fast\), or leave it"):
        chosen("yes")
    monkeypatch.setattr("mishape.engine.fast.find_spec", lambda name: None)
    assert chosen("") == "core"
    with pytest.raises(MishapeError, match=r"^MISHAPE_FAST is 1, but numba is not installed: pip install 'mishape\[fa"):
        chosen("1")
    monkeypatch.setattr("mishape.engine.fast.find_spec", lambda name: name)
    assert chosen("") == "fast"


def test_a_broken_numba_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from mishape.engine.errors import MishapeError
    from mishape.engine.fast import compiled

    monkeypatch.setitem(__import__("sys").modules, "numba", None)
    with pytest.raises(MishapeError, match=r"^numba is installed but cannot be imported \(.*\): install another"):
        compiled(lambda: None)
