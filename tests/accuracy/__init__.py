"""Images and PSFs against analytic results, independent quadrature and the direct sum.

"Test n" in a docstring is test n of the list in the project's physics notes, section 5; "the table" is that of its
section 2. Each test says where its expected value comes from and why its tolerance is what it is.
"""

from __future__ import annotations

import numpy as np

from mishape.engine.media import same_everywhere
from mishape.engine.optics import Optics, radial_psf
from mishape.engine.types import Emitters, Points
from mishape.plugins.microscopes.confocal import Confocal
from mishape.plugins.microscopes.epi import Epi

EPI1, EPI2, CON1 = Epi(preset="epi1"), Epi(preset="epi2"), Confocal(preset="con1")
PIXEL_NM = {EPI1: 109.0, EPI2: 80.0, CON1: 70.0}
SCOPES = list(PIXEL_NM)
NAMES = ["epi1", "epi2", "con1"]


def emitter(x_nm: float, y_nm: float, z_nm: float = 0.0, photons: float = 1000.0) -> Emitters:
    """One emitter."""
    return Emitters(np.array([[x_nm, y_nm, z_nm]]), np.array([photons]))


def matched_psf(r_nm: Points, z_nm: Points, na: float, wavelength_nm: float, index: float = 1.515) -> Points:
    """The vector PSF in media of one index."""
    return radial_psf(Optics(na, wavelength_nm, same_everywhere(index)), r_nm, z_nm)
