"""The numbers of a view's PSF as lines of text, for a terminal and for the sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mishape.engine.formulas import Formula
from mishape.engine.resolution import Resolution, Spectrum
from mishape.plugins.reports.psf_numbers import Band, PSFOfView, sampling


def measures_of(psf: PSFOfView) -> Iterator[tuple[str, str]]:
    """Yield what was measured as names and values, one line each."""
    found, pixel_nm = psf.resolution, psf.view.grid.pixel_nm
    if psf.peak_of_matched is not None:
        which = ", as these are" if psf.is_matched else ""
        yield "peak", f"{psf.peak_of_matched:.2f} of the same objective's in matched media{which}"
    yield (
        "lateral FWHM",
        f"{found.lateral_fwhm_nm:.1f} nm ({found.lateral_fwhm_nm / pixel_nm:.2f} px of {pixel_nm:g} nm)",
    )
    axial_nm = found.axial_fwhm_nm
    yield "axial FWHM", "none: all planes are alike" if axial_nm is None else f"{axial_nm:.1f} nm"
    yield "brightest plane", f"{round(found.brightest_nm)} nm from nominal focus"
    for band in psf.bands:
        yield f"in focus at {band.plane_nm:g} nm", _band_text(band)
    yield "detected fraction", f"{_fraction_text(found)} of the photons, in the brightest plane"
    yield "lateral cut-off", _cutoff_text(found.lateral, psf.cutoffs[0])
    yield "axial cut-off", _cutoff_text(found.axial, psf.cutoffs[1])
    remarks = sampling(psf)
    yield "pixel", remarks["pixel_remark"]
    if remarks["z_step_remark"]:
        yield "planes apart", remarks["z_step_remark"]


def _fraction_text(found: Resolution) -> str:
    """Return the detected fraction to as many digits, three at most, as its error leaves right to half of the last."""
    error = found.detected_fraction_error or 0.0
    return f"{found.detected_fraction:.{min(3, max(0, math.floor(-math.log10(max(2 * error, 1e-9)))))}f}"


def _band_text(band: Band) -> str:
    if band.low_nm is None or band.high_nm is None:
        return "every z"
    return f"z {round(band.low_nm)} to {round(band.high_nm)} nm"


def _cutoff_text(measured: Spectrum | None, formula: Formula | None) -> str:
    cutoff = measured and measured.cutoff_per_um
    seen = f"{cutoff:.2f} /um measured" if cutoff else "not measured"
    return seen if formula is None else f"{seen}, {formula.value:.2f} by formula ({_light(formula)})"


def _light(formula: Formula) -> str:
    return f"{formula.light} {formula.wavelength_nm:.0f} nm"


def formulas_of(psf: PSFOfView) -> list[tuple[str, str, str, str]]:
    """Return the formulas as rows of text: name, value, formula, and the wavelength where it is not that of all."""
    rows = [(one, f"{one.value:.1f} nm") for one in psf.lengths]
    rows += [(one, f"{one.value:.2f} /um") for one in psf.cutoffs if one]
    common = common_light(psf)
    return [(one.name, value, one.text, "" if common else _light(one)) for one, value in rows]


def common_light(psf: PSFOfView) -> str:
    """Return the wavelength that all formulas use, in brackets, if they use the same."""
    lights = {_light(one) for one in [*psf.lengths, *psf.cutoffs] if one}
    return f" ({lights.pop()})" if len(lights) == 1 else ""


SET = {
    "sample_index": "sample n {:g}",
    "depth_nm": "{:g} nm deep",
    "coverslip_index": "coverslip n {:g}",
    "coverslip_thickness_um": "coverslip {:g} um",
}
"""How the media are named where a microscope sets them."""


def optics_of(psf: PSFOfView) -> str:
    """Return the microscope's kind and, if it says its optics, its aperture, media and light."""
    scope, optics = psf.view.microscope, psf.optics
    if optics is None:
        return scope.kind
    given = {name: getattr(scope, name) for name in SET if name in getattr(scope, "model_fields_set", ())}
    parts = [scope.kind, f"NA {optics.na:g}", f"n {optics.index:g}"]
    parts += [SET[name].format(value) for name, value in given.items() if value is not None]
    parts.append(f"emission {optics.emission_nm:g} nm")
    if lines := getattr(scope, "emission_spectrum", None):
        parts.append(f"spectrum of {len(lines)} lines, {min(lines)[0]:g} to {max(lines)[0]:g} nm")
    if optics.excitation_nm is not None:
        parts += [f"excitation {optics.excitation_nm:g} nm", f"pinhole {optics.pinhole_au:g} AU"]
    return ", ".join(parts)


def text_of(psf: PSFOfView) -> str:
    """Return the numbers for a terminal."""
    lines = [f"{psf.name} ({psf.view.microscope.kind}), an emitter at the world's origin:"]
    lines += [f"  {name:24} {value}" for name, value in measures_of(psf)]
    rows = formulas_of(psf)
    lines.append(
        f"  by formula{common_light(psf)}:"
        if rows
        else "  no formulas: the microscope does not say na, emission_nm and immersion_index"
    )
    for name, value, formula, light in rows:
        lines.append(f"    {name:30} {value:>10}  {formula}" + (f"  ({light})" if light else ""))
    lines += [f"    {remark}" for remark in psf.remarks]
    return "\n".join(lines)
