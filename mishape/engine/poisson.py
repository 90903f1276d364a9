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
"""Means between which the expansion serves: below, too many values would be near a whole number; above, float32 ends
(NumPy's own sampler is used there, and is as quick)."""

Values = NDArray[np.float64]


def poisson(expected: NDArray[np.floating[Any]], rng: Generator) -> Values:
    """Draw a Poisson deviate for each mean.

    The same generator and values give the same bytes, in whatever shape the values come: they are drawn in the order of
    C, in blocks. That holds on each code path alone: the compiled one draws other bytes from the same distribution.

    Parameters
    ----------
    expected
        Means, 0 to 1e15, finite, float32 or float64, any shape.

    Returns
    -------
    Whole numbers as float64, which holds them exactly, of the shape of `expected`.
    """
    means = np.ravel(expected)
    if code_path() == "fast":
        from mishape.engine import compiled_noise

        return compiled_noise.poisson(means.astype(np.float64, copy=False), rng).reshape(np.shape(expected))
    counts = np.empty(means.size)
    if means.size and means.min() >= LEAST and means.max() <= MOST:
        _expand(means, counts, rng)
    else:
        between = (means >= LEAST) & (means <= MOST)
        counts[~between] = rng.poisson(means[~between])
        drawn = np.empty(np.count_nonzero(between))
        _expand(means[between], drawn, rng)
        counts[between] = drawn
    return counts.reshape(np.shape(expected))


def _expand(means: NDArray[np.floating[Any]], counts: Values, rng: Generator) -> None:
    """Draw by the expansion, in float32 and in blocks; then settle what it leaves open, in float64."""
    open_places, open_levels = [], []
    for start in range(0, means.size, BLOCK):
        mean = means[start : start + BLOCK].astype(np.float32)
        pairs = -(-mean.size // 2)
        uniform = rng.random((2, pairs))
        low, high = brackets(box_muller(uniform, single=True).ravel()[: mean.size], mean)
        counts[start : start + BLOCK] = low
        unsure = np.flatnonzero(low != high)
        both = box_muller(uniform[:, unsure % pairs])
        open_places.append(unsure + start)
        open_levels.append(np.where(unsure < pairs, *both))
    if open_places:
        places = np.concatenate(open_places)
        counts[places] = _quantile(np.concatenate(open_levels), means[places].astype(np.float64))


def brackets(w: Array, mean: Array) -> tuple[Array, Array]:
    """Return the least and the greatest whole number that the Poisson quantile at the level Phi(w) can be.

    The expansion is ``mean + 1/3 + w**2 / 6 + sqrt(mean) * w - (w**3 + 2 * w) / (72 * sqrt(mean))``. Its error is below
    1.5 / mean times Giles' ``1/40 + w**2 / 80 + w**4 / 160``: the factor, found by comparison with the distribution
    function, holds for means from 2 and |w| up to 9. To this come the rounding errors of the arrays' float type.

    Parameters
    ----------
    w, mean
        Arrays of one shape and float type; means from `LEAST`, and to `MOST` in float32.
    """
    xp = namespace(w, mean)
    value = xp.sqrt(mean)
    slope = (1 / 72) / value
    bend = w * slope
    bend -= 1 / 6
    bend *= w
    slope *= 2
    value -= slope
    value -= bend
    value *= w
    value += mean
    value += 1 / 3
    square = w * w
    slack = square * (1.5 / 160)
    slack += 3 / 160
    slack *= square
    slack += 6 / 160
    slack /= mean
    rounding = 4 * float(xp.finfo(mean.dtype).eps)
    slack += 400 * rounding
    slack += rounding * mean
    return xp.floor(value - slack), xp.floor(value + slack)


def _quantile(w: Values, mean: Values) -> Values:
    """Return the Poisson quantile at the level Phi(w): the least k whose P(K <= k) is above it."""
    low: Values
    low, high = (np.maximum(bound, 0) for bound in brackets(w, mean))
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
