"""The joint low-rank operator of a microscope on a grid.

Over the emitters' range of z, the PSFs of all planes together are written as
h_p(r; z) = sum over k of u_pk(r) v_k(z), by a singular value decomposition over z. One forward FFT per k then serves
every plane, and one inverse FFT per plane makes the image. The integration over the pixel's area and the division by
the spreading window's spectrum are part of the operator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import MishapeError
from mishape.engine.extent import PSF, Extent, extent_of
from mishape.engine.radial import table_reader
from mishape.engine.spreading import window_beta, window_spectrum
from mishape.engine.types import Grid, Points

NODES_PER_SLAB = 76
"""z nodes of an operator; linear interpolation between them costs 0.1 % of the peak."""
SLAB_DEPTH = 4.7
"""Depth that one operator covers, in axial half widths of the PSF (1500 nm at NA 1.4). An emitter's own z decides which
operator images it, so the image of many emitters is exactly the sum of the images of each."""
RANK_ERROR = 1e-3
"""Largest error of the low-rank PSF at each z of an emitter, as a fraction of its peak over the planes."""
FAINTEST = 1e-2
"""Where the PSF peaks below this fraction of its overall peak, RANK_ERROR is a fraction of this instead."""
REACH_LEVEL = 1e-5
"""Fraction of the PSF's peak below which light from further away no longer counts."""
MIN_REACH, MAX_REACH = 48.0, 320.0
"""In lateral half widths of the PSF (6 and 40 um at NA 1.4): emitters closer to the field than the first always count,
further away than the second never."""
BAND_LIMIT = 0.45
"""Highest frequency, in cycles per grid point, that the spreading grid carries."""
BAND_LEVEL = 5e-3
"""An OTF below this counts as ended."""
MAX_POINTS = 10**8
"""Points of the spreading grid in all planes: an operator of ten times as many single-precision numbers fills 4 GB."""
STEPS_PER_WIDTH = 20
"""Radial table steps per lateral half width; cubic interpolation between them costs 1e-5 of the peak."""


@dataclass(frozen=True)
class Operator:
    """A microscope's operator on one grid, for emitters within one range of z.

    Parameters
    ----------
    spectra
        (planes, rank, rows, columns // 2 + 1) complex64: OTFs with pixel integration and the window divided out.
    axial
        (nodes, rank): v_k at the z nodes.
    z_start_nm, z_step_nm
        The first z node and the spacing.
    size
        Rows and columns of the periodic spreading grid.
    finer
        Points of that grid per pixel, along each axis.
    margin_nm
        Emitters further than this outside the field are left out.
    beta
        Shape parameter of the spreading window.
    """

    spectra: NDArray[np.complex64]
    axial: Points
    z_start_nm: float
    z_step_nm: float
    size: tuple[int, int]
    finer: int
    margin_nm: float
    beta: float

    @property
    def cells(self) -> int:
        """Points of the spreading grid."""
        return self.size[0] * self.size[1]


def extent_on(psf: PSF, grid: Grid) -> Extent:
    """Return the PSF's extent at the grid's plane nearest to z = 0: all lengths of the operator follow from it."""
    focuses = grid.centers_nm()[0]
    return extent_of(psf, float(focuses[np.argmin(np.abs(focuses))]), grid.pixel_nm)


def build_operator(
    psf: PSF,
    grid: Grid,
    extent: Extent,
    slab: int,
    integrated: tuple[bool, bool] = (True, True),
    padding: float = 1.0,
) -> Operator:
    """Build the operator for the emitters of one slab: z from slab - 1/2 to slab + 1/2 slab depths.

    Parameters
    ----------
    psf
        ``psf(r_nm, z_nm, focus_nm)`` as in `PSFMicroscope`.
    extent
        Its `extent_on` the grid.
    integrated
        Whether a pixel integrates over its height (y) and its width (x), rather than sampling the centre.
    padding
        Multiplies the reach beyond the field that is taken into account; the image hardly depends on it.
    """
    focuses = grid.centers_nm()[0]
    nodes = slab_depth_nm(extent) * np.linspace(slab - 0.5, slab + 0.5, NODES_PER_SLAB)
    margin_nm = padding * _reach_nm(psf, extent, nodes, focuses)
    finer = _finer(psf, extent, grid.pixel_nm, focuses)
    size = _grid_size(grid, finer, margin_nm)
    _refuse_too_large(size, grid, extent)
    step_nm = extent.lateral_nm / STEPS_PER_WIDTH
    distance = _distances(size, grid.pixel_nm / finer)
    radii = step_nm * np.arange(int(distance.max() / step_nm) + 4, dtype=np.float64)
    radial, axial = _factorise(psf, radii, nodes, focuses)
    beta = window_beta(BAND_LIMIT)
    # One plane at a time: the double-precision kernels of all would need four times the operator's memory.
    kernels = (_on_grid(plane, distance, step_nm) * grid.pixel_nm**2 for plane in radial[:, None])
    return Operator(
        spectra=np.concatenate([_spectra(plane, finer, integrated, beta) for plane in kernels]),
        axial=axial,
        z_start_nm=float(nodes[0]),
        z_step_nm=float(nodes[1] - nodes[0]),
        size=size,
        finer=finer,
        margin_nm=margin_nm,
        beta=beta,
    )


def slab_depth_nm(extent: Extent) -> float:
    """Return the depth that one operator covers."""
    return SLAB_DEPTH * extent.axial_nm


def _reach_nm(psf: PSF, extent: Extent, nodes: Points, focuses: Points) -> float:
    """Return the distance beyond which the PSF stays below REACH_LEVEL of its peak, at the ends of the z range."""
    radii = extent.lateral_nm * np.concatenate([np.arange(0, 16, 0.4), np.arange(16, MAX_REACH, 2.0)])
    ends = np.array([nodes[0], 0.0, nodes[-1]])
    tables = np.concatenate([psf(radii, ends, float(focus)) for focus in (focuses.min(), focuses.max())])
    seen = radii[(tables > REACH_LEVEL * tables.max()).any(axis=0)]
    return float(max(seen.max(initial=0.0), MIN_REACH * extent.lateral_nm))


def _finer(psf: PSF, extent: Extent, pixel_nm: float, focuses: Points) -> int:
    """Return how many grid points a pixel needs along each axis, so that the in-focus OTF ends below BAND_LIMIT."""
    from scipy.special import j0

    focus = float(focuses[np.argmin(np.abs(focuses))])
    radii = extent.lateral_nm * np.arange(0, 24, 1 / STEPS_PER_WIDTH)
    taper = np.cos(math.pi / 2 * radii / radii[-1]) ** 2
    ring = psf(radii, np.array([focus + extent.shift_nm]), focus)[0] * taper * radii
    frequency = np.linspace(0, 4, 321) / extent.lateral_nm
    otf = np.abs(j0(2 * math.pi * np.multiply.outer(frequency, radii)) @ ring)
    ends = frequency[otf > BAND_LEVEL * otf[0]].max()
    return max(1, math.ceil(float(ends) * pixel_nm / BAND_LIMIT - 1e-9))


def _grid_size(grid: Grid, finer: int, margin_nm: float) -> tuple[int, int]:
    """Return rows and columns: the field, the emitters beyond it, and their reach, so that no wrapped light counts."""
    from scipy.fft import next_fast_len

    beyond = 2 * math.ceil(margin_nm / grid.pixel_nm)
    rows, columns = (next_fast_len((n + beyond) * finer, real=True) for n in grid.shape[1:])
    return rows, columns


def _refuse_too_large(size: tuple[int, int], grid: Grid, extent: Extent) -> None:
    planes = grid.shape[0]
    if size[0] * size[1] * planes > MAX_POINTS:
        raise MishapeError(
            f"imaging {grid.shape} pixels of {grid.pixel_nm:g} nm with light that is {2 * extent.lateral_nm:.0f} nm "
            f"wide needs {size[0]} x {size[1]} points in {planes} plane(s), more than {MAX_POINTS:.0e} in all: "
            "use larger pixels, fewer planes or a smaller field"
        )


def _distances(size: tuple[int, int], spacing_nm: float) -> Points:
    """Return each grid point's distance from point (0, 0) on the periodic grid: (rows, columns) nm."""
    rows, columns = (np.minimum(np.arange(n), n - np.arange(n)) * spacing_nm for n in size)
    return np.hypot(rows[:, None], columns[None, :])


def _factorise(psf: PSF, radii: Points, nodes: Points, focuses: Points) -> tuple[Points, Points]:
    """Return u (planes, rank, radii) and v (nodes, rank), of the least rank that keeps RANK_ERROR.

    Each z counts by its own norm: else the many dim emitters far from focus, and their haze, would be cut off.
    """
    table = np.stack([psf(radii, nodes, float(focus)) for focus in focuses], axis=1)
    flat = table.reshape(len(nodes), -1)
    area = np.tile(np.sqrt(radii + radii[1]), len(focuses))
    norm = np.linalg.norm(flat * area, axis=1, keepdims=True)
    norm = np.maximum(norm, math.sqrt(FAINTEST) * norm.max())
    weighted = flat * area / norm
    # The table is far wider than high: its left singular vectors from the small Gram matrix, strongest first.
    left = np.linalg.eigh(weighted @ weighted.T)[1][:, ::-1]
    left, right = left * norm, left.T @ weighted / area
    rank = _rank(flat, left, right)
    axial, radial = left[:, :rank], right[:rank]
    return np.moveaxis(radial.reshape(rank, len(focuses), -1), 0, 1), axial


def _rank(flat: Points, left: Points, right: Points) -> int:
    residual = flat.copy()
    peak = np.abs(flat).max(axis=1)
    allowed = RANK_ERROR * np.maximum(peak, FAINTEST * peak.max())
    for rank in range(1, len(left) + 1):
        residual -= np.multiply.outer(left[:, rank - 1], right[rank - 1])
        if (np.abs(residual).max(axis=1) <= allowed).all():
            return rank
    return len(left)


def _on_grid(radial: Points, distance: Points, step_nm: float) -> Points:
    """Read the radial functions at every grid point: (planes, rank, rows, columns)."""
    unique, where = np.unique(distance, return_inverse=True)
    reader = table_reader(unique[:, None] / step_nm, radial.shape[-1])
    values = (reader @ radial.reshape(-1, radial.shape[-1]).T).T
    return values[:, where.reshape(distance.shape)].reshape(*radial.shape[:2], *distance.shape)


def _spectra(kernels: Points, finer: int, integrated: tuple[bool, bool], beta: float) -> NDArray[np.complex64]:
    """Return the kernels' OTFs with the pixel's area integrated and the spreading window divided out.

    Single precision is a thousand times finer than the low rank's own error, at half the memory.
    """
    from scipy.fft import fftfreq, rfft2, rfftfreq

    def transfer(frequency: Points, integrates: bool) -> Points:
        # A pixel is `finer` grid points wide; np.sinc(x) = sin(pi x) / (pi x).
        pixel = np.sinc(frequency * finer) if integrates else 1.0
        return np.asarray(pixel / window_spectrum(frequency, beta))

    along_rows = transfer(fftfreq(kernels.shape[-2]), integrated[0])
    along_columns = transfer(rfftfreq(kernels.shape[-1]), integrated[1])
    spectra: NDArray[np.complex128] = rfft2(kernels)
    return (spectra * along_rows[:, None] * along_columns).astype(np.complex64)
