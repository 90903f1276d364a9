"""Poisson deviates for images: the quantile function at a normal deviate's level, exact and without a table.

A normal deviate w stands for the level Phi(w), and the Poisson quantile at that level is a Poisson deviate. The
Cornish-Fisher expansion of the quantile in w (as in Giles 2016, ACM Trans. Math. Softw. 42:7) is off by less than a
known slack, which falls as 1 / mean. So its integer part is the quantile itself, unless a whole number lies within the
slack; only then, for about one pixel in a hundred, the two distribution functions are computed and compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.arrays import namespace
from mishape.engine.fast import code_path
from mishape.engine.gaussian import BLOCK, box_muller
from mishape.engine.types import Array

LEAST, MOST = 2.0, 2.0**16
"""Means between which the expansion in float32 serves: below, too many values would be near a whole number, and NumPy's
own sampler is as quick; above, float32 ends. (NumPy's spreads too widely above 1e14, so it is not used there.)"""

SLACK = 0.0104
"""Bounds the expansion's error, with a tenth to spare for the rounding of w. The number was found by comparison with
the distribution function at all whole numbers for means from 2 to 1e5 and |w| up to 9, as a test repeats."""

Means = NDArray[np.floating[Any]]
Values = NDArray[np.float64]


def poisson(expected: Means, rng: Generator) -> Means:
    """Draw a Poisson deviate for each mean.

    The same generator and values give the same bytes, in whatever shape the values come: they are drawn in the order of
    C, in blocks. That holds on each code path alone: the compiled one draws other bytes from the same distribution.

    Parameters
    ----------
    expected
        Means, 0 to 1e15, finite, float32 or float64, any shape.

    Returns
    -------
    Whole numbers of the shape and float type of `expected`; float32 rounds those above 2**24.
    """
    means = np.ravel(expected)
    if code_path() == "fast":
        from mishape.engine import compiled_noise

        return compiled_noise.poisson(means, rng).reshape(np.shape(expected))
    counts = np.empty_like(means)
    least, most = (means.min(), means.max()) if means.size else (0, 0)
    if most < LEAST:
        counts[:] = rng.poisson(means)
    elif least >= LEAST and most <= MOST:
        _expand(means, counts, rng)
    else:
        few, many = means < LEAST, means > MOST
        between = ~(few | many)
        drawn = np.empty(np.count_nonzero(between), dtype=means.dtype)
        _expand(means[between], drawn, rng)
        counts[between] = drawn
        counts[few] = rng.poisson(means[few])
        counts[many] = in_double(means[many], rng)
    return counts.reshape(np.shape(expected))


def in_double(means: Means, rng: Generator) -> Values:
    """Draw a Poisson deviate for each mean of (N,), all from `LEAST` on, wholly in float64."""
    levels = box_muller(rng.random((2, -(-means.size // 2)))).ravel()[: means.size]
    return _quantile(levels, means.astype(np.float64))


def _expand(means: Means, counts: Means, rng: Generator) -> None:
    """Draw by the expansion, in float32 and in blocks; then settle what it leaves open, in float64."""
    places, pairs = [np.empty(0, dtype=np.int64)], [np.empty((3, 0))]
    for start in range(0, means.size, BLOCK):
        mean = means[start : start + BLOCK].astype(np.float32, copy=False)
        half = -(-mean.size // 2)
        uniform = rng.random((2, half))
        low, high = brackets(box_muller(uniform, single=True).ravel()[: mean.size], mean)
        counts[start : start + BLOCK] = low
        unsure = np.flatnonzero(low != high)
        places.append(unsure + start)
        pairs.append(np.concatenate([uniform[:, unsure % half], [unsure < half]]))
    open_ones, (*uniforms, first) = np.concatenate(places), np.concatenate(pairs, axis=1)
    levels = np.asarray(np.where(first, *box_muller(np.stack(uniforms))), dtype=np.float64)
    counts[open_ones] = _quantile(levels, means[open_ones].astype(np.float64))


def brackets(w: Array, mean: Array) -> tuple[Array, Array]:
    """Return the least and the greatest whole number that the Poisson quantile at the level Phi(w) can be.

    The expansion is ``mean + sqrt(mean) * w + (w**2 + 2) / 6 - w * (w**2 + 2) / (72 * sqrt(mean))``; its error is less
    than ``SLACK * (w**2 + 2)**2 / mean``. To this come the rounding errors of the arrays' float type: those of w, at
    most 5e-6 in float32 and then times sqrt(mean), and those of the sum.

    Parameters
    ----------
    w, mean
        Arrays of one shape and float type; means from `LEAST`, and to `MOST` in float32.
    """
    xp = namespace(w, mean)
    raised = w * w
    raised += 2
    value = xp.sqrt(mean)
    bend = (1 / 72) / value
    bend *= raised
    value -= bend
    value *= w
    slack = raised * raised
    raised *= 1 / 6
    value += raised
    value += mean
    slack *= SLACK
    slack /= mean
    slack += 5 * float(xp.finfo(mean.dtype).eps) * mean
    return xp.floor(value - slack), xp.floor(value + slack)


def _quantile(w: Values, mean: Values) -> Values:
    """Return the Poisson quantile at the level Phi(w): the least k whose P(K <= k) is above it."""
    low: Values
    high: Values
    low, high = (np.maximum(bound, 0, dtype=np.float64) for bound in brackets(w, mean))
    left = np.flatnonzero(low < high)
    while left.size:
        left = left[_below(low[left], w[left], mean[left])]
        low[left] += 1
        left = left[low[left] < high[left]]
    return low


def _below(k: Values, w: Values, mean: Values) -> NDArray[np.bool_]:
    """Return whether the quantile at the level Phi(w) is above k; the nearer tail loses no digit."""
    from scipy.special import ndtr, pdtr, pdtrc

    lower = w < 0
    return np.asarray(np.where(lower, pdtr(k, mean) <= ndtr(w), pdtrc(k, mean) >= ndtr(-w)))
