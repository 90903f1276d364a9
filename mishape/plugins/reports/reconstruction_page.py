"""What was found in an image, as one page: the image, what the microscope would see of it, what is left, surfaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mishape.engine.scene import View
from mishape.learn.reconstructing import Found, Missed
from mishape.learn.reimaging import Reimaged
from mishape.plugins.reports import drawing
from mishape.plugins.reports.drawing import Picture
from mishape.plugins.reports.page import facts, figure, page, paragraph, section, table, warning
from mishape.plugins.reports.panels import chosen_planes
from mishape.plugins.reports.rendering import Window, depth_nm, joined, shaded
from mishape.plugins.truths.in_focus import in_focus_band_nm

EDGE_PX = 640
"""Of a picture on the page."""
SIGMAS = 5.0
"""Of the noise, at which a residual is black or white."""


def reconstruction_page(
    name: str,
    counts: NDArray[Any],
    view: View,
    found: Sequence[Found],
    missed: Sequence[Missed],
    again: Reimaged,
    about: str,
) -> str:
    """Return the page.

    Parameters
    ----------
    counts
        (P, H, W) the image.
    again
        What is expected of all that was found.
    about
        What found it.
    """
    body = [
        f"<h1>{name}</h1>",
        facts(
            [
                ("shapes found", len(found)),
                ("cut by the border", sum(one.touches_border for one in found)),
                ("mean square residual, in noise", f"{again.chi2:.2f}"),
                ("residual's correlation with its neighbour", f"{again.whiteness:.2f}"),
            ]
        ),
        paragraph(about),
        *(warning(f"part {one.label}: {one.reason}") for one in missed),
        section("The image, and what its microscope would see of the shapes", *_planes(counts, view, again)),
        section("Surfaces", *_surfaces(view, found)),
        section("Shapes", _table(found)),
    ]
    return page(name, body)


def _planes(counts: NDArray[Any], view: View, again: Reimaged) -> Iterator[str]:
    planes_nm, (low, high) = view.grid.centers_nm()[0], drawing.shown_range(counts)
    for plane in chosen_planes(planes_nm):
        shown = (
            ("image", drawing.grey(counts[plane], low, high)),
            ("re-imaged", drawing.grey(again.expected[plane], low, high)),
            (
                f"residual, black to white: ±{SIGMAS:g} of the noise",
                drawing.grey(again.residual[plane], -SIGMAS, SIGMAS),
            ),
        )
        yield '<div class="plots">'
        yield from (figure(_uri(picture, view), f"z {planes_nm[plane]:g} nm: {text}") for text, picture in shown)
        yield "</div>"


def _surfaces(view: View, found: Sequence[Found]) -> Iterator[str]:
    _, rows, columns = view.grid.shape
    window = Window(rows, columns, view.grid.pixel_nm)
    fine = window.finer(max(1, EDGE_PX // max(rows, columns)))
    bands = [in_focus_band_nm(view.microscope, float(z)) for z in view.grid.centers_nm()[0]]
    depth = depth_nm(joined(one.mesh for one in found), fine)
    picture = drawing.with_scale_bar(shaded(depth, fine.nm_per_px, bands), fine.nm_per_px, on_paper=True)
    yield figure(drawing.data_uri(Image.fromarray(picture)), "From the objective. Orange: in focus in some plane.")
    yield paragraph(
        "What is not orange lies out of focus: it is what the network expects there rather than what the image shows."
    )


def _table(found: Sequence[Found]) -> str:
    heads = ["part", "x, y, z of its centre, nm", "edges along x, y, z, nm", "volume, um^3", "cut by the border"]
    return table(heads, (_row(one) for one in found))


def _row(one: Found) -> list[str]:
    vertices = one.shape.surface.vertices_nm
    corners = vertices[one.shape.surface.faces]
    volume = float(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum()) / 6e9
    centre, edges = (
        ", ".join(f"{value:.0f}" for value in values) for values in (one.centre_nm, np.ptp(vertices, axis=0))
    )
    return [str(one.label), centre, edges, f"{volume:.4f}", "yes" if one.touches_border else ""]


def _uri(picture: Picture, view: View) -> str:
    rows, columns = picture.shape[:2]
    times = max(1, EDGE_PX // max(rows, columns))
    larger = drawing.resized(picture, rows * times, columns * times)
    return drawing.data_uri(Image.fromarray(drawing.with_scale_bar(larger, view.grid.pixel_nm / times)))
