"""The detectors' arithmetic as compiled loops over pixels (the extra `fast`): imported only where that path is chosen.

Each call has a generator of its own, SplitMix64 (Steele, Lea and Flood 2014, OOPSLA), keyed by the generator given: its
state is a counter, so that no word waits for the one before.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.fast import compiled
from mishape.engine.poisson import in_double

SEARCH_BELOW, MOST = 2.5, 1e6
"""Means below the first are drawn by adding up the distribution; above the second, without numba."""
BLOCK = 2048
"""Values worked on at once, for the processor's nearest cache. The bytes drawn by a seed do not depend on it."""
LAYERS = 256
"""Layers of equal area under the normal density."""
SLACK = 0.0104
"""That of `mishape.engine.poisson`, here because compiled code is kept for as long as this file stays the same."""
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11, _LAYER = (np.uint64(number) for number in (30, 27, 31, 11, LAYERS - 1))

Means = NDArray[np.floating[Any]]
Values = NDArray[np.float64]


def _layers() -> tuple[Values, Values]:
    """Return the right ends of the layers from the lowest on, and the density there (Marsaglia and Tsang 2000).

    The lowest layer's end is that of a rectangle of its area, which includes the tail.
    """
    tail = 3.6541528853610088  # where 256 layers close at the density's peak
    area = tail * math.exp(-(tail**2) / 2) + math.sqrt(math.pi / 2) * math.erfc(tail / math.sqrt(2))
    ends = [area / math.exp(-(tail**2) / 2), tail]
    while len(ends) < LAYERS:
        ends.append(math.sqrt(-2 * math.log(area / ends[-1] + math.exp(-(ends[-1] ** 2) / 2))))
    right = np.array([*ends, 0.0])
    return right, np.exp(-(right**2) / 2)


_RIGHT, _HEIGHT = _layers()
_INSIDE = _RIGHT[1:] / _RIGHT[:-1]
_TAIL = float(_RIGHT[1])


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
def _normal(counter: Any) -> Any:
    """Return a standard normal deviate and the counter after it (the ziggurat method of Marsaglia and Tsang 2000)."""
    while True:
        counter += _STEP
        bits = _word(counter)
        layer = int(bits & _LAYER)
        place = float(np.int64(bits) >> 11) * 2.0**-52  # from -1 to 1
        x = place * _RIGHT[layer]
        if abs(place) < _INSIDE[layer]:
            return x, counter
        counter += _STEP
        if layer == 0:
            beyond = -math.log(1 - _uniform(counter)) / _TAIL
            counter += _STEP
            if -2 * math.log(1 - _uniform(counter)) > beyond * beyond:
                return math.copysign(_TAIL + beyond, x), counter
        elif _HEIGHT[layer] + _uniform(counter) * (_HEIGHT[layer + 1] - _HEIGHT[layer]) < math.exp(-x * x / 2):
            return x, counter


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
    """Fill in what the quantiles can be: as `mishape.engine.poisson.brackets`, in float64."""
    for i in range(means.size):
        mean = float(means[i])
        root = math.sqrt(mean)
        inverse = 1 / root
        slope = inverse / 72
        raised = w[i] * w[i] + 2
        value = mean + w[i] * (root - raised * slope) + raised / 6
        slack = raised * raised * SLACK * (inverse * inverse) + 1e-15 * mean
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
    """Fill in Poisson deviates of means up to `MOST`. The second of three loops runs without branches."""
    w, low, high = np.zeros(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, means.size, BLOCK):
        mean = means[start : start + BLOCK]
        for i in range(mean.size):
            if SEARCH_BELOW <= mean[i] <= MOST:
                w[i], counter = _normal(counter)
        _bracket(w, mean, low, high)
        for i in range(mean.size):
            if mean[i] < SEARCH_BELOW:
                counter += _STEP
                low[i] = _by_search(_uniform(counter), float(mean[i]))
            elif low[i] != high[i] and mean[i] <= MOST:
                low[i] = _quantile(w[i], float(mean[i]), low[i], high[i])
            counts[start + i] = low[i]


@compiled
def _fill_counts(levels: Any, noise: Any, scale: Any, offset: Any, top: Any, counts: Any, counter: Any) -> None:
    w = np.empty(BLOCK)
    for plane in range(levels.shape[0]):
        for start in range(0, levels.shape[1], BLOCK):
            stop = min(start + BLOCK, levels.shape[1])
            for i in range(stop - start):
                w[i], counter = _normal(counter)
            for i in range(start, stop):
                read = (float(levels[plane, i]) + noise[i] * w[i - start]) * scale[i] + offset[i]
                counts[plane, i] = np.uint16(min(max(np.rint(read), 0.0), top))


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
