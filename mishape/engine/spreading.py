"""The Kaiser-Bessel window: puts a point between grid points so that its spectrum stays right up to a band limit.

After Fessler & Sutton, IEEE Trans. Signal Process. 51, 560 (2003): points are spread by a short window, and the
window's own spectrum is divided out after the FFT. Each of the window's values is a polynomial of where the point lies
between two grid points, so it is quick to compute and has derivatives in every array library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mishape.engine import arrays
from mishape.engine.types import Array, Points

POLYNOMIAL_ERROR = 1e-6
"""Largest error of the polynomials, of the window's height: below what single precision makes of the spreading."""
MAX_DEGREE = 16


@dataclass(frozen=True)
class Window:
    """A Kaiser-Bessel window.

    Parameters
    ----------
    width
        Grid points that a point touches along each axis.
    band_limit
        Cycles per grid point, below 0.5, up to which the spectrum stays right: the first alias of this frequency,
        1 - band_limit, falls where the window's spectrum stops decaying. A lower limit lets less light alias.
    """

    width: int
    band_limit: float

    @property
    def beta(self) -> float:
        """The shape parameter."""
        return math.pi * self.width * (1 - self.band_limit)

    def values(self, distance: Points) -> Points:
        """Return the window at distances in grid points."""
        inside = np.clip(1 - (2 * distance / self.width) ** 2, 0.0, None)
        return np.asarray(np.i0(self.beta * np.sqrt(inside)) / np.i0(self.beta))

    def spectrum(self, frequency: Points) -> Points:
        """Return the window's Fourier transform at frequencies in cycles per grid point."""
        root = np.sqrt((self.beta**2 - (math.pi * self.width * frequency) ** 2).astype(complex))
        ratio = np.where(np.abs(root) > 1e-8, np.sinh(root) / np.where(root == 0, 1, root), 1.0)
        return np.asarray(self.width * ratio.real / np.i0(self.beta))

    @property
    def coefficients(self) -> NDArray[np.float32]:
        """(degree + 1, width), lowest power first: of the polynomials in t from -1 to 1 that the values follow."""
        return _polynomials(self)

    def weights(self, position: Array, reference: Array) -> tuple[Array, Array]:
        """Return the first grid point that each point touches along one axis, and how much of it each takes.

        Parameters
        ----------
        position
            (n,) in grid points; any real number.
        reference
            An array of the precision that the weights are wanted in.

        Returns
        -------
        (n,) whole numbers of the positions' dtype, and (n, width) weights of grid points first, first + 1 and so on.
        """
        xp = arrays.namespace(position)
        first = xp.ceil(position - self.width / 2)
        t = xp.astype(2 * (first - position) + (self.width - 1), reference.dtype)
        powers = [xp.ones_like(t), t]
        coefficients = arrays.like(self.coefficients, reference)
        while len(powers) < coefficients.shape[0]:
            powers.append(powers[-1] * t)
        return first, xp.stack(powers, axis=-1) @ coefficients


@lru_cache(maxsize=32)
def _polynomials(window: Window) -> NDArray[np.float32]:
    """Interpolate the window's values at Chebyshev nodes, with the least degree that keeps POLYNOMIAL_ERROR."""
    fine = np.linspace(-1, 1, 101)
    first = -window.width / 2 + np.arange(window.width)

    def exact(t: Points) -> Points:
        return window.values(first + (t[:, None] + 1) / 2)

    for degree in range(4, MAX_DEGREE + 1):
        nodes = np.cos(math.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        coefficients = np.linalg.solve(np.vander(nodes, increasing=True), exact(nodes))
        if np.abs(np.vander(fine, degree + 1, increasing=True) @ coefficients - exact(fine)).max() < POLYNOMIAL_ERROR:
            break
    return coefficients.astype(np.float32)
