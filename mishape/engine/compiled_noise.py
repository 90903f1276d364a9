"""The detectors' arithmetic as compiled loops over pixels (the extra `fast`): imported only where that path is chosen.

Each call has a generator of its own, SplitMix64 (Steele, Lea and Flood 2014, OOPSLA), keyed by the generator given: its
state is a counter, so that no word waits for the one before. Loops that have no branches run on several pixels at once;
so logarithm, sine and cosine are polynomials here, in float32, and what they cannot decide is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.fast import compiled
from mishape.engine.poisson import in_double

SEARCH_BELOW, MOST = 2.5, 2.0**16
"""Means below the first are drawn term by term; above the second, where float32 ends, without numba."""
PAIRS = 1024
"""Pairs of normal deviates made at once. The bytes drawn by a seed belong to this number."""
SLACK = 0.0104
"""That of `mishape.engine.poisson`, here because compiled code is kept for as long as this file stays the same."""
ROUNDING = 5 * float(np.finfo(np.float32).eps)
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11, _ONE = (np.uint64(number) for number in (30, 27, 31, 11, 1))
_FRACTION, _HALF = np.int64(2**52 - 1), np.int64(1022 << 52)
"""The bits of a float64's fraction, and those of the exponent of numbers from 1/2 to 1."""

Means = NDArray[np.floating[Any]]


def _polynomial(function: Callable[[Any], Any], degree: int, low: float, high: float) -> tuple[np.float32, ...]:
    """Return the coefficients, from the highest down, of a polynomial that is a function within float32's rounding."""
    made = Chebyshev.interpolate(function, degree, domain=[low, high]).convert(kind=Polynomial)
    return tuple(np.float32(coefficient) for coefficient in made.coef[::-1])


_LOG = _polynomial(lambda f: np.log1p(f) / f, 8, math.sqrt(0.5) - 1, math.sqrt(2) - 1)
"""ln(1 + f) / f."""
_SIN = _polynomial(lambda t: np.sin(np.pi * np.sqrt(t)) / np.sqrt(t), 6, 0, 1)
_COS = _polynomial(lambda t: np.cos(np.pi * np.sqrt(t)), 6, 0, 1)
"""sin(pi x) / x and cos(pi x) as functions of x**2."""
_LN2, _MINUS_2 = np.float32(math.log(2)), np.float32(-2)


def key_of(rng: Generator) -> np.uint64:
    """Return the start of a stream of its own."""
    return rng.integers(0, 2**64, dtype=np.uint64)


@compiled
def _word(counter: Any) -> Any:
    """Return the 64 random bits of a place in the stream."""
    bits = (counter ^ (counter >> _30)) * _FIRST
    bits = (bits ^ (bits >> _27)) * _SECOND
    return bits ^ (bits >> _31)


@compiled
def _uniform(counter: Any) -> Any:
    """Return a multiple of 2**-53 in [0, 1)."""
    return float(_word(counter) >> _11) * 2.0**-53


@compiled
def _of_degree_6(c: Any, x: Any) -> Any:
    """Return a polynomial, or the first terms of one by Horner's rule: written out, so that loops hold no loop."""
    return (((((c[0] * x + c[1]) * x + c[2]) * x + c[3]) * x + c[4]) * x + c[5]) * x + c[6]


@compiled
def _normals(counter: Any, words: Any, parts: Any, w: Any) -> None:
    """Fill in pairs of normal deviates, w[:, i] from words[:, i], as `mishape.engine.gaussian.box_muller`.

    The radius' logarithm is taken apart into a power of 2 and a number near 1, by the bits of float64.
    """
    bits = parts.view(np.int64)
    for i in range(PAIRS):
        counter += _STEP
        words[0, i] = _word(counter)
        counter += _STEP
        words[1, i] = _word(counter)
    for i in range(PAIRS):
        parts[0, i] = float((words[0, i] >> _11) + _ONE)
    for i in range(PAIRS):
        parts[1, i] = float(bits[0, i] >> 52) - (1022 + 53)
        bits[0, i] = (bits[0, i] & _FRACTION) | _HALF
    for i in range(PAIRS):
        low = parts[0, i] < math.sqrt(0.5)
        f = np.float32((2 * parts[0, i] if low else parts[0, i]) - 1)
        power = np.float32(parts[1, i] - 1 if low else parts[1, i])
        radius = math.sqrt(_MINUS_2 * (power * _LN2 + f * ((_of_degree_6(_LOG, f) * f + _LOG[7]) * f + _LOG[8])))
        x = np.float32(float(np.int64(words[1, i]) >> 11) * 2.0**-52)  # from -1 to 1
        w[0, i] = radius * _of_degree_6(_COS, x * x)
        w[1, i] = radius * (x * _of_degree_6(_SIN, x * x))


@compiled
def _normal(first: Any, second: Any, sine: Any) -> Any:
    """Return one of the two normal deviates of a pair of words in float64."""
    radius = math.sqrt(-2 * math.log(float((first >> _11) + _ONE) * 2.0**-53))
    angle = math.pi * (float(np.int64(second) >> 11) * 2.0**-52)
    return radius * (math.sin(angle) if sine else math.cos(angle))


@compiled
def _term(k: Any, mean: Any) -> Any:
    """Return the Poisson probability of k."""
    return math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))


@compiled
def _below(k: Any, w: Any, mean: Any) -> Any:
    """Return whether the Poisson quantile at the level Phi(w) is above k: compared in the nearer tail."""
    total = 0.0
    if w < 0:
        term = _term(k, mean)
        while k >= 0 and term > 1e-17 * total:
            total += term
            term *= k / mean
            k -= 1
        return total <= math.erfc(-w / math.sqrt(2)) / 2
    k += 1
    term = _term(k, mean)
    while term > 1e-17 * total:
        total += term
        k += 1
        term *= mean / k
    return total >= math.erfc(w / math.sqrt(2)) / 2


@compiled
def _bracket(w: Any, means: Any, low: Any, high: Any) -> None:
    """Fill in what the quantiles can be, as `mishape.engine.poisson.brackets` for float32."""
    for i in range(means.size):
        mean, level = float(means[i]), float(w[i])
        root = math.sqrt(mean)
        inverse = 1 / root
        raised = level * level + 2
        value = mean + level * (root - raised * inverse * (1 / 72)) + raised * (1 / 6)
        slack = raised * raised * SLACK * (inverse * inverse) + ROUNDING * mean
        low[i] = np.floor(value - slack)
        high[i] = np.floor(value + slack)


@compiled
def _quantile(w: Any, mean: Any, low: Any, high: Any) -> Any:
    """Return the Poisson quantile at the level Phi(w), which is one of the whole numbers from low to high."""
    low = max(low, 0.0)
    while low < high and _below(low, w, mean):
        low += 1
    return low


@compiled
def _by_search(level: Any, mean: Any) -> Any:
    """Return the Poisson quantile at a level below 1, term by term."""
    k, term = 0.0, math.exp(-mean)
    level *= 1 - 1e-14  # the sum of all terms may end that much below 1
    while level >= term:
        level -= term
        k += 1
        term *= mean / k
    return k


@compiled
def _fill_poisson(means: Any, counts: Any, counter: Any) -> None:
    """Fill in Poisson deviates of means up to `MOST`."""
    words, parts = np.empty((2, PAIRS), np.uint64), np.empty((2, PAIRS))
    w, low, high = np.empty((2, PAIRS), np.float32), np.empty(2 * PAIRS), np.empty(2 * PAIRS)
    levels = w.reshape(-1)
    for start in range(0, means.size, 2 * PAIRS):
        mean = means[start : start + 2 * PAIRS]
        _normals(counter, words, parts, w)
        counter += np.uint64(2 * PAIRS) * _STEP
        _bracket(levels, mean, low, high)
        for i in range(mean.size):
            if mean[i] < SEARCH_BELOW:
                counter += _STEP
                low[i] = _by_search(_uniform(counter), float(mean[i]))
            elif low[i] != high[i] and mean[i] <= MOST:
                sine, pair = i >= PAIRS, i % PAIRS
                low[i] = _quantile(_normal(words[0, pair], words[1, pair], sine), float(mean[i]), low[i], high[i])
            counts[start + i] = low[i]


@compiled
def _fill_counts(levels: Any, noise: Any, scale: Any, offset: Any, top: Any, counts: Any, counter: Any) -> None:
    words, parts, w = np.empty((2, PAIRS), np.uint64), np.empty((2, PAIRS)), np.empty((2, PAIRS), np.float32)
    normal = w.reshape(-1)
    for plane in range(levels.shape[0]):
        for start in range(0, levels.shape[1], 2 * PAIRS):
            _normals(counter, words, parts, w)
            counter += np.uint64(2 * PAIRS) * _STEP
            for i in range(start, min(start + 2 * PAIRS, levels.shape[1])):
                read = (levels[plane, i] + noise[i] * normal[i - start]) * scale[i] + offset[i]
                counts[plane, i] = np.uint16(min(max(np.rint(float(read)), 0.0), top))


def poisson(means: Means, rng: Generator) -> Means:
    """Return a Poisson deviate for each mean, (N,), of its float type; as `mishape.engine.poisson.poisson`."""
    counts = np.empty_like(means)
    _fill_poisson(means, counts, key_of(rng))
    many = means > MOST
    if many.any():
        counts[many] = in_double(means[many], rng)
    return counts


def digitize(levels: Means, noise: Means, scale: Means, offset: Means, top: int, rng: Generator) -> NDArray[np.uint16]:
    """Return ``(levels + noise * normal) * scale + offset``, rounded and clipped to 0..top.

    Parameters
    ----------
    levels
        (Z, Y, X).
    noise, scale, offset
        (Y, X): standard deviation, counts per unit of the levels, and counts of the level 0.
    """
    counts = np.empty(levels.shape, dtype=np.uint16)
    flat = levels.reshape(len(levels), -1)
    sd, per_unit, dark = (np.ascontiguousarray(values).ravel() for values in (noise, scale, offset))
    _fill_counts(flat, sd, per_unit, dark, float(top), counts.reshape(flat.shape), key_of(rng))
    return counts
