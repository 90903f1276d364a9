"""Emitters x PSF x grid -> expected photons: the base of all microscopes that have a PSF."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mishape.engine.component import Component
from mishape.engine.direct import direct_sum
from mishape.engine.errors import PluginError
from mishape.engine.grid import Grid
from mishape.engine.images import fast_images
from mishape.engine.quality import QualityName
from mishape.engine.tables import asked, asked_xy
from mishape.engine.types import Array, Emitters, Points

__all__ = ["PSFMicroscope", "direct_sum"]

DIRECTIONS = 24
"""Over which a PSF without symmetry is averaged, where its radial course is asked for."""


class PSFMicroscope(Component):
    """Base of microscopes that are described by a PSF: give `psf` or `psf_xy`, get `image`.

    A third party's microscope subclasses this, names its ``kind`` and parameters, and implements `psf`, or `psf_xy`
    where the PSF is not symmetric about its axis; pixel integration, positions off the grid, planes, batches and
    devices are done here.
    """

    quality: QualityName = "standard"
    """How exact images are, as the largest error over the image's peak: ``preview`` 1 %, ``standard`` 0.3 % (default),
    ``exact`` 0.1 %, which costs several times as much (benchmarks/RESULTS.md). Two things are left out beside it: light
    further than 45 lateral half widths from an emitter in focus (5.5 um at NA 1.4; 120 for ``exact``), 1.3 % (0.5 %) of
    a widefield's; and what is fainter than 1e-4 of an emitter's peak in focus."""

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        """Return the photon fraction per nm^2 at lateral distance r of emitters at z.

        Parameters
        ----------
        r_nm
            (n_r,) distances from the axis, nm.
        z_nm
            (n_z,) world z of the emitters, nm.
        focus_nm
            The plane's z on the `Grid`, nm: the objective's travel.

        Returns
        -------
        (n_z, n_r) float64. A widefield PSF integrates to 1 over each unbounded plane. Where `psf_xy` is given instead,
        this is its mean over the directions from the axis.
        """
        if self.is_radial:
            raise PluginError(f"{self.kind}: this microscope gives neither psf nor psf_xy: implement one of them")
        angles = 2 * math.pi * np.arange(DIRECTIONS) / DIRECTIONS
        x, y = np.multiply.outer(np.cos(angles), r_nm), np.multiply.outer(np.sin(angles), r_nm)
        around = asked_xy(self)(x.ravel(), y.ravel(), z_nm, focus_nm).reshape(len(z_nm), DIRECTIONS, -1)
        return np.asarray(around.mean(axis=1))

    def psf_xy(self, x_nm: Points, y_nm: Points, z_nm: Points, focus_nm: float) -> Points:
        """Return the photon fraction per nm^2 at places of the image plane, relative to the emitter's.

        Parameters
        ----------
        x_nm, y_nm
            (n,) places, nm: the image's, in object space, less the emitter's.
        z_nm, focus_nm
            As in `psf`.

        Returns
        -------
        (n_z, n) float64.
        """
        return self.psf(np.hypot(x_nm, y_nm), z_nm, focus_nm)

    @property
    def is_radial(self) -> bool:
        """Whether the PSF is symmetric about its axis: `psf_xy` is not given."""
        return type(self).psf_xy is PSFMicroscope.psf_xy

    def through_focus(self, r_nm: Points, z_nm: Points, planes_nm: Points) -> Points:
        """Return the PSFs of emitters at each z on each plane: (len(planes_nm), len(z_nm), len(r_nm)).

        One call of `psf` for each plane; a microscope that can do them together says so by its own method.
        """
        return np.stack([asked(self)(r_nm, z_nm, float(plane)) for plane in planes_nm])

    def integrated_axes(self) -> tuple[bool, bool]:
        """Return whether a pixel integrates over its height (y) and its width (x); what it does not, it samples.

        A sampled axis counts as the pixel's size times the light at its centre.
        """
        return True, True

    def focus_in_sample_nm(self, planes_nm: Points) -> Points:
        """Return the world z that is in focus at each plane; the same where refractive indices match."""
        return planes_nm

    def check_emitters(self, emitters: Emitters) -> None:
        """Raise an `EmitterError` if there are emitters that the microscope cannot see where they are."""

    def image(self, emitters: Emitters, grid: Grid) -> Array:
        """Return (Z, Y, X) expected photons, in the array library and on the device of the emitters.

        On the host they are float32, elsewhere of the dtype of the emitters' photons. With torch they are
        differentiable with respect to the emitters' positions and photons.
        """
        return self.image_many([emitters], grid)[0, ...]

    def image_many(self, batch: Sequence[Emitters], grid: Grid) -> Array:
        """Return (N, Z, Y, X) expected photons of N sets of emitters of one array library and device.

        A device works on as many at a time as its memory holds; on the host one after the other is quickest.

        Raises
        ------
        MishapeError
            If a device has too little memory for one image.
        """
        for emitters in batch:
            self.check_emitters(emitters)
        return fast_images(self, batch, grid)
