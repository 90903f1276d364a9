"""``mishape reconstruct``: the shapes that an image shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mishape.engine.types import Mesh, Shape
    from mishape.learn.finding import Finder
    from mishape.learn.reconstructing import Found


def reconstruct(
    image: Annotated[Path, typer.Argument(help="Image or stack (TIFF) of one channel.")],
    view: Annotated[str, typer.Option(help="How it was taken: a preset (epi1, con1), or scene.yaml:view.")],
    weights: Annotated[Path, typer.Option(help="Weights of grid_image or grid_stack that learn train wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write: a library of shapes, meshes, a page.")],
    planes: Annotated[str | None, typer.Option(help="z of each plane, nm, as -250,0,250.")] = None,
    pixel_nm: Annotated[float | None, typer.Option(help="Size of a pixel; needed unless the file says it.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Mask (TIFF) of the parts; default what segment finds.")] = None,
    turns: Annotated[int, typer.Option(min=1, max=16, help="Turned and mirrored images that are averaged.")] = 4,
) -> None:
    """Find the shapes of an image: a library that scenes can use, meshes in place (PLY, GLB), and a page to look at."""
    import numpy as np

    from mishape.engine.errors import LibraryError, MishapeError
    from mishape.engine.inputs import read_stack
    from mishape.learn.reconstructing import Found, Missed, reconstruct
    from mishape.learn.reimaging import reimaged
    from mishape.plugins.reports.reconstruction_page import reconstruction_page
    from mishape.plugins.verbs.named_view import named_view

    if out.exists():
        raise LibraryError(f"--out {str(out)!r} exists: remove it or choose another folder")
    stack = read_stack(image)
    own = named_view(view, stack.data.shape, pixel_nm or (stack.pixel_nm or (None,))[-1], _numbers(planes))
    finder, about = _finder(weights)
    labels = _labels(mask, stack.data, own.grid.pixel_nm)
    like = _like(image, weights, about)
    every = [*reconstruct(stack.data, own, labels, finder, like, turns)]
    found = [one for one in every if isinstance(one, Found)]
    missed = [one for one in every if isinstance(one, Missed)]
    if not found:
        raise MishapeError(f"{str(image)!r}: no shape found in {labels.max()} part(s): look at them by mishape segment")
    again = reimaged([one.mesh for one in found], stack.data, own, np.random.default_rng(0))
    text = reconstruction_page(image.name, stack.data, own, found, missed, again, like.source)
    _write(out, found, like.source, like.licence, text)
    print(f"{len(found)} shape(s), {len(missed)} part(s) without one, residual {again.chi2:.2f}: {out}")


def _numbers(text: str | None) -> list[float] | None:
    from mishape.engine.errors import MishapeError

    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise MishapeError(f"--planes {text!r}: numbers in nm are expected, as -250,0,250") from None


def _finder(weights: Path) -> tuple[Finder, dict[str, Any]]:
    from mishape.learn.finding import load_finder
    from mishape.learn.tensors import WeightsError

    if not weights.is_file():
        raise WeightsError(f"weights {str(weights)!r} do not exist: give the path of a .safetensors file")
    return load_finder(weights, weights.stat().st_mtime_ns)


def _labels(mask: Path | None, counts: NDArray[np.float64], pixel_nm: float) -> NDArray[np.int32]:
    """Return the numbers of the image's parts: those of a mask, or of what is found in the mean of its planes."""
    import numpy as np

    from mishape.engine import registry
    from mishape.engine.errors import MishapeError
    from mishape.learn.picture_files import read_picture
    from mishape.learn.segment import labelled

    if mask is None:
        mean = counts.mean(axis=0).astype(np.float32)
        return labelled(registry.load("segmenters", "unet")().segment(mean, pixel_nm).mask)
    given = read_picture(mask)[0].astype(np.int32)
    if given.shape != counts.shape[1:]:
        raise MishapeError(f"--mask is {given.shape[0]} x {given.shape[1]} pixels: {counts.shape[1:]} are expected")
    return labelled(given > 0) if given.max() <= 1 else given


def _like(image: Path, weights: Path, about: dict[str, Any]) -> Shape:
    """Return what shapes say of themselves: where they come from, and on what terms."""
    import numpy as np

    from mishape.engine.types import Mesh, Shape

    source = f"found in {image.name} by {weights.name} ({about['model']['kind']}, data {about['data_sha256'][:12]})"
    nothing = Mesh(np.empty((0, 3)), np.empty((0, 3), np.int64))
    return Shape(image.name.partition(".")[0], nothing, source=source, licence=", ".join(about["licences"]))


def _write(out: Path, found: Sequence[Found], source: str, licence: str, text: str) -> None:
    from mishape.engine.files import disk_errors, write_whole
    from mishape.engine.library_writing import write_library
    from mishape.plugins.reports.rendering import joined

    meta = {"name": out.name, "source": source, "licence": licence, "citation": ""}
    fields = {one.shape.id: {"place_nm": one.centre_nm.tolist(), "touches_border": one.touches_border} for one in found}
    with disk_errors(out):
        write_library(out, [one.shape for one in found], meta, fields=fields)
        surface = joined(one.mesh for one in found)
        for suffix in ("ply", "glb"):
            (out / f"surfaces.{suffix}").write_bytes(_exported(surface, suffix))
        write_whole(out / "reconstruction.html", text)


def _exported(surface: Mesh, suffix: str) -> bytes:
    """Return a mesh, nm, in a format that other programs read."""
    import trimesh

    mesh = trimesh.Trimesh(surface.vertices_nm, surface.faces, process=False)
    data = mesh.export(file_type=suffix)
    return data.encode() if isinstance(data, str) else bytes(data)
