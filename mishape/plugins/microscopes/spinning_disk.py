"""Spinning-disk confocal microscope."""

from __future__ import annotations

import math
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from mishape.engine.component import Real
from mishape.engine.radial import average_over_circle, average_over_disk
from mishape.engine.types import Points
from mishape.engine.wording import problem
from mishape.plugins.microscopes.pinhole import PinholeMicroscope

NEIGHBOURS = ((1.0, 6), (math.sqrt(3), 6), (2.0, 6))
"""Distance, in lattice spacings, and number of the nearest pinholes."""
MAX_SPACING_UM = 30.0
"""Between neighbouring pinholes, in the sample: that of real disks is 2 to 5 um."""
NEAR_CELLS = 1 + sum(count for _, count in NEIGHBOURS)


class SpinningDisk(PinholeMicroscope):
    """A disk of many pinholes, each confocal, before a camera: fast, at the price of cross-talk between pinholes.

    Light goes in and out through the same pinholes, disks D of area A on a hexagonal lattice of cells C. Averaged over
    the disk's turn, the response to an emitter is h_em times the sum over the lattice of G = h_ex * D / A * D
    (convolved). The emitter's own pinhole gives G(r); the nearest 18 are averaged over the lattice's orientation; those
    further away count as spread evenly. So far from focus the share A / C of the light comes through, whatever the
    depth, where one pinhole alone would pass ever less.

    The camera sees where light comes out: with wide pinholes the image is a widefield's, not a scan's.
    """

    kind: Literal["spinning_disk"] = "spinning_disk"
    pinhole_spacing: Real = Field(default=5.0, gt=1.1, le=1000)
    """Distance between neighbouring pinholes of a hexagonal lattice, in pinhole diameters; 1.1 to 1000; default 5, as
    in Yokogawa's disks (50 um holes, 250 um apart)."""

    @model_validator(mode="after")
    def _pinholes_are_near(self) -> Self:
        spacing_um = self.pinhole_spacing * 2e-3 * self.pinhole_radius_nm
        if spacing_um > MAX_SPACING_UM:
            raise problem(
                f"pinhole_au {self.pinhole_au:g} and pinhole_spacing {self.pinhole_spacing:g} put the pinholes "
                f"{spacing_um:.0f} um apart in the sample: at most {MAX_SPACING_UM:g} um are possible"
            )
        return self

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: Points | float = 0.0) -> Points:
        """Return the photon fraction per nm^2, (len(z_nm), len(r_nm)), of emitters at z seen from focus_nm."""
        step_nm, hole_nm = self.table_step_nm, self.pinhole_radius_nm
        spacing_nm = self.pinhole_spacing * 2 * hole_nm
        cell_nm2 = math.sqrt(3) / 2 * spacing_nm**2
        near_nm = math.sqrt(NEAR_CELLS * cell_nm2 / math.pi)
        lit = self._lit(self.table_radii_nm(float(np.max(r_nm, initial=0)) + near_nm), z_nm, focus_nm)
        own = average_over_circle(lit, step_nm, 0.0, r_nm)
        ring = sum(count * average_over_circle(lit, step_nm, far * spacing_nm, r_nm) for far, count in NEIGHBOURS)
        others = (math.pi * hole_nm**2 - average_over_disk(lit, step_nm, near_nm, r_nm)) / cell_nm2
        return self.dose * self.emission(r_nm, z_nm, focus_nm) * (own + ring + others)

    def _lit(self, radii: Points, z_nm: Points, focus_nm: Points | float) -> Points:
        """Return G: the light that an emitter gets through a pinhole, if it comes out through that pinhole again."""
        step_nm, hole_nm = self.table_step_nm, self.pinhole_radius_nm
        wider = self.table_radii_nm(float(radii[-1]) + hole_nm)
        excitation = self.excitation(self.table_radii_nm(float(wider[-1]) + hole_nm), z_nm, focus_nm)
        through = average_over_disk(excitation, step_nm, hole_nm, wider) / (math.pi * hole_nm**2)
        return average_over_disk(through, step_nm, hole_nm, radii)
