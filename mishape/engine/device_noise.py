"""Noise on the device that holds the images: the same samplers in array operations, so that only counts leave it.

Random words are those of SplitMix64 (Steele, Lea and Flood 2014, OOPSLA) at the places of a counter, in the wrapping
arithmetic of 64-bit integers: each sample has a key of its own, and its bytes do not depend on its batch. Random
numbers are float64. Not run on a GPU by the test suite, which runs it on torch's and array-api-strict's host arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import array_api_compat as compat
import numpy as np
from numpy.random import Generator

from mishape.engine.arrays import namespace, to_numpy
from mishape.engine.gaussian import box_muller
from mishape.engine.poisson import LEAST, brackets
from mishape.engine.types import Array

_STEP, _FIRST, _SECOND = (constant - 2**64 for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
Level = Array | float
_TERMS = 40
"""Values of a Poisson distribution of a mean below `LEAST` that have a probability above 1e-30."""


class DeviceDraws:
    """Random arrays of a batch of samples, on a device.

    Parameters
    ----------
    rngs
        One generator per sample: it gives the sample's key.
    reference
        An array of the library and on the device to draw for.
    """

    def __init__(self, rngs: Sequence[Generator], reference: Array) -> None:
        self.xp = namespace(reference)
        self.device = compat.device(reference)
        keys = np.array([rng.integers(-(2**63), 2**63, dtype=np.int64) for rng in rngs])
        self._next = self.xp.asarray(keys[:, None], device=self.device)

    def poisson(self, means: Array, most: float) -> Array:
        """Return Poisson deviates as float64 whole numbers, at most `most`: (B, ...) means, 0 to 1e15."""
        xp, size = self.xp, math.prod(means.shape[1:])
        flat = xp.astype(xp.reshape(means, (-1,)), xp.float64)
        few = flat < LEAST
        safe = xp.where(few, LEAST, flat)
        w = self._normal(means.shape[0], size)
        counts, high = (xp.maximum(bound, xp.zeros_like(bound)) for bound in brackets(w, safe))
        counts = _replaced(counts, counts != high, _quantiles, w, safe, counts, high)
        level = self._uniform(means.shape[0], size)
        counts = _replaced(counts, few, _by_search, xp.reshape(level, (-1,)), flat)
        return xp.reshape(xp.where(counts > most, most, counts), means.shape)

    def digitize(self, levels: Array, noise: Level, scale: Level, offset: Level, top: int) -> Array:
        """Return ``(levels + noise * normal) * scale + offset``, rounded and clipped to 0..top, uint16."""
        normal = self.xp.reshape(self._normal(levels.shape[0], math.prod(levels.shape[1:])), levels.shape)
        return rounded((levels + noise * normal) * scale + offset, top)

    def _normal(self, samples: int, size: int) -> Array:
        pairs = -(-size // 2)
        uniform = self.xp.stack([self.xp.reshape(self._uniform(samples, pairs), (-1,)) for _ in range(2)])
        both = self.xp.reshape(box_muller(uniform), (2, samples, pairs))
        return self.xp.reshape(self.xp.concat([both[0, :, :], both[1, :, :]], axis=1)[:, :size], (-1,))

    def _uniform(self, samples: int, size: int) -> Array:
        """Return multiples of 2**-53 in [0, 1), (samples, size): the next of each sample's stream."""
        xp = self.xp
        bits = self._next + _STEP * xp.arange(1, size + 1, dtype=xp.int64, device=self.device)[None, :]
        self._next = bits[:, -1:]
        bits = (bits ^ _shifted(bits, 30)) * _FIRST
        bits = (bits ^ _shifted(bits, 27)) * _SECOND
        bits = bits ^ _shifted(bits, 31)
        return xp.astype(_shifted(bits, 11), xp.float64) * 2.0**-53


def rounded(levels: Array, top: int) -> Array:
    """Return levels rounded to whole counts and clipped to 0..top, uint16."""
    xp = namespace(levels)
    return xp.astype(xp.clip(xp.round(levels), 0, top), xp.uint16)


def _shifted(bits: Array, places: int) -> Array:
    """Shift to the right as if the integers had no sign."""
    return (bits >> places) & (2 ** (64 - places) - 1)


def _replaced(values: Array, chosen: Array, make: Any, *arrays: Array) -> Array:
    """Return the values with the chosen ones, which are few, made anew from their places in the arrays."""
    xp = namespace(values)
    places = xp.nonzero(chosen)[0]
    if places.shape[0] == 0:
        return values
    made = make(*(xp.take(array, places) for array in arrays))
    order = xp.cumulative_sum(xp.astype(chosen, xp.int64)) - 1
    return xp.where(chosen, xp.take(made, xp.maximum(order, xp.zeros_like(order))), values)


def _quantiles(w: Array, mean: Array, low: Array, high: Array) -> Array:
    """Return the Poisson quantiles at the levels Phi(w), which are whole numbers from low to high."""
    xp, special = namespace(w), _special(w)
    lower, near = w < 0, special("ndtr", -xp.abs(w))
    while bool(xp.any(low < high)):
        left = special("gammaincc", low + 1, mean) <= near
        right = special("gammainc", low + 1, mean) >= near
        below = xp.where(lower, left, right) & (low < high)
        low, high = low + xp.astype(below, low.dtype), xp.where(below, high, low)
    return low


def _by_search(level: Array, mean: Array) -> Array:
    """Return the Poisson quantiles at uniform levels, term by term."""
    xp = namespace(level)
    counts, term = xp.zeros_like(level), xp.exp(-mean)
    total = xp.zeros_like(level)
    for k in range(1, _TERMS + 1):
        total = total + term
        counts = counts + xp.astype(level >= total, counts.dtype)
        term = term * mean / k
    return counts


def _special(array: Array) -> Any:
    """Return ``call(name, *arrays)`` for the special functions of an array's library: SciPy's names in all of them."""
    if compat.is_torch_array(array):
        import torch

        return lambda name, *given: getattr(torch.special, name)(*given)
    if compat.is_cupy_array(array):
        from importlib import import_module

        library = import_module("cupyx.scipy.special")
        return lambda name, *given: getattr(library, name)(*given)
    from scipy import special

    xp = namespace(array)
    return lambda name, *given: xp.asarray(getattr(special, name)(*map(to_numpy, given)))
