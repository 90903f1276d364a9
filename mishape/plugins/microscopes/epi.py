"""Epifluorescence (widefield) microscope."""

from __future__ import annotations

from typing import ClassVar, Literal

from mishape.engine.types import Points
from mishape.plugins.microscopes.objective import Objective, Wavelength


class Epi(Objective):
    """Widefield imaging: every plane of an unbounded grid receives all photons of every emitter, whatever the focus.

    The image does not depend on the excitation.

    Presets
    -------
    epi1, epi2
        The two epifluorescence microscopes of the MiShape paper (its Table S1), in matched media. The table's "optical
        resolution" of 245 nm for epi1 is lambda / (2 NA) at NA 1.40; NA 1.42, as everywhere else in the paper, gives
        242 nm.
    sekh2021
        The optics of the simulator of Sekh et al. 2021 (doi 10.1038/s42256-021-00420-0), to compare with: scalar, the
        aperture cut off at the sample's 1.33, read at the pixels' centres. The plane z = 0 is its stage at -1 um: the
        objective is 1 um nearer to the sample than when focused on the coverslip. Emitters are brightest 0.73 um above
        the coverslip; it had them at 0.1 to 1.3 um, so objects belong around z = -0.2 um. The indices of immersion and
        coverslip, which it does not state, are 1.5 here, with which that focus comes out (1.515 would give 0.71 um).
    """

    presets: ClassVar = {
        "epi1": {"na": 1.42, "emission_nm": 688.0, "magnification": 60.0},
        "epi2": {"na": 1.4, "emission_nm": 608.0, "magnification": 60.0},
        "sekh2021": {
            "na": 1.4,
            "emission_nm": 608.0,
            "immersion_index": 1.5,
            "sample_index": 1.33,
            "depth_nm": 1000 * 1.33 / 1.5,
            "model": "scalar",
            "sampling": "point",
        },
    }

    kind: Literal["epi"] = "epi"
    preset: Literal["epi1", "epi2", "sekh2021"] | None = None
    """Named parameter set; single parameters given beside it win. Default none."""
    excitation_nm: Wavelength | None = None
    """Excitation wavelength in vacuum, nm; 200 to 2000; default none. Kept as provenance: widefield images do not
    depend on it."""
    sampling: Literal["area", "point"] = "area"
    """``area`` (default): a pixel holds the light that falls on its area. ``point``: the light at its centre, times its
    area, as some simulators do; a lone emitter on 80 nm pixels is then 4 % wrong."""

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: Points | float = 0.0) -> Points:
        """Return the photon fraction per nm^2, (len(z_nm), len(r_nm)), of emitters at z seen from focus_nm."""
        return self.emission(r_nm, z_nm, focus_nm)

    def integrated_axes(self) -> tuple[bool, bool]:
        """Return whether pixels integrate along rows (y) and columns (x)."""
        return (self.sampling == "area",) * 2
