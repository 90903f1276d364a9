"""The shapes of an image, for commands that go on with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mishape.engine.scene import View
    from mishape.engine.types import Shape
    from mishape.learn.finding import Finder
    from mishape.learn.reconstructing import Found, Missed

Weights = Annotated[Path, typer.Option(help="Weights of grid_image or grid_stack that learn train wrote.")]
MaskFile = Annotated[Path | None, typer.Option(help="Mask (TIFF) of the parts; default what segment finds.")]
Fit = Annotated[
    Literal["surface", "volume"] | None,
    typer.Option(help="Change shapes until their image explains the light: where labels sit. Seconds for each."),
]
Turns = Annotated[int, typer.Option(min=1, max=16, help="Turned and mirrored images that are averaged.")]


@dataclass(frozen=True)
class Shapes:
    """The shapes of an image.

    Parameters
    ----------
    found, missed
        The parts of the image in which a shape was found, and those in which none was.
    source, licence
        Where the shapes come from, and on what terms.
    """

    found: Sequence[Found]
    missed: Sequence[Missed]
    source: str
    licence: str


def shapes_in(
    image: Path,
    counts: NDArray[np.float64],
    view: View,
    weights: Path,
    mask: Path | None,
    turns: int,
    fit: Literal["surface", "volume"] | None,
) -> Shapes:
    """Return the shapes of an image; see the options of the same names.

    Raises
    ------
    MishapeError
        If there are none, or the weights or the mask do not fit.
    """
    from mishape.engine.errors import MishapeError
    from mishape.learn.fitted import Fitter
    from mishape.learn.reconstructing import Found, Missed, reconstruct

    finder, about = _finder(weights)
    labels = _labels(mask, counts, view.grid.pixel_nm)
    like = _like(image, weights, about)
    ask = finder.odds_at if fit is None else Fitter(finder, label=fit).odds_at
    every = [*reconstruct(counts, view, labels, ask, like, turns)]
    found = [one for one in every if isinstance(one, Found)]
    if not found:
        raise MishapeError(f"{str(image)!r}: no shape found in {labels.max()} part(s): look at them by mishape segment")
    return Shapes(found, [one for one in every if isinstance(one, Missed)], like.source, like.licence)


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
