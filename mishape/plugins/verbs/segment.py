"""``mishape segment``: which pixels of an image are mitochondria."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mishape.learn.segment import Part, Segmenter


def segment(
    image: Annotated[Path, typer.Argument(help="Image (TIFF, PNG) of one channel and one plane.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Mask (.tif); a table and an overlay go beside it.")],
    kind: Annotated[str, typer.Option(help="Segmenter: unet, otsu, or a plugin.")] = "unet",
    weights: Annotated[str | None, typer.Option(help="Of unet: installed weights by name, or a file.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Of unet: probability above which is foreground.")] = None,
    pixel_nm: Annotated[float | None, typer.Option(help="Size of a pixel; needed unless the file says it.")] = None,
    chances: Annotated[bool, typer.Option(help="Write the probabilities too.")] = False,
) -> None:
    """Write a mask whose parts are numbered, a table of their sizes and lengths, and an overlay to look at.

    Parts whose centre line branches are called components, not instances: several mitochondria may cross there.
    """
    from mishape.engine.needs import needs

    needs("skimage", "em")
    from mishape.engine.errors import MishapeError
    from mishape.learn.picture_files import TIFF, read_picture
    from mishape.learn.segment import labelled, parts

    if out.suffix.lower() not in TIFF:
        raise MishapeError(f"--out {str(out)!r}: the mask is a TIFF, give a name that ends in .tif")
    if out.resolve() == image.resolve():
        raise MishapeError(f"--out {str(out)!r} is the image itself: give another name")
    segmenter = _segmenter(kind, {"weights": weights, "threshold": threshold})
    picture, said_nm = read_picture(image)
    size_nm = _size_nm(image, said_nm, pixel_nm)
    found = segmenter.segment(picture, size_nm)
    labels = labelled(found.mask)
    every = [*parts(labels, size_nm)]
    _write(out, picture, labels, every, size_nm, found.chances if chances else None)
    instances = sum(part.kind == "instance" for part in every)
    print(f"{len(every)} part(s), {instances} of them instances, {found.mask.mean():.1%} of the image: {out}")


def _segmenter(kind: str, options: dict[str, Any]) -> Segmenter:
    from pydantic import ValidationError

    from mishape.engine import registry
    from mishape.engine.errors import MishapeError, PluginError

    make = registry.load("segmenters", kind)
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in make.model_fields:
            raise PluginError(f"segmenter {kind!r} has no --{name}: leave it out")
    try:
        segmenter: Segmenter = make(kind=kind, **given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "".join(f"--{part}: " for part in first["loc"])
        raise MishapeError(f"{name}{first['msg']}") from None
    return segmenter


def _size_nm(image: Path, said_nm: float | None, given_nm: float | None) -> float:
    from mishape.engine.errors import MishapeError

    size_nm = given_nm or said_nm
    if size_nm is None:
        raise MishapeError(f"{str(image)!r} does not say how large its pixels are: give --pixel-nm")
    if not 1 <= size_nm <= 10_000:
        raise MishapeError(f"pixels of {size_nm:g} nm: 1 to 10000 nm are expected, give --pixel-nm")
    return size_nm


def _write(
    out: Path,
    picture: NDArray[np.float32],
    labels: NDArray[np.int32],
    every: list[Part],
    pixel_nm: float,
    chances: NDArray[np.float32] | None,
) -> None:
    import numpy as np

    from mishape.engine.files import disk_errors, write_whole
    from mishape.plugins.reports.overlay import overlay

    stem = out.with_suffix("")
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        _write_tiff(out, labels.astype(np.uint16 if len(every) < 2**16 else np.uint32), pixel_nm)
        if chances is not None:
            _write_tiff(stem.with_name(stem.name + ".chances.tif"), chances, pixel_nm)
        write_whole(stem.with_suffix(".csv"), _table(every))
        overlay(picture, labels > 0).save(stem.with_suffix(".png"))


def _write_tiff(path: Path, array: NDArray[Any], pixel_nm: float) -> None:
    import tifffile

    size = {f"PhysicalSize{axis}": pixel_nm / 1000 for axis in "XY"}
    units = {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
    tifffile.imwrite(path, array, ome=True, photometric="minisblack", metadata={"axes": "YX", **size, **units})


def _table(every: list[Part]) -> str:
    """Return a line for each part, with a head."""
    from dataclasses import astuple, fields

    from mishape.learn.segment import Part

    def text(value: object) -> str:
        return f"{value:.6g}" if isinstance(value, float) else str(value).lower()

    lines = [[field.name for field in fields(Part)], *([*map(text, astuple(part))] for part in every)]
    return "".join(",".join(line) + "\n" for line in lines)
