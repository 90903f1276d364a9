"""Spinning-disk confocal microscope."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field

from mishape.engine.component import Real
from mishape.engine.radial import average_over_disk
from mishape.engine.types import Points
from mishape.plugins.microscopes.pinhole import PinholeMicroscope


class SpinningDisk(PinholeMicroscope):
    """A disk of many pinholes, each confocal, before a camera: fast, at the price of cross-talk between pinholes.

    Light goes in and out through the same pinholes, of disk D and area A, on a lattice of cells C. Averaged over the
    disk's turn the response to an emitter is h_em times the sum over the lattice of G = h_ex * D / A * D, convolved.
    The emitter's own pinhole gives G(r). The others count as spread evenly beyond the pinhole's own cell, taken as a
    disk, since their lattice passes in all positions: together they add (A - G convolved with the cell) / C. So far
    from focus the share A / C of the light comes through, whatever the depth, where one pinhole alone would pass none.

    The camera sees where light comes out: with wide pinholes the image is a widefield's, not a scan's.
    """

    kind: Literal["spinning_disk"] = "spinning_disk"
    pinhole_spacing: Real = Field(default=5.0, gt=1.1, le=1000)
    """Distance between neighbouring pinholes of a hexagonal lattice, in pinhole diameters; 1.1 to 1000; default 5, as
    in Yokogawa's disks (50 um holes, 250 um apart)."""

    @property
    def cell_nm2(self) -> float:
        """Area of the disk per pinhole, in object space: of a hexagonal lattice, sqrt(3) / 2 of the spacing squared."""
        return math.sqrt(3) / 2 * (self.pinhole_spacing * 2 * self.pinhole_radius_nm) ** 2

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float = 0.0) -> Points:
        """Return the photon fraction per nm^2, (len(z_nm), len(r_nm)), of emitters at z seen from focus_nm."""
        step_nm, hole_nm, cell_nm = self.table_step_nm, self.pinhole_radius_nm, math.sqrt(self.cell_nm2 / math.pi)
        hole_nm2 = math.pi * hole_nm**2
        around = self.table_radii_nm(float(np.max(r_nm, initial=0)) + cell_nm)
        wider = self.table_radii_nm(float(around[-1]) + hole_nm)
        excitation = self.excitation(self.table_radii_nm(float(wider[-1]) + hole_nm), z_nm, focus_nm)
        hole_lit = average_over_disk(excitation, step_nm, hole_nm, wider) / hole_nm2
        own = average_over_disk(hole_lit, step_nm, hole_nm, r_nm)
        table = average_over_disk(hole_lit, step_nm, hole_nm, around)
        others = (hole_nm2 - average_over_disk(table, step_nm, cell_nm, r_nm)) / self.cell_nm2
        return self.dose * self.emission(r_nm, z_nm, focus_nm) * (own + others)
