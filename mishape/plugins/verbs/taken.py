"""Images of users and how they were taken, and the surfaces that are written of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mishape.engine.scene import View
    from mishape.engine.types import Mesh

ImageFile = Annotated[Path, typer.Argument(help="Image or stack (TIFF) of one channel.")]
Planes = Annotated[str | None, typer.Option(help="z of each plane, nm, as -250,0,250.")]
PixelNm = Annotated[float | None, typer.Option(help="Size of a pixel; needed unless the file says it.")]
MESH_FILES = (".ply", ".glb", ".stl", ".obj", ".off")


def taken(image: Path, view: str, planes: str | None, pixel_nm: float | None) -> tuple[NDArray[np.float64], View]:
    """Return an image, (planes, rows, columns), and how it was taken.

    Raises
    ------
    MishapeError
        If the image cannot be read, or it is not known how it was taken.
    """
    from mishape.engine.errors import MishapeError
    from mishape.engine.inputs import read_stack
    from mishape.plugins.verbs.named_view import named_view

    if not image.is_file():
        raise MishapeError(f"image {str(image)!r} does not exist: give the path of a TIFF file")
    stack = read_stack(image)
    height_nm, width_nm = stack.pixel_nm or (None, None)
    if pixel_nm is None and height_nm and width_nm and abs(height_nm - width_nm) > 0.01 * width_nm:
        raise MishapeError(f"{str(image)!r} has pixels of {height_nm:g} x {width_nm:g} nm: square ones are expected")
    return stack.data, named_view(view, stack.data.shape, pixel_nm or width_nm, numbers_in(planes, "--planes"))


def numbers_in(text: str | None, option: str) -> list[float] | None:
    """Return the numbers of an option that lists them, as ``-250,0,250``.

    Raises
    ------
    MishapeError
        If it lists anything else.
    """
    from mishape.engine.errors import MishapeError

    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise MishapeError(f"{option} {text!r}: numbers in nm are expected, as -250,0,250") from None


def write_surface(path: Path, mesh: Mesh) -> None:
    """Write a surface, nm, in the format that the file's name says.

    Raises
    ------
    MishapeError
        If it is none that is known.
    """
    import trimesh

    from mishape.engine.errors import MishapeError
    from mishape.engine.files import disk_errors

    if path.suffix.lower() not in MESH_FILES:
        raise MishapeError(f"{str(path)!r}: a mesh file ends in {', '.join(MESH_FILES)}")
    surface = trimesh.Trimesh(mesh.vertices_nm, mesh.faces, process=False)
    data: Any = surface.export(file_type=path.suffix.lower()[1:])
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else bytes(data))
