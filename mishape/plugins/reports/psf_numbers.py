"""The numbers of a view's PSF: measured, by formula, and what they mean for its pixels, as plain data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mishape.engine import formulas
from mishape.engine.formulas import Formula, OpticalParameters
from mishape.engine.grid import Grid
from mishape.engine.lone_emitter import LoneEmitter
from mishape.engine.resolution import Resolution, Spectrum, measure
from mishape.engine.scene import View
from mishape.plugins.reports.panels import chosen_planes
from mishape.plugins.truths.in_focus import in_focus_band_nm

PIXELS_PER_WIDTH, PLANES_PER_WIDTH = 12, 10
LATERAL_WIDTHS, AXIAL_WIDTHS = 8, 4
"""The stack reaches this many FWHM to each side: far enough for the rings and the cone."""
FAINTEST = 1e-3
"""Contrast that no camera sees, where no formula says where contrast ends."""
DIGITS = 6


@dataclass(frozen=True)
class Band:
    """The range of an emitter's z that one plane of a view sees in focus, nm; no ends where it sees all alike."""

    plane_nm: float
    low_nm: float | None
    high_nm: float | None


@dataclass(frozen=True)
class PSFOfView:
    """What was measured of one view.

    Parameters
    ----------
    name, view
        The view.
    emitter, resolution
        An emitter at the world's origin, and its light's measures.
    bands
        The in-focus band of the view's lowest plane, of the one nearest to 0, and of the highest.
    """

    name: str
    view: View
    emitter: LoneEmitter
    resolution: Resolution
    bands: tuple[Band, ...]

    @cached_property
    def optics(self) -> OpticalParameters | None:
        """The parameters that formulas need, if the microscope says them."""
        return OpticalParameters.of(self.view.microscope)

    @cached_property
    def matched(self) -> LoneEmitter | None:
        """The emitter through the same microscope in matched media, focused on it at travel 0.

        None for a microscope that does not say what that is, by a method ``matched_twin``.
        """
        twin = getattr(self.view.microscope, "matched_twin", None)
        return None if twin is None else LoneEmitter(twin(), self.view.grid.pixel_nm)

    @property
    def is_matched(self) -> bool:
        """Whether all media are matched, as far as the microscope says."""
        return self.matched is None or self.matched.microscope is self.view.microscope

    @cached_property
    def peak_of_matched(self) -> float | None:
        """The largest density on the axis, as a fraction of that in matched media."""
        if self.matched is None:
            return None
        on_axis = np.zeros(1)
        here, there = self.emitter.density(on_axis, on_axis + self.resolution.brightest_nm), self.matched.density
        return float(here[0, 0] / there(on_axis, on_axis)[0, 0])

    @property
    def remarks(self) -> list[str]:
        """What the formulas do not know of the microscope."""
        return [] if self.optics is None else formulas.remarks(self.view.microscope)

    @property
    def lengths(self) -> list[Formula]:
        """The formulas of lengths that belong to the microscope; none where it does not say its optics."""
        return [] if self.optics is None else formulas.lengths(self.optics, self.view.grid.pixel_nm)

    @property
    def cutoffs(self) -> tuple[Formula | None, Formula | None]:
        """The lateral and the axial cut-off by formula."""
        optics = self.optics
        return (formulas.lateral_cutoff(optics), formulas.axial_cutoff(optics)) if optics else (None, None)

    @cached_property
    def fine_grid(self) -> Grid:
        """The grid of the stack: odd, centred on the axis and on the plane nearest to the brightest.

        A pixel is a twelfth of the lateral FWHM, planes are a tenth of the axial FWHM apart, both rounded down to two
        digits; 8 lateral and 4 axial FWHM to each side. Planes count from nominal focus in whole steps.
        """
        found = self.resolution
        pixel_nm = min(max(1.0, two_digits(found.lateral_fwhm_nm / PIXELS_PER_WIDTH)), 1e5)
        side = 2 * math.ceil(LATERAL_WIDTHS * found.lateral_fwhm_nm / pixel_nm) + 1
        if found.axial_fwhm_nm is None:
            return Grid((1, side, side), pixel_nm, planes_nm=(0.0,))
        step_nm = two_digits(found.axial_fwhm_nm / PLANES_PER_WIDTH)
        middle, half = round(found.brightest_nm / step_nm), math.ceil(AXIAL_WIDTHS * found.axial_fwhm_nm / step_nm)
        planes_nm = tuple(round(step_nm * number, 6) for number in range(middle - half, middle + half + 1))
        return Grid((len(planes_nm), side, side), pixel_nm, planes_nm=planes_nm)


def two_digits(length: float) -> float:
    """Return a length rounded down to two significant digits."""
    decade = 10.0 ** (math.floor(math.log10(length)) - 1)
    return float(f"{math.floor(length / decade + 1e-9) * decade:.6g}")


def psf_of_view(name: str, view: View) -> PSFOfView:
    """Measure a view's PSF for an emitter at the world's origin.

    Raises
    ------
    MishapeError
        If the microscope's light has no width, or is not finite.
    """
    emitter = LoneEmitter(view.microscope, view.grid.pixel_nm)
    resolution = measure(emitter)
    planes = view.grid.centers_nm()[0]
    bands = tuple(_band(view, float(planes[n]), resolution) for n in chosen_planes(planes))
    return PSFOfView(name, view, emitter, resolution, bands)


def _band(view: View, plane_nm: float, resolution: Resolution) -> Band:
    ends = (None, None) if resolution.axial_fwhm_nm is None else in_focus_band_nm(view.microscope, plane_nm)
    return Band(plane_nm, *ends)


def data_of(psf: PSFOfView) -> dict[str, Any]:
    """Return the numbers as plain data, six digits each; keys say their units."""
    found, grid = psf.resolution, psf.fine_grid
    planes_nm = grid.centers_nm()[0]
    return dict(
        _rounded(
            {
                "view": psf.name,
                "microscope": psf.view.microscope.model_dump(mode="json"),  # type: ignore[attr-defined]
                "emitter": "at the world's origin",
                "stack": {
                    "values": "photon fraction per pixel of this stack",
                    "shape_zyx": list(grid.shape),
                    "pixel_nm": grid.pixel_nm,
                    "z_step_nm": None if len(planes_nm) == 1 else float(planes_nm[1] - planes_nm[0]),
                    "first_plane_nm": float(planes_nm[0]),
                },
                "peak_of_matched_media": psf.peak_of_matched,
                "lateral_fwhm_nm": found.lateral_fwhm_nm,
                "lateral_fwhm_px": found.lateral_fwhm_nm / psf.view.grid.pixel_nm,
                "axial_fwhm_nm": found.axial_fwhm_nm,
                "brightest_plane_nm": found.brightest_nm,
                "in_focus_bands": [asdict(band) for band in psf.bands],
                "detected_fraction": found.detected_fraction,
                "detected_fraction_error": found.detected_fraction_error,
                "lateral_cutoff": _cutoff(found.lateral, psf.cutoffs[0]),
                "axial_cutoff": _cutoff(found.axial, psf.cutoffs[1]),
                "sampling": sampling(psf),
                "formulas": [_formula(formula, "value_nm") for formula in psf.lengths],
                "formula_remarks": psf.remarks,
            }
        )
    )


def _formula(formula: Formula, unit: str) -> dict[str, Any]:
    plain = asdict(formula)
    return {unit: plain.pop("value"), **plain}


def _cutoff(measured: Spectrum | None, formula: Formula | None) -> dict[str, Any]:
    return {
        "measured_per_um": measured and measured.cutoff_per_um,
        "measured_at_level": measured.level if measured and measured.cutoff_per_um else None,
        "formula": formula and _formula(formula, "value_per_um"),
    }


def sampling(psf: PSFOfView) -> dict[str, Any]:
    """Return a view's pixel and plane distance beside what Nyquist asks for: half a period of the cut-off, nm.

    The cut-offs are the formulas'. For a microscope that does not say its optics, contrast of less than a thousandth
    counts as none. What a coarser distance loses is the measured contrast beyond its own Nyquist frequency.
    """
    grid, found = psf.view.grid, psf.resolution
    lateral, axial = (
        formula.value if formula else spectrum.ends_per_um(FAINTEST) if spectrum else None
        for formula, spectrum in zip(psf.cutoffs, (found.lateral, found.axial), strict=True)
    )
    step_nm = grid.z_step_nm if grid.shape[0] > 1 else None
    lost, axial_lost = _contrast_beyond(found.lateral, grid.pixel_nm), _contrast_beyond(found.axial, step_nm)
    return {
        "pixel_nm": grid.pixel_nm,
        "nyquist_counts": "all contrast" if psf.optics else f"contrast above {FAINTEST:g}",
        "nyquist_pixel_nm": _half_period_nm(lateral),
        "contrast_beyond_pixel": lost,
        "pixel_remark": _remark(grid.pixel_nm, _half_period_nm(lateral), lost),
        "z_step_nm": step_nm,
        "nyquist_z_step_nm": _half_period_nm(axial),
        "contrast_beyond_z_step": axial_lost,
        "z_step_remark": step_nm and _remark(step_nm, _half_period_nm(axial), axial_lost),
    }


def _half_period_nm(cutoff_per_um: float | None) -> float | None:
    return 500.0 / cutoff_per_um if cutoff_per_um else None


def _contrast_beyond(spectrum: Spectrum | None, given_nm: float | None) -> float | None:
    return spectrum.highest_beyond(500.0 / given_nm) if spectrum and given_nm else None


def _remark(given_nm: float, nyquist_nm: float | None, lost: float | None) -> str:
    if nyquist_nm is None:
        return f"{given_nm:g} nm; no cut-off is known to compare with"
    if given_nm <= nyquist_nm:
        return f"{given_nm:g} nm is fine enough: Nyquist's is {nyquist_nm:.1f} nm"
    above = f"{given_nm:g} nm is above Nyquist's {nyquist_nm:.1f} nm"
    if lost is None:
        return above
    return f"{above}: contrast {'below 0.1' if lost < FAINTEST else f'up to {100 * lost:.2g}'} % is lost"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
