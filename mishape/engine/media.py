"""The layers that light passes between objective and emitter: immersion, coverslip, sample.

Lateral wave numbers are written as q = n sin(theta), which is the same in all layers (Snell), in units of 2 pi over the
vacuum wavelength; n cos(theta) = sqrt(n^2 - q^2) is imaginary where light of that q is evanescent in a layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mishape.engine.types import Points

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Media:
    """Refractive indices and thicknesses, as they are and as the objective was designed for; lengths in nm.

    Parameters
    ----------
    immersion, coverslip, sample
        Refractive indices.
    immersion_design, coverslip_design
        Those of the objective's design.
    coverslip_nm, coverslip_design_nm
        Thickness of the coverslip.
    immersion_design_nm
        Thickness of the immersion layer in the design (the working distance).
    depth_nm
        Distance of the world's origin from the coverslip.
    """

    immersion: float
    coverslip: float
    sample: float
    immersion_design: float
    coverslip_design: float
    coverslip_nm: float = 170e3
    coverslip_design_nm: float = 170e3
    immersion_design_nm: float = 150e3
    depth_nm: float = 0.0

    @property
    def matched(self) -> bool:
        """Whether light passes all layers unbent and unaberrated."""
        actual = {self.immersion, self.coverslip, self.sample}
        return actual == {self.immersion_design} == {self.coverslip_design}

    @property
    def immersion_nm(self) -> float:
        """Thickness of the immersion layer when the objective is paraxially focused on the world's origin.

        Gibson & Lanni, J. Opt. Soc. Am. A 8, 1601 (1991), their eq. 4: what the rays near the axis see is kept.
        """
        designed = self.immersion_design_nm / self.immersion_design + self.coverslip_design_nm / self.coverslip_design
        return self.immersion * (designed - self.coverslip_nm / self.coverslip - self.depth_nm / self.sample)

    @property
    def smallest_index(self) -> float:
        """The smallest index in any layer."""
        return min(self.immersion, self.coverslip, self.sample, self.immersion_design, self.coverslip_design)

    def path_nm(self, q: Points) -> Complex:
        """Return the optical path to the world's origin, less that in the design, at each q: (n_q,) nm.

        The optical path difference of Gibson & Lanni (1991); imaginary parts are the decay of evanescent light.
        """
        layers = (
            (self.coverslip_nm, self.coverslip),
            (-self.coverslip_design_nm, self.coverslip_design),
            (self.immersion_nm, self.immersion),
            (-self.immersion_design_nm, self.immersion_design),
        )
        path = sum(thickness_nm * axial(q, index) for thickness_nm, index in layers)
        return path + self.depth_nm * axial(q, self.sample)

    def transmitted(self, q: Points) -> tuple[Complex, Complex]:
        """Return Fresnel's amplitudes for s and p light from the immersion through the coverslip into the sample.

        By reciprocity they are those of emission too. Light reflected within the coverslip is incoherent and left out.
        """
        s = p = np.ones(len(q), dtype=np.complex128)
        for before, after in ((self.immersion, self.coverslip), (self.coverslip, self.sample)):
            here, there = axial(q, before), axial(q, after)
            s = s * 2 * here / (here + there)
            p = p * 2 * before * after * here / (after**2 * here + before**2 * there)
        return s, p


def same_everywhere(index: float) -> Media:
    """Return matched media of one index."""
    return Media(index, index, index, index, index)


def axial(q: Points, index: float) -> Complex:
    """Return n cos(theta) = sqrt(n^2 - q^2); +i times a real number where light of that q is evanescent."""
    root: Complex = np.sqrt(index**2 - q**2 + 0j)
    return root
