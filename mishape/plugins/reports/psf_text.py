"""The numbers of a view's PSF as lines of text, for a terminal and for the sheet."""

from __future__ import annotations

from collections.abc import Iterator

from mishape.engine.formulas import Formula
from mishape.engine.resolution import Spectrum
from mishape.plugins.reports.psf_numbers import Band, PSFOfView, sampling


def measures_of(psf: PSFOfView) -> Iterator[tuple[str, str]]:
    """Yield what was measured as names and values, one line each."""
    found, pixel_nm = psf.resolution, psf.view.grid.pixel_nm
    yield (
        "lateral FWHM",
        f"{found.lateral_fwhm_nm:.1f} nm ({found.lateral_fwhm_nm / pixel_nm:.2f} px of {pixel_nm:g} nm)",
    )
    axial_nm = found.axial_fwhm_nm
    yield "axial FWHM", "none: all planes are alike" if axial_nm is None else f"{axial_nm:.1f} nm"
    yield "brightest plane", f"{round(found.brightest_nm)} nm from nominal focus"
    for band in psf.bands:
        yield f"in focus at {band.plane_nm:g} nm", _band_text(band)
    yield "detected fraction", f"{found.detected_fraction:.3f} of the photons, in the brightest plane"
    yield "lateral cut-off", _cutoff_text(found.lateral, psf.cutoffs[0])
    yield "axial cut-off", _cutoff_text(found.axial, psf.cutoffs[1])
    remarks = sampling(psf)
    yield "pixel", remarks["pixel_remark"]
    if remarks["z_step_remark"]:
        yield "planes apart", remarks["z_step_remark"]


def _band_text(band: Band) -> str:
    if band.low_nm is None or band.high_nm is None:
        return "every z"
    return f"z {round(band.low_nm)} to {round(band.high_nm)} nm"


def _cutoff_text(measured: Spectrum | None, formula: Formula | None) -> str:
    cutoff = measured and measured.cutoff_per_um
    seen = f"{cutoff:.2f} /um measured" if cutoff else "not measured"
    return seen if formula is None else f"{seen}, {formula.value:.2f} by formula"


def formulas_of(psf: PSFOfView) -> list[tuple[str, str, str, str]]:
    """Return the formulas as rows of text: name, value, formula, wavelength."""
    rows = [(one, f"{one.value:.1f} nm") for one in psf.lengths]
    rows += [(one, f"{one.value:.2f} /um") for one in psf.cutoffs if one]
    return [(one.name, value, one.text, f"{one.light} {one.wavelength_nm:.0f} nm") for one, value in rows]


def text_of(psf: PSFOfView) -> str:
    """Return the numbers for a terminal."""
    lines = [f"{psf.name} ({psf.view.microscope.kind}), an emitter at the world's origin:"]
    lines += [f"  {name:24} {value}" for name, value in measures_of(psf)]
    rows = formulas_of(psf)
    lines.append(
        "  by formula:" if rows else "  no formulas: the microscope does not say na, emission_nm and immersion_index"
    )
    lines += [f"    {name:30} {value:>10}  {formula}  ({light})" for name, value, formula, light in rows]
    return "\n".join(lines)
