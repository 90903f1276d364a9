"""A microscope's PSF as a user's own bead shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr, model_validator

from mishape.engine.component import Keyed, Real
from mishape.engine.errors import MishapeError
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.inputs import Stack, find_input, read_stack
from mishape.engine.types import Points
from mishape.engine.wording import problem
from mishape.plugins.microscopes.bead_psf import BeadPSF, bead_psf
from mishape.plugins.microscopes.beads import find_bead
from mishape.plugins.microscopes.objective import Index, Wavelength

PIXEL_RANGE_NM = (5.0, 1000.0)
STEP_RANGE_NM = (5.0, 5000.0)
NOT_SQUARE = 0.01
"""Relative difference between a pixel's height and width that a file may round off."""


class Measured(PSFMicroscope):
    """A PSF measured with a bead: the average around the axis of one bead's stack, plane by plane.

    The stack shows one bright bead in the middle of the field, unsaturated, from well below the focus to well above,
    in at least 5 planes, with pixels of at most half of the spot's width, and 6 of its widths to every side (a field
    of 3 um at NA 1.2 to 1.4; 6 um let more planes out of focus count). Its peak stands 40 times above the noise (some
    600 photoelectrons in the brightest pixel of 95 nm with little background): widths are then within 5 % laterally and
    10 % axially. Whatever is wrong with it is said when the scene is checked.

    What is done. The axis is found to 0.02 px or better in the planes near the focus together; an axis that tilts
    counts as asymmetry. Each plane is fitted by band-limited functions of the distance from the axis, integrated over
    the pixels' area as the camera does: the PSF is that of a point of the camera, and the engine integrates it over a
    view's own pixels without doing so twice. The band ends where the planes near the focus show no light above the
    noise, and with `na` and `emission_nm` at 2 NA / emission_nm at the latest: noise beyond what the optics pass is not
    fitted. The bead's own size stays in the PSF: a bead of 100 nm widens a spot of 250 nm by 2 %, one of 200 nm by 8 %
    (its diameter squared over 20 adds to the spot's variance). Between planes the PSF follows cubic splines; steps of
    200 nm are fine enough at NA 1.4.

    What is assumed. Beyond the radius where rings sink into the noise, or the field ends, light falls off as r^-3, the
    envelope of every diffraction-limited PSF's tail (the edge of the pupil makes it); it is part of the PSF's integral.
    Planes that would have more than a fifth of their light out there are left out: a defocused cone falls off faster,
    so in the last planes kept the PSF is about a tenth too faint. Beyond the planes kept the cone of the last one, d0
    from the focus, continues self-similarly: S(r, d) = (d0/d)^2 S(r d0/d, d0), as geometric optics has it; for
    sectioning it falls off by another (d0/d)^2, as the light that a pinhole passes does.

    Not in it: polarisation, anything without symmetry about the axis, and a PSF that changes with depth in the sample.
    """

    kind: Literal["measured"] = "measured"
    file: str = Field(min_length=1)
    """The bead's stack, a TIFF of one channel and one time point; relative paths start at the scene file's folder; no
    default."""
    pixel_nm: Real | None = Field(default=None, ge=PIXEL_RANGE_NM[0], le=PIXEL_RANGE_NM[1])
    """Edge of the stack's pixels in object space, nm; 5 to 1000; default what the file states (ImageJ or OME), over
    which a value given here wins."""
    z_step_nm: Real | None = Field(default=None, ge=STEP_RANGE_NM[0], le=STEP_RANGE_NM[1])
    """Distance between the stack's planes, nm; 5 to 5000; default what the file states, over which a value given here
    wins. It is the objective's travel, as the planes of a view are."""
    z_order: Literal["into_sample", "towards_coverslip"] = "into_sample"
    """Where each further plane of the stack has its focus: further into the sample (+z; default, as in this project's
    own stacks) or nearer to the coverslip, as when a stage lifts the sample away from the objective's focus."""
    modality: Literal["widefield", "sectioning"] = "widefield"
    """Whether every plane holds all of an emitter's light (widefield, default) or planes out of focus lose light
    (sectioning: confocal, two-photon); then the plane of focus holds what an emitter gives, the others relative."""
    na: Real | None = Field(default=None, gt=0, lt=1.6)
    """Numerical aperture, given together with `emission_nm`; 0 to 1.6, below `immersion_index`; default none. The two
    limit the fit's lateral band to 2 NA / emission_nm, for sectioning to twice that, as excitation and emission
    multiply; and `mishape psf` lists the named formulas, those of a widefield microscope."""
    emission_nm: Wavelength | None = None
    """Emission wavelength in vacuum, nm, given together with `na`; 200 to 2000; default none."""
    immersion_index: Index = 1.515
    """Refractive index of the immersion; 1 to 2; default 1.515, customary for oil. For the named formulas alone: the
    PSF is the bead's whatever stands here."""
    background: Real | None = Field(default=None, ge=0, le=1e6)
    """Counts of a pixel without light; 0 to 1e6; default: what an r^-3 tail leaves in the outer half of the planes near
    the focus."""
    saturated_at: Real | None = Field(default=None, gt=0, le=1e9)
    """Counts at which the camera saturates, such as 4095 at 12 bits; above 0; default the largest value of the file's
    pixel type, nothing for floating point."""
    max_asymmetry: Real = Field(default=0.03, gt=0, le=1)
    """Share of the energy (of squared light) near the focus that may change around the axis; above 0, at most 1.
    Default 0.03, assumed: widths along x and y then differ by up to a third, and the PSF is off by a sixth."""
    _path: Path = PrivateAttr()

    @model_validator(mode="after")
    def _optics_are_whole(self) -> Self:
        if (self.na is None) != (self.emission_nm is None):
            given, missing = ("emission_nm", "na") if self.na is None else ("na", "emission_nm")
            raise problem(f"{given} is given without {missing}: give both, which limit the fit, or neither")
        if self.na is not None and self.na >= self.immersion_index:
            raise problem(
                f"na {self.na:g} must be below immersion_index {self.immersion_index:g}: no steeper ray leaves that "
                "medium"
            )
        return self

    def model_post_init(self, context: Any, /) -> None:
        """Find the file while the scene's folder is known, and say now what is wrong with it."""
        self._path = find_input("file", self.file, context)
        try:
            _psf(Keyed.of(self))
        except MishapeError as error:
            raise problem(f"file {self.file!r}: {error}") from None

    @property
    def cutoff_per_nm(self) -> float:
        """The highest lateral frequency that the optics pass, cycles per nm; infinite if they are not given."""
        if self.na is None or self.emission_nm is None:
            return math.inf
        return (4 if self.modality == "sectioning" else 2) * self.na / self.emission_nm

    def input_files(self) -> Mapping[str, Path]:
        """Return the stack's path: what is in the file is part of the digest."""
        return {"file": self._path}

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float = 0.0) -> Points:
        """Return the photon fraction per nm^2, (len(z_nm), len(r_nm)), of emitters at z seen from focus_nm."""
        return _psf(Keyed.of(self)).at(r_nm, focus_nm - np.asarray(z_nm))


@lru_cache(maxsize=16)
def _psf(key: Keyed) -> BeadPSF:
    from threadpoolctl import threadpool_limits

    scope: Measured = key.component
    stack = read_stack(scope.input_files()["file"])
    pixel_nm, step_nm = _sizes(stack, scope)
    # Sums in another order differ in their last bits: workers of one thread must find what the parent found.
    with threadpool_limits(1):
        bead = find_bead(stack.data, scope.background, scope.saturated_at or stack.largest)
        signed_nm = step_nm if scope.z_order == "into_sample" else -step_nm
        sectioning = scope.modality == "sectioning"
        return bead_psf(bead, pixel_nm, signed_nm, sectioning, scope.max_asymmetry, scope.cutoff_per_nm)


def _sizes(stack: Stack, scope: Measured) -> tuple[float, float]:
    """Return a pixel's edge and the distance between planes, nm: what is given, else what the file states."""
    pixel_nm, step_nm = scope.pixel_nm or _stated_pixel_nm(stack), scope.z_step_nm or _stated_step_nm(stack)
    if pixel_nm is None or step_nm is None:
        wanted = [
            (pixel_nm, "size of pixels", "pixel_nm, the edge of a pixel in object space"),
            (step_nm, "distance between planes", "z_step_nm, the objective's travel from one plane to the next"),
        ]
        missing = [(what, parameter) for size_nm, what, parameter in wanted if size_nm is None]
        raise MishapeError(
            f"it states no {' and no '.join(what for what, _ in missing)}: "
            f"give {'; and '.join(parameter for _, parameter in missing)}"
        )
    return pixel_nm, step_nm


def _stated_pixel_nm(stack: Stack) -> float | None:
    if stack.pixel_nm is None:
        return None
    height, width = stack.pixel_nm
    if abs(height - width) > NOT_SQUARE * width:
        raise MishapeError(
            f"its pixels are {height:g} nm high and {width:g} nm wide: resample it to square pixels, or give pixel_nm "
            "if the file is wrong"
        )
    return _sane("pixel_nm", width, PIXEL_RANGE_NM)


def _stated_step_nm(stack: Stack) -> float | None:
    return None if stack.z_step_nm is None else _sane("z_step_nm", stack.z_step_nm, STEP_RANGE_NM)


def _sane(parameter: str, stated_nm: float, limits_nm: tuple[float, float]) -> float:
    low, high = limits_nm
    if not low <= stated_nm <= high:
        raise MishapeError(
            f"it states {stated_nm:g} nm for {parameter}, where {low:g} to {high:g} are possible: give {parameter}"
        )
    return stated_nm
