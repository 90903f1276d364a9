"""Every difference between array libraries: namespace, device, precision, transfer, spreading, FFT.

But for what runs on the host alone, nothing else in the engine names numpy, CuPy or torch when it handles emitters and
images; torch and CuPy are never imported here unless an array of theirs comes in.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import array_api_compat as compat
import numpy as np
from numpy.typing import NDArray

from mishape.engine.types import Array


def namespace(*arrays: Array) -> Any:
    """Return the array-API namespace that the arrays share."""
    return compat.array_namespace(*arrays)


def place(array: Array) -> Hashable:
    """Return what tells apart where arrays live and how precise they are: library, device, dtype."""
    if isinstance(array, np.ndarray):
        return "numpy"
    return namespace(array).__name__, str(compat.device(array)), str(array.dtype)


def is_host(array: Array) -> bool:
    """Return whether an array is numpy's."""
    return isinstance(array, np.ndarray)


def working(array: Array) -> Array:
    """Return an array in the precision that images are computed in: single on the host, single or double elsewhere.

    Single precision is a thousand times finer than the imaging's own error.
    """
    if isinstance(array, np.ndarray):
        return array.astype(np.float32, copy=False)
    xp = namespace(array)
    return array if array.dtype in (xp.float32, xp.float64) else xp.astype(array, xp.float32)


def positions(array: Array) -> Array:
    """Return positions as double precision, on a device also as single."""
    xp = namespace(array)
    wide = (xp.float64,) if isinstance(array, np.ndarray) else (xp.float32, xp.float64)
    return array if array.dtype in wide else xp.astype(array, xp.float64)


def to_numpy(array: Array) -> NDArray[Any]:
    """Return a host copy (numpy arrays as they are)."""
    if isinstance(array, np.ndarray | np.generic):
        return np.asarray(array)
    if compat.is_cupy_array(array):
        return np.asarray(array.get())
    if compat.is_torch_array(array):
        return np.asarray(array.detach().cpu().numpy())
    return np.from_dlpack(array)


def like(host: NDArray[Any], reference: Array) -> Array:
    """Return a host array in the library, on the device and in the precision of a reference array."""
    if isinstance(reference, np.ndarray):
        real = reference.real.dtype
        return host.astype(np.result_type(real, 1j) if host.dtype.kind == "c" else real, copy=False)
    xp = namespace(reference)
    moved = xp.asarray(host, device=compat.device(reference))
    if host.dtype.kind not in "fc":
        return moved
    single = reference.dtype in (xp.float32, xp.complex64)
    kinds = (xp.float32, xp.float64) if host.dtype.kind == "f" else (xp.complex64, xp.complex128)
    return xp.astype(moved, kinds[0] if single else kinds[1])


def zeros(shape: tuple[int, ...], reference: Array, complex_numbers: bool = False) -> Array:
    """Return zeros in the library, on the device and in the precision of a reference array."""
    xp, dtype = namespace(reference), reference.dtype
    if complex_numbers and xp.isdtype(dtype, "real floating"):
        dtype = xp.complex64 if dtype == xp.float32 else xp.complex128
    return xp.zeros(shape, dtype=dtype, device=compat.device(reference))


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory is full; torch's on the host has no name."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


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
    (size, K) array. On the host the order of summation is fixed, so the same input gives the same bytes.
    """
    if isinstance(values, np.ndarray):
        return _spread_sparse(index, weights, values, size)
    xp = namespace(index, weights, values)
    rows = xp.reshape(weights[:, :, None] * values[:, None, :], (-1, values.shape[1]))
    flat = xp.reshape(index, (-1,))
    if compat.is_torch_array(values):
        return xp.zeros((size, values.shape[1]), dtype=values.dtype, device=values.device).index_add(0, flat, rows)
    if compat.is_cupy_array(values):
        return _spread_atomic(flat, rows, size)
    return _spread_sorted(flat, rows, size)


def _spread_sparse(index: NDArray[Any], weights: NDArray[Any], values: NDArray[Any], size: int) -> NDArray[Any]:
    from scipy.sparse import csr_array

    items, touched = index.shape
    starts = np.arange(0, items * touched + 1, touched, dtype=index.dtype)
    matrix = csr_array((weights.ravel(), index.ravel(), starts), shape=(items, size))
    return np.asarray(matrix.T @ values)


def _spread_atomic(flat: Array, rows: Array, size: int) -> Array:
    import cupy  # type: ignore[import-not-found, unused-ignore]
    import cupyx  # type: ignore[import-not-found, unused-ignore]

    out = cupy.zeros((size, rows.shape[1]), dtype=rows.dtype)
    cupyx.scatter_add(out, flat, rows)
    return out


def _spread_sorted(flat: Array, rows: Array, size: int) -> Array:
    """Sort by cell and difference the running sums, in double precision: the standard has no scatter-add."""
    xp = namespace(flat, rows)
    order = xp.argsort(flat, stable=True)
    sums = xp.cumulative_sum(xp.astype(xp.take(rows, order, axis=0), xp.float64), axis=0, include_initial=True)
    edges = xp.searchsorted(xp.take(flat, order), xp.arange(size + 1, device=compat.device(rows)))
    ends = xp.take(sums, edges, axis=0)
    return xp.astype(ends[1:, :] - ends[:-1, :], rows.dtype)


def fft_rows(maps: Array, length: int) -> Array:
    """Fourier transform along the last axis but one, padded with zeros to a length."""
    return _fft(maps).fft(maps, n=length, axis=-2)


def rfft_columns(maps: Array, length: int) -> Array:
    """Fourier transform of real maps along the last axis, padded with zeros to a length."""
    return _fft(maps).rfft(maps, n=length, axis=-1)


def ifft_rows(spectra: Array) -> Array:
    """Inverse Fourier transform along the last axis but one."""
    return _fft(spectra).ifft(spectra, axis=-2)


def irfft_columns(spectra: Array, length: int) -> Array:
    """Inverse of `rfft_columns`."""
    return _fft(spectra).irfft(spectra, n=length, axis=-1)


def _fft(array: Array) -> Any:
    if isinstance(array, np.ndarray):
        import scipy.fft  # keeps single precision, and is twice as fast as numpy's

        return scipy.fft
    return namespace(array).fft


def outer(one: Array, other: Array) -> Array:
    """Return one[n, i] * other[n, j]: (n, i, j)."""
    if isinstance(one, np.ndarray):
        return np.einsum("ni,nj->nij", one, other)  # twice as quick as broadcasting
    return one[:, :, None] * other[:, None, :]
