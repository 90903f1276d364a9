"""``mishape reconstruct``: the shapes that an image shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mishape.plugins.verbs.shapes_in import Fit, MaskFile, Turns, Weights
from mishape.plugins.verbs.taken import ImageFile, PixelNm, Planes

if TYPE_CHECKING:
    from mishape.plugins.verbs.shapes_in import Shapes


def reconstruct(
    image: ImageFile,
    view: Annotated[str, typer.Option(help="How it was taken: a preset (epi1, con1), or scene.yaml:view.")],
    weights: Weights,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write: a library of shapes, meshes, a page.")],
    planes: Planes = None,
    pixel_nm: PixelNm = None,
    mask: MaskFile = None,
    turns: Turns = 4,
    fit: Fit = None,
) -> None:
    """Find the shapes of an image: a library that scenes can use, meshes in place (PLY, GLB), and a page to look at."""
    import numpy as np

    from mishape.engine.errors import LibraryError
    from mishape.learn.reimaging import reimaged
    from mishape.plugins.reports.reconstruction_page import reconstruction_page
    from mishape.plugins.verbs.shapes_in import shapes_in
    from mishape.plugins.verbs.taken import taken

    if out.exists():
        raise LibraryError(f"--out {str(out)!r} exists: remove it or choose another folder")
    counts, own = taken(image, view, planes, pixel_nm)
    shapes = shapes_in(image, counts, own, weights, mask, turns, fit)
    again = reimaged([one.mesh for one in shapes.found], counts, own, np.random.default_rng(0))
    text = reconstruction_page(image.name, counts, own, shapes.found, shapes.missed, again, shapes.source)
    _write(out, shapes, text)
    print(f"{len(shapes.found)} shape(s), {len(shapes.missed)} part(s) without one, residual {again.chi2:.2f}: {out}")


def _write(out: Path, shapes: Shapes, text: str) -> None:
    from mishape.engine.files import disk_errors, write_whole
    from mishape.engine.library_writing import write_library
    from mishape.plugins.reports.rendering import joined
    from mishape.plugins.verbs.taken import write_surface

    meta = {"name": out.name, "source": shapes.source, "licence": shapes.licence, "citation": ""}
    fields = {
        one.shape.id: {"place_nm": one.centre_nm.tolist(), "touches_border": one.touches_border} for one in shapes.found
    }
    with disk_errors(out):
        write_library(out, [one.shape for one in shapes.found], meta, fields=fields)
        surface = joined(one.mesh for one in shapes.found)
        for suffix in ("ply", "glb"):
            write_surface(out / f"surfaces.{suffix}", surface)
        write_whole(out / "reconstruction.html", text)
