"""What every microscope with an objective has: its aperture, the light it images, and the media before it."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from mishape.engine import arrays
from mishape.engine.component import Keyed, Real
from mishape.engine.errors import EmitterError
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.media import Media
from mishape.engine.optics import Optics, radial_psf
from mishape.engine.types import Emitters, Points
from mishape.engine.wording import problem

Index = Annotated[Real, Field(ge=1, le=2)]
Thickness = Annotated[Real, Field(gt=0, le=2000)]
Wavelength = Annotated[Real, Field(ge=200, le=2000)]
Line = tuple[Wavelength, Annotated[Real, Field(gt=0, le=1e9)]]
FOCUS_STEP_NM, FOCUS_REACH_NM, FOCUS_STEPS = 25.0, 1000.0, 1000
"""The focus is searched in steps of 25 nm; far in, where aberration makes it long, in at most 2000 steps."""
MAX_LINES = 64
BELOW_NM = 0.5
"""Emitters may lie this far below the coverslip: a label sits on a surface to within rounding."""


def _some_lines(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    if not 1 <= len(lines) <= MAX_LINES:
        raise problem(f"{len(lines)} lines given: 1 to {MAX_LINES} are expected, each [wavelength in nm, photons]")
    return lines


class Objective(PSFMicroscope):
    """An objective of high aperture, imaging freely rotating dipoles through immersion, coverslip and sample.

    With the defaults all media are matched. Where they are not, the objective's design counts: it images without
    aberration through a coverslip and an immersion layer as designed, and onto the coverslip (depth 0). Light that the
    sample's index would not let reach the aperture (`na` above `sample_index`) comes only from emitters within a
    wavelength of the coverslip, as evanescent waves: the vector model includes it, the scalar model cuts it off.
    """

    na: Real = Field(gt=0, lt=1.6)
    """Numerical aperture; 0 to 1.6, below the indices of immersion and coverslip; no default: the preset's or yours."""
    emission_nm: Wavelength
    """Emission wavelength in vacuum, nm; 200 to 2000; no default: the preset's or yours."""
    emission_spectrum: Annotated[tuple[Line, ...], AfterValidator(_some_lines)] | None = None
    """Lines of the emission, 1 to 64, each [wavelength in nm, relative photons], 200 to 2000 and above 0: the PSF is
    their weighted mean. Default none: all light has `emission_nm`, which also defines the Airy unit."""
    immersion_index: Index = 1.515
    """Refractive index of the immersion; 1 to 2; default 1.515, customary for oil."""
    immersion_design_index: Index | None = None
    """Index of the immersion that the objective is designed for; 1 to 2; default as `immersion_index`."""
    working_distance_um: Thickness = 150.0
    """Thickness of the immersion layer in the design, um; counts only where immersion and design differ; above 0 to
    2000; default 150, as the authors of the MiShape paper use and usual for oil objectives."""
    coverslip_index: Index | None = None
    """Refractive index of the coverslip; 1 to 2; default as `immersion_index`: oil meets glass. Glass has about
    1.52: give it for water and air objectives, else there is no coverslip."""
    coverslip_design_index: Index | None = None
    """Index of the coverslip that the objective is designed for; 1 to 2; default as `coverslip_index`."""
    coverslip_thickness_um: Thickness = 170.0
    """Thickness of the coverslip, um; above 0 to 2000; default 170, as designed."""
    coverslip_design_thickness_um: Thickness = 170.0
    """Thickness of the coverslip that the objective is designed for, um; above 0 to 2000; default 170, the 0.17
    engraved on most objectives."""
    sample_index: Index | None = None
    """Refractive index around the emitters; 1 to 2; default as `immersion_index`, matched. Water has 1.33, live cells
    1.36 to 1.38, glycerol mountants 1.46, ProLong and the like 1.47 to 1.52."""
    depth_nm: Real = Field(default=0.0, ge=0, le=1e6)
    """Distance of the world's origin from the coverslip, nm; 0 to 1e6; default 0. It matters where `sample_index` is
    not the immersion's. Where it is not the coverslip's, emitters below the coverslip are refused."""
    model: Literal["vector", "scalar"] = "vector"
    """``vector`` (default): polarised light through Fresnel's interfaces. ``scalar``: Gibson & Lanni's, its aperture
    cut off at the sample's index, for comparison with other software; at NA 1.4 its stacks are wrong by 16 % (scaled to
    their peaks) to 27 % (as they are)."""
    magnification: Real | None = Field(default=None, gt=0, le=1000)
    """Magnification of the objective; above 0 to 1000; default none. Kept as provenance: pixels are given in object
    space."""

    @model_validator(mode="after")
    def _light_enters(self) -> Self:
        media = self.media
        for name, index in (
            ("immersion_index", media.immersion),
            ("immersion_design_index", media.immersion_design),
            ("coverslip_index", media.coverslip),
            ("coverslip_design_index", media.coverslip_design),
        ):
            if self.na >= index:
                raise problem(f"na {self.na:g} must be below {name} {index:g}: no steeper ray leaves that medium")
        if media.immersion_nm <= 0:
            raise problem(
                f"depth_nm {self.depth_nm:g} and coverslip_thickness_um {self.coverslip_thickness_um:g} leave no room "
                f"for the immersion: the objective would have to move {-media.immersion_nm / 1e3:.0f} um into the "
                "coverslip. Give a smaller depth, a thinner coverslip, or the objective's own working_distance_um"
            )
        return self

    @property
    def media(self) -> Media:
        """The layers, every index resolved; lengths in nm."""
        immersion = self.immersion_index
        coverslip = self.coverslip_index or immersion
        return Media(
            immersion=immersion,
            coverslip=coverslip,
            sample=self.sample_index or immersion,
            immersion_design=self.immersion_design_index or immersion,
            coverslip_design=self.coverslip_design_index or coverslip,
            coverslip_nm=1e3 * self.coverslip_thickness_um,
            coverslip_design_nm=1e3 * self.coverslip_design_thickness_um,
            immersion_design_nm=1e3 * self.working_distance_um,
            depth_nm=self.depth_nm,
        )

    def matched_twin(self) -> Self:
        """Return the same microscope with the immersion's index everywhere: no aberration, focus on the world's origin.

        The sharpest PSF that this aperture and light can have, to compare with; itself where the media are matched.
        """
        if self.media.matched:
            return self
        names = ("coverslip_index", "sample_index", "immersion_design_index", "coverslip_design_index")
        matched = dict.fromkeys(names, self.immersion_index)
        # Thicknesses have no effect there, but must leave room for the immersion.
        room = {"depth_nm": 0.0, "coverslip_thickness_um": self.coverslip_design_thickness_um}
        return self.model_copy(update={**matched, **room})

    def emission(self, r_nm: Points, z_nm: Points, focus_nm: Points | float = 0.0) -> Points:
        """Return the emission's PSF: (len(z_nm), len(r_nm)) photon fraction per nm^2, each row 1 over the plane."""
        lines = self.emission_spectrum or ((self.emission_nm, 1.0),)
        tables = (photons * self._line(nm, r_nm, z_nm, focus_nm) for nm, photons in lines)
        return np.asarray(sum(tables) / sum(photons for _, photons in lines))

    def _line(self, wavelength_nm: float, r_nm: Points, z_nm: Points, focus_nm: Points | float) -> Points:
        return radial_psf(Optics(self.na, wavelength_nm, self.media, self.model), r_nm, z_nm, focus_nm)

    def through_focus(self, r_nm: Points, z_nm: Points, planes_nm: Points) -> Points:
        """Return the PSFs of emitters at each z on each plane, (len(planes_nm), len(z_nm), len(r_nm)), all at once."""
        planes, z = np.repeat(planes_nm, len(z_nm)), np.tile(z_nm, len(planes_nm))
        return self.psf(r_nm, z, planes).reshape(len(planes_nm), len(z_nm), len(r_nm))

    @abstractmethod
    def psf(self, r_nm: Points, z_nm: Points, focus_nm: Points | float) -> Points:
        """Return the PSF as `PSFMicroscope` says; `focus_nm` may hold one plane for each z."""

    def focus_in_sample_nm(self, planes_nm: Points) -> Points:
        """Return the world z of emitters that are brightest at each plane; the plane's own z in matched media.

        It is found in the PSF itself: spherical aberration moves it by hundreds of nm from the paraxial
        n_sample / n_immersion of the travel.
        """
        if self.media.matched:
            return planes_nm
        return np.array([_sharp_nm(Keyed.of(self), float(plane)) for plane in planes_nm])

    def check_emitters(self, emitters: Emitters) -> None:
        """Raise an `EmitterError` if one lies below the coverslip and the sample's index is not the coverslip's."""
        media = self.media
        if len(emitters) and media.sample != media.coverslip:
            lowest_nm = float(arrays.namespace(emitters.xyz_nm).min(emitters.xyz_nm[:, 2]))
            if lowest_nm + self.depth_nm < -BELOW_NM:
                raise EmitterError(
                    f"an emitter at z {lowest_nm:.0f} nm lies below the coverslip, which is at {0 - self.depth_nm:g} "
                    f"nm: raise the microscope's depth_nm to at least {-lowest_nm:.0f}, or move the objects up"
                )


@lru_cache(maxsize=1024)
def _sharp_nm(key: Keyed, focus_nm: float) -> float:
    """Return the world z of the emitter whose brightest plane is this one.

    First the emitter that is the brightest in this plane, looked for above the coverslip and around the paraxial focus:
    within half of the depth, which spherical aberration does not exceed where light of that aperture has any focus at
    all. Deeper emitters are dimmer, so its own brightest plane lies a little further on: it is moved back by that.
    """
    scope: Objective = key.component
    media, psf = scope.media, scope.psf
    per_travel = media.sample / media.immersion
    depth_nm = focus_nm * per_travel + media.depth_nm
    if depth_nm <= 0:
        return focus_nm * per_travel
    reach_nm = depth_nm / 2 + FOCUS_REACH_NM
    step_nm = max(FOCUS_STEP_NM, reach_nm / FOCUS_STEPS)
    z = np.arange(max(-reach_nm, -depth_nm), reach_nm, step_nm) + focus_nm * per_travel
    brightest_nm = _top(z, psf(np.zeros(1), z, focus_nm)[:, 0])
    planes = focus_nm + FOCUS_STEP_NM * np.arange(-8.0, 9)
    own = scope.through_focus(np.zeros(1), np.array([brightest_nm]), planes)[:, 0, 0]
    return brightest_nm + (focus_nm - _top(planes, own)) * per_travel


def _top(place: Points, value: Points) -> float:
    """Return where evenly spaced values are highest, by a parabola through the three highest."""
    top = int(np.clip(value.argmax(), 1, len(place) - 2))
    before, peak, after = value[top - 1 : top + 2]
    bend = before - 2 * peak + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(place[top] + (place[1] - place[0]) * np.clip(shift, -1, 1))
