"""``mishape translate``: an image of one microscope as another would have taken it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mishape.plugins.verbs.shapes_in import Fit, MaskFile, Turns, Weights
from mishape.plugins.verbs.taken import ImageFile, PixelNm, Planes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mishape.engine.grid import Grid
    from mishape.engine.scene import View


def translate(
    image: ImageFile,
    of: Annotated[str, typer.Option("--from", help="How it was taken: a preset (epi1, con1), or scene.yaml:view.")],
    to: Annotated[str, typer.Option(help="How it is to look: a preset, or scene.yaml:view, with its noise.")],
    weights: Weights,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Image to write (.tif); what it was made of goes beside it.")
    ],
    planes: Planes = None,
    pixel_nm: PixelNm = None,
    to_planes: Annotated[str | None, typer.Option(help="z of each plane to make, nm; default 0.")] = None,
    to_pixel_nm: Annotated[float | None, typer.Option(help="Size of its pixels; default the image's.")] = None,
    turn: Annotated[str, typer.Option(help="Euler angles by which all is turned, degrees, as 90,0,0.")] = "0,0,0",
    density: Annotated[float, typer.Option(min=1, max=1e6, help="Emitters per um^2 of surface.")] = 2000.0,
    seed: Annotated[int, typer.Option(min=0, help="Of emitters and noise.")] = 0,
    mask: MaskFile = None,
    turns: Turns = 4,
    fit: Fit = None,
) -> None:
    """Find the shapes of an image, label them anew, and image them by another microscope, from any side."""
    import numpy as np

    from mishape.engine.errors import MishapeError
    from mishape.learn.reimaging import reimaged
    from mishape.learn.translating import PRIOR, translated, turned
    from mishape.plugins.verbs.shapes_in import shapes_in
    from mishape.plugins.verbs.taken import numbers_in, taken

    if out.suffix.lower() not in (".tif", ".tiff"):
        raise MishapeError(f"--out {str(out)!r}: the image is a TIFF, give a name that ends in .tif")
    angles = numbers_in(turn, "--turn") or []
    if len(angles) != 3:
        raise MishapeError(f"--turn {turn!r}: three angles are expected, as 90,0,0")
    counts, own = taken(image, of, planes, pixel_nm)
    other = _other(to, own, to_pixel_nm, numbers_in(to_planes, "--to-planes"))
    shapes = shapes_in(image, counts, own, weights, mask, turns, fit)
    meshes = [one.mesh for one in shapes.found]
    again = reimaged(meshes, counts, own, np.random.default_rng(seed))
    x, y, z = angles
    made = translated(turned(meshes, (x, y, z)), again, other, density, np.random.default_rng(seed))
    said = {"image": image.name, "from": of, "to": to, "turn": angles, "shapes": len(meshes), "note": PRIOR}
    _write(out, made, other.grid, {**said, "source": shapes.source, "licence": shapes.licence})
    print(f"{len(meshes)} shape(s), {PRIOR}: {out}")


def _other(name: str, own: View, pixel_nm: float | None, planes_nm: list[float] | None) -> View:
    """Return the view to make: over the same field, at its own pixels."""
    from mishape.plugins.verbs.named_view import is_scene, named_view

    size_nm = pixel_nm or (None if is_scene(name) else own.grid.pixel_nm)
    if size_nm is None:
        size_nm = named_view(name, (1, 1, 1), None, [0.0]).grid.pixel_nm
    _, rows, columns = (max(1, round(edge * own.grid.pixel_nm / size_nm)) for edge in own.grid.shape)
    where = planes_nm or [0.0]
    return named_view(name, (len(where), rows, columns), size_nm, where)


def _write(out: Path, made: NDArray[Any], grid: Grid, said: dict[str, Any]) -> None:
    from mishape.engine.files import canonical, disk_errors, write_whole
    from mishape.engine.ometiff import StackWriter

    text = canonical(said, indent=2)
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with StackWriter(out, grid, made.dtype, 1, f"translated/{text}") as file:
            file.write(0, made)
        write_whole(out.with_suffix(".json"), text + "\n")
