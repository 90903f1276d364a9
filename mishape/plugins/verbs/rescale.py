"""``mishape rescale``: how large a shape of unknown size is, by the image that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mishape.plugins.verbs.taken import ImageFile, PixelNm, Planes


def rescale(
    image: ImageFile,
    shape: Annotated[Path, typer.Argument(help="Mesh (PLY, GLB, STL, OBJ, OFF) in any unit, turned as in the image.")],
    view: Annotated[str, typer.Option(help="How it was taken: a preset (epi1, con1), or scene.yaml:view.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Mesh to write: in nm, where the image has it.")
    ] = None,
    planes: Planes = None,
    pixel_nm: PixelNm = None,
) -> None:
    """Find the size and place at which a shape's image explains a given one, with an interval of 95 %."""
    import numpy as np

    from mishape.em.foreign import read_foreign
    from mishape.engine.types import Mesh
    from mishape.learn.rescaling import rescaled
    from mishape.plugins.verbs.taken import taken, write_surface

    mesh = read_foreign(shape)
    counts, own = taken(image, view, planes, pixel_nm)
    found = rescaled(mesh, counts, own, np.random.default_rng(0))
    if out is not None:
        write_surface(out, Mesh(mesh.vertices_nm * found.scale + found.centre_nm, mesh.faces))
    low, high = found.interval
    x, y, z = found.centre_nm
    print(f"1 unit of the mesh is {found.scale:.6g} nm ({low:.6g} to {high:.6g})")
    print(f"its origin lies at {x:.0f}, {y:.0f}, {z:.0f} nm; mean square residual, in noise: {found.chi2:.2f}")
