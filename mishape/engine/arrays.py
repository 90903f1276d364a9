"""Every difference between array libraries: namespace, device, transfer to the host, spreading, FFT.

Nothing else in the engine names numpy, CuPy or torch when it handles emitters and images; torch and CuPy are never
imported here unless an array of theirs comes in.
"""

from __future__ import annotations

from typing import Any

import array_api_compat as compat
import numpy as np
from numpy.typing import NDArray

from mishape.engine.types import Array


def namespace(*arrays: Array) -> Any:
    """Return the array-API namespace that the arrays share."""
    return compat.array_namespace(*arrays)


def to_numpy(array: Array) -> NDArray[Any]:
    """Return a host copy (numpy arrays as they are)."""
    if isinstance(array, np.ndarray):
        return array
    if compat.is_cupy_array(array):
        return np.asarray(array.get())
    if compat.is_torch_array(array):
        return np.asarray(array.detach().cpu().numpy())
    return np.from_dlpack(array)


def like(host: NDArray[Any], reference: Array) -> Array:
    """Return a host array in the library and on the device of a reference array."""
    if isinstance(reference, np.ndarray):
        return host
    return namespace(reference).asarray(host, device=compat.device(reference))


def spread(index: Array, weights: Array, values: Array, size: int) -> Array:
    """Sum weighted values into cells: out[c, k] = sum of weights[n, s] * values[n, k] over all (n, s) with index c.

    Parameters
    ----------
    index
        (N, S) integers in [0, size): the cells that each item touches.
    weights
        (N, S): how much of the item goes to each.
    values
        (N, K).
    size
        Number of cells.

    Returns
    -------
    (size, K) array. The order of summation is fixed, so the same input gives the same bytes.
    """
    if isinstance(values, np.ndarray):
        return _spread_numpy(index, weights, values, size)
    return _spread_sorted(index, weights, values, size)


def _spread_numpy(index: NDArray[Any], weights: NDArray[Any], values: NDArray[Any], size: int) -> NDArray[Any]:
    from scipy.sparse import csr_array

    items, touched = index.shape
    starts = np.arange(0, items * touched + 1, touched)
    matrix = csr_array((weights.ravel(), index.ravel(), starts), shape=(items, size))
    return np.asarray(matrix.T @ values)


def _spread_sorted(index: Array, weights: Array, values: Array, size: int) -> Array:
    """Sort by cell and difference the running sums: the standard has no scatter-add."""
    xp = namespace(index, weights, values)
    device = compat.device(values)
    flat = xp.reshape(index, (-1,))
    order = xp.argsort(flat, stable=True)
    rows = xp.reshape(weights[:, :, None] * values[:, None, :], (-1, values.shape[1]))
    sums = xp.cumulative_sum(xp.take(rows, order, axis=0), axis=0, include_initial=True)
    edges = xp.searchsorted(xp.take(flat, order), xp.arange(size + 1, device=device))
    ends = xp.take(sums, edges, axis=0)
    return ends[1:, :] - ends[:-1, :]


def rfft2(maps: Array) -> Array:
    """Real 2D FFT over the last two axes."""
    if isinstance(maps, np.ndarray):
        from scipy.fft import rfft2 as scipy_rfft2

        return scipy_rfft2(maps)
    xp = namespace(maps)
    return xp.fft.fft(xp.fft.rfft(maps), axis=-2)


def irfft2(spectra: Array, columns: int) -> Array:
    """Inverse of `rfft2`; `columns` is the length of the last axis."""
    if isinstance(spectra, np.ndarray):
        from scipy.fft import irfft2 as scipy_irfft2

        return scipy_irfft2(spectra, s=(spectra.shape[-2], columns))
    xp = namespace(spectra)
    return xp.fft.irfft(xp.fft.ifft(spectra, axis=-2), n=columns)
