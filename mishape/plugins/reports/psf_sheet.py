"""The sheet of a view's PSF: pictures in the plane and along the axis, profiles, transfer functions, numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mishape.engine.types import Points
from mishape.plugins.reports import drawing
from mishape.plugins.reports.drawing import ORANGE, Picture, write
from mishape.plugins.reports.psf_numbers import PSFOfView
from mishape.plugins.reports.psf_plots import (
    BLUE,
    FAINT,
    GREY,
    INK,
    RUST,
    Axes,
    colour_bar,
    heat,
    heat_of_decades,
)
from mishape.plugins.reports.psf_text import common_light, formulas_of, measures_of, optics_of
from mishape.plugins.truths.in_focus import peak_response

MARGIN, SLOT, GAP = 24, 560, 26
WIDTH = 2 * MARGIN + 3 * SLOT + 2 * GAP
PICTURE_PX, PLOT_PX = 480, 260
TITLE_PX, LABEL_PX, NOTE_PX = 26, 19, 16
TITLE_SPACE, LABEL_SPACE, PLOT_SPACE, LINE = 88, 50, 84, 24
DECADES, OTF_DECADES = 4, 5
NEAR_WIDTHS = 4
"""The pictures in the plane and the lateral profile reach this many lateral FWHM to each side."""
MEASURES, FORMULAS = (0, 170), (670, 920, 1020, 1560)
"""Columns of the table, from the left margin: name and value; name, value, formula and wavelength."""


def sheet(psf: PSFOfView, stack: NDArray[np.float32]) -> Image.Image:
    """Draw the PSF of a view.

    Parameters
    ----------
    psf
        Its measures.
    stack
        (Z, Y, X) image of the lone emitter on ``psf.fine_grid``.
    """
    lines = max(len(list(measures_of(psf))), len(formulas_of(psf)) + len(psf.remarks))
    plots = MARGIN + TITLE_SPACE + LABEL_SPACE + PICTURE_PX + 30
    text = plots + LABEL_SPACE + PLOT_PX + PLOT_SPACE
    page = Image.new("RGB", (WIDTH, text + LABEL_SPACE + LINE * lines + MARGIN), "white")
    draw = ImageDraw.Draw(page)
    write(draw, MARGIN, MARGIN + TITLE_PX, f"{psf.name}: point spread function", TITLE_PX, INK)
    about = f"{optics_of(psf)}; an emitter at the world's origin"
    write(draw, MARGIN, MARGIN + TITLE_PX + LABEL_PX + 10, about, LABEL_PX, FAINT)
    _pictures(page, MARGIN + TITLE_SPACE, psf, stack)
    _lateral(page, plots, psf)
    _axial(page, plots, psf)
    _transfer(page, plots, psf)
    _table(page, text, psf)
    return page


def _slot(number: int) -> int:
    return MARGIN + number * (SLOT + GAP)


def _head(page: Image.Image, left: int, top: int, label: str, note: str) -> None:
    draw = ImageDraw.Draw(page)
    write(draw, left, top + LABEL_PX, label, LABEL_PX, INK)
    write(draw, left, top + LABEL_PX + NOTE_PX + 6, note, NOTE_PX, FAINT)


def _pictures(page: Image.Image, top: int, psf: PSFOfView, stack: NDArray[np.float32]) -> None:
    """Paste the middle of the brightest plane, linear and logarithmic, and the section along the axis."""
    grid, found = psf.fine_grid, psf.resolution
    middle, plane = grid.shape[1] // 2, stack[len(stack) // 2].astype(np.float64)
    near = min(middle, round(NEAR_WIDTHS * found.lateral_fwhm_nm / grid.pixel_nm))
    plane = plane[middle - near : middle + near + 1, middle - near : middle + near + 1]
    below = top + LABEL_SPACE
    _head(page, _slot(0), top, "XY, linear", f"the brightest plane, {round(found.brightest_nm)} nm from nominal focus")
    page.paste(_square(heat(plane / plane.max()), len(plane) * grid.pixel_nm), (_slot(0), below))
    _head(page, _slot(1), top, "XY, logarithmic", f"the same plane at the same scale; {DECADES} decades show the rings")
    page.paste(_square(heat_of_decades(plane, DECADES), len(plane) * grid.pixel_nm), (_slot(1), below))
    colour_bar(page, _slot(1) + PICTURE_PX + 8, below, PICTURE_PX, DECADES)
    planes = "the same at all planes" if len(stack) == 1 else "z up; dashed: the view's planes"
    _head(page, _slot(2), top, "XZ, logarithmic", f"as the objective travels; {planes}")
    _section(page, below, psf, stack[:, middle].astype(np.float64))


def _square(picture: Picture, length_nm: float) -> Image.Image:
    large = drawing.resized(picture, PICTURE_PX, PICTURE_PX, smooth=True)
    return Image.fromarray(drawing.with_scale_bar(large, length_nm / PICTURE_PX))


def _section(page: Image.Image, top: int, psf: PSFOfView, light: Points) -> None:
    """Paste the section, as large as the square allows, with the view's planes and the axial FWHM."""
    planes, width_nm = psf.fine_grid.centers_nm()[0], light.shape[1] * psf.fine_grid.pixel_nm
    height_nm = len(planes) * float(planes[1] - planes[0]) if len(planes) > 1 else width_nm
    nm_per_px = max(width_nm, height_nm) / PICTURE_PX
    rows, columns = max(1, round(height_nm / nm_per_px)), max(1, round(width_nm / nm_per_px))
    picture = drawing.resized(heat_of_decades(light[::-1], DECADES), rows, columns, smooth=True)
    left = _slot(2) + (PICTURE_PX - columns) // 2
    page.paste(Image.fromarray(drawing.with_scale_bar(picture, nm_per_px)), (left, top))
    middle_nm = float(planes[0] + planes[-1]) / 2
    dashed = [rows / 2 - (z_nm - middle_nm) / nm_per_px for z_nm in psf.view.grid.centers_nm()[0].tolist()]
    _dash(page, (left, top, columns), [round(row) for row in dashed if 0 <= row < rows - 0.5])
    if psf.resolution.axial_ends_nm is not None:
        low, high = (top + round(rows / 2 - (end - middle_nm) / nm_per_px) for end in psf.resolution.axial_ends_nm)
        _bracket(page, left + columns + 8, high, low)


def _dash(page: Image.Image, corner: tuple[int, int, int], rows: list[int]) -> None:
    left, top, columns = corner
    for row in rows:
        for dash in range(0, columns, 14):
            ends = (left + dash, top + row, left + min(dash + 5, columns - 1), top + row)
            ImageDraw.Draw(page).line(ends, fill=ORANGE)


def _bracket(page: Image.Image, left: int, top: int, bottom: int) -> None:
    draw = ImageDraw.Draw(page)
    draw.line([(left, top), (left + 8, top), (left + 8, bottom), (left, bottom)], fill=BLUE, width=2)
    for text, base in (("in focus:", -4), ("axial FWHM", 14)):
        write(draw, left + 14, (top + bottom) // 2 + base, text, NOTE_PX, BLUE)


def _axes(page: Image.Image, slot: int, top: int, x: tuple[float, float], y: tuple[float, float], **more: Any) -> Axes:
    return Axes(page, _slot(slot) + 52, top + LABEL_SPACE, SLOT - 52 - 10, PLOT_PX, x, y, **more)


def _lateral(page: Image.Image, top: int, psf: PSFOfView) -> None:
    found = psf.resolution
    half = found.lateral_fwhm_nm / 2
    grey = "" if psf.is_matched else "; grey: in matched media"
    _head(page, _slot(0), top, "lateral profile", f"through the brightest plane, its largest value 1{grey}")
    axes = _axes(page, 0, top, (-2 * NEAR_WIDTHS * half, 2 * NEAR_WIDTHS * half), (0.0, 1.08))
    axes.frame("x, nm", (0, 0.25, 0.5, 0.75, 1))
    x = np.linspace(*axes.x, 401)
    if psf.matched is not None and not psf.is_matched:
        best = psf.matched.density(np.abs(x), np.zeros(1))[0]
        axes.curve(x, best / best.max(), GREY)
    light = psf.emitter.density(np.abs(x), np.array([found.brightest_nm]))[0]
    axes.curve(x, light / light.max(), BLUE)
    axes.width_mark(-half, half, 0.5, f"FWHM {2 * half:.1f} nm", BLUE)


def _axial(page: Image.Image, top: int, psf: PSFOfView) -> None:
    """Plot the light on the axis as the objective travels, and the peak that the plane nearest to 0 sees as an emitter
    does: off the axis, where light is dark on it."""
    found, ends = psf.resolution, psf.resolution.axial_ends_nm
    if ends is None or found.axial_fwhm_nm is None:
        _head(page, _slot(1), top, "axial profile", "none: the light is the same in all planes")
        return
    band = min(psf.bands, key=lambda one: abs(one.plane_nm))
    note = f"solid: axis, by travel; dashed: peak, by emitter's z (plane {band.plane_nm:g} nm); tint: focus"
    _head(page, _slot(1), top, "axial profile", note)
    low, high = band.low_nm or 0.0, band.high_nm or 0.0
    reach = 1.5 * max(found.axial_fwhm_nm, high - low)
    z = np.linspace(-reach, reach, 301)
    middle = np.linspace(low, high, 201)
    peak_nm = float(middle[int(peak_response(psf.view.microscope, middle, focus_nm=band.plane_nm).argmax())])
    axes = _axes(page, 1, top, (-reach, reach), (0.0, 1.08))
    axes.shade(low - peak_nm, high - peak_nm)
    axes.frame("z from the peak, nm", (0, 0.25, 0.5, 0.75, 1))
    light = psf.emitter.density(np.zeros(1), found.brightest_nm + z)[:, 0]
    axes.curve(z, light / light.max(), BLUE)
    seen = peak_response(psf.view.microscope, peak_nm + z, focus_nm=band.plane_nm)
    axes.curve(z, seen / seen.max(), RUST, dashed=True)
    first, last = (end - found.brightest_nm for end in ends)
    axes.width_mark(first, last, 0.5, f"FWHM {found.axial_fwhm_nm:.1f} nm", BLUE)


def _transfer(page: Image.Image, top: int, psf: PSFOfView) -> None:
    """Plot both transfer functions, with their cut-offs and the pixel's Nyquist frequency."""
    found = psf.resolution
    nyquist = 500 / psf.view.grid.pixel_nm
    lateral_end = found.lateral.cutoff_per_um or 1500 / found.lateral_fwhm_nm
    dashed = "" if found.axial is None else "; dashes: spectrum of the axis"
    _head(page, _slot(2), top, "transfer functions", f"line: lateral OTF of the brightest plane{dashed}")
    end = 1.15 * min(max(lateral_end, nyquist), 2.5 * lateral_end)
    axes = _axes(page, 2, top, (0.0, end), (-OTF_DECADES, 0.15), decades=True)
    axes.frame("cycles per µm", [10.0**-power for power in range(OTF_DECADES + 1)])
    axes.curve(found.lateral.per_um, found.lateral.magnitude, BLUE)
    if found.axial is not None:
        axes.curve(found.axial.per_um, found.axial.magnitude, RUST, dashed=True)
    # Texts stand where no curve runs: the axial cut-off, whose frequency is low, near the bottom.
    marks = [(nyquist, "pixel's Nyquist", FAINT, 1)]
    for spectrum, colour, line in ((found.axial, RUST, 10), (found.lateral, BLUE, 0)):
        if spectrum is not None and spectrum.cutoff_per_um:
            marks.append((spectrum.cutoff_per_um, "cut-off", colour, line))
    shown = [mark for mark in marks if mark[0] < end]
    for frequency, _, colour, _ in shown:
        axes.upright(frequency, colour)
    for frequency, text, colour, line in shown:
        axes.beside(frequency, f"{text} {frequency:.2f}", colour, line)


def _table(page: Image.Image, top: int, psf: PSFOfView) -> None:
    """Write the measures at the left and the formulas at the right."""
    draw = ImageDraw.Draw(page)
    formulas: list[tuple[str, ...]] = [*formulas_of(psf)] or [("none: the microscope does not say its optics",)]
    parts: list[tuple[str, tuple[int, ...], list[tuple[str, ...]]]] = [
        ("measured", MEASURES, [*measures_of(psf)]),
        (f"by formula{common_light(psf)}", FORMULAS, [*formulas, *((remark,) for remark in psf.remarks)]),
    ]
    for head, columns, rows in parts:
        write(draw, MARGIN + columns[0], top + LABEL_PX, head, LABEL_PX, INK)
        for number, line in enumerate(rows):
            for place, text in enumerate(line):
                colour = INK if place in (1, 2) else FAINT
                write(draw, MARGIN + columns[place], top + LABEL_SPACE + LINE * number, text, NOTE_PX, colour)
