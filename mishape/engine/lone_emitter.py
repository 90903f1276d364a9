"""An emitter at the world's origin as a microscope sees it while its objective travels: the measured PSF."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine import arrays
from mishape.engine.grid import Grid
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.protocols import Microscope
from mishape.engine.radial import table_reader
from mishape.engine.tables import asked, finite
from mishape.engine.types import Emitters, Points

NODES = 3
"""Gauss-Legendre nodes along each side of a fine pixel."""
STEPS_PER_PIXEL = 4
"""Steps of the radial table per fine pixel; cubic interpolation between them costs 1e-5 of the peak."""
PIXELS_PER_RADIUS = 100
"""A radius is imaged on so many pixels by a microscope without a PSF."""
PROBES_NM = np.array([0.0, 170.0, 640.0, 2900.0])
"""Radii and travels at which moving the objective is compared with moving the emitter."""
PLANES_AT_ONCE = 8
"""Planes that a microscope without a PSF is asked for in one image."""


@dataclass(frozen=True)
class LoneEmitter:
    """An emitter of one photon at the world's origin, seen through one microscope.

    A microscope that has a ``psf`` is asked for it. Any other one is asked for images, and its light is taken to be
    the same in all directions: the mean of those along +x, -x, +y and -y.

    Parameters
    ----------
    microscope
        The microscope.
    pixel_nm
        A view's pixel; where a microscope without a PSF is asked for the axis alone, its pixels are a fifth of it.
    """

    microscope: Microscope
    pixel_nm: float

    @property
    def has_psf(self) -> bool:
        """Whether the microscope gives a PSF, of any radius and at any cost in planes."""
        return hasattr(self.microscope, "psf")

    def density(self, r_nm: Points, travel_nm: Points) -> Points:
        """Return the photon fraction per nm^2 at each radius, as the objective travels: (len(travel_nm), len(r_nm)).

        Raises
        ------
        PluginError
            If the PSF is not of the shape that it was asked for.
        MishapeError
            If it holds NaN or infinity.
        """
        return self._tabulated(r_nm, travel_nm) if self.has_psf else self._imaged(r_nm, travel_nm)

    def _tabulated(self, r_nm: Points, travel_nm: Points) -> Points:
        if self._moves_as_one:
            return self._asked(r_nm, -travel_nm, 0.0)
        if isinstance(self.microscope, PSFMicroscope):
            return finite(self.microscope.through_focus(r_nm, np.zeros(1), travel_nm)[:, 0])
        return np.concatenate([self._asked(r_nm, np.zeros(1), focus_nm) for focus_nm in travel_nm.tolist()])

    @cached_property
    def _moves_as_one(self) -> bool:
        """Whether moving the objective is moving the emitter backwards, as in matched media: one call serves all."""
        by_travel = np.concatenate([self._asked(PROBES_NM, np.zeros(1), focus_nm) for focus_nm in PROBES_NM.tolist()])
        by_emitter = self._asked(PROBES_NM, -PROBES_NM, 0.0)
        return bool(np.allclose(by_travel, by_emitter, rtol=0, atol=1e-9 * np.abs(by_travel).max()))

    def _asked(self, r_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        return asked(self.microscope)(r_nm, z_nm, focus_nm)

    def _imaged(self, r_nm: Points, travel_nm: Points) -> Points:
        reach_nm = float(r_nm.max(initial=0.0))
        step_nm = max(1.0, reach_nm / PIXELS_PER_RADIUS if reach_nm else self.pixel_nm / 5)
        middle = math.ceil(reach_nm / step_nm) + 1
        radii = step_nm * np.arange(middle + 1)
        rows = []
        for image in self._images(2 * middle + 1, step_nm, travel_nm):
            right, left = image[middle, middle:], image[middle, middle::-1]
            down, up = image[middle:, middle], image[middle::-1, middle]
            rows.append(np.interp(r_nm, radii, (right + left + down + up) / (4 * step_nm**2)))
        return np.array(rows)

    def _images(self, pixels: int, pixel_nm: float, travel_nm: Points) -> Iterator[NDArray[Any]]:
        lone = Emitters(np.zeros((1, 3)), np.ones(1))
        for start in range(0, len(travel_nm), PLANES_AT_ONCE):
            planes = tuple(travel_nm[start : start + PLANES_AT_ONCE].tolist())
            grid = Grid((len(planes), pixels, pixels), pixel_nm, planes_nm=planes)
            yield from finite(arrays.to_numpy(self.microscope.image(lone, grid)))

    def stack(self, grid: Grid) -> NDArray[np.float32]:
        """Return the photon fraction in each pixel of a grid of an odd number of equal rows and columns, (Z, Y, X).

        A PSF is integrated over the pixels' areas: 3 x 3 Gauss-Legendre nodes, which is exact to 1e-6 of the peak for
        pixels of a tenth of its width.
        """
        travel_nm, x_nm, _ = grid.centers_nm()
        if not self.has_psf:
            return np.stack([*self._images(len(x_nm), grid.pixel_nm, travel_nm)]).astype(np.float32)
        half = len(x_nm) // 2
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        along = (x_nm[half:, None] + nodes * grid.pixel_nm / 2).ravel()
        step_nm = grid.pixel_nm / STEPS_PER_PIXEL
        place = np.hypot(along[:, None], along[None, :]) / step_nm
        table = self.density(step_nm * np.arange(int(place.max()) + 4.0), travel_nm)
        place = place.reshape(half + 1, NODES, half + 1, NODES).swapaxes(1, 2).reshape(-1, NODES**2)
        reader = table_reader(place, table.shape[1], np.outer(weights, weights).ravel() * grid.pixel_nm**2 / 4)
        quadrant = np.asarray((reader @ table.T).T, dtype=np.float32).reshape(-1, half + 1, half + 1)
        mirrored = np.abs(np.arange(-half, half + 1))
        return np.ascontiguousarray(quadrant[:, mirrored][:, :, mirrored])
