"""Images of the shapes of a library by recipe: what is asked of whoever finds shapes in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import mishape
from mishape.learn.lit import Lit
from mishape.learn.lit_live import LiveImages

Column = Literal["true centre", "no leak"]
COLUMNS: tuple[Column, ...] = ("true centre", "no leak")
DEPTH_NM = 500.0
"""Depth of field of the paper's epifluorescence microscope."""
SCATTER_NM: dict[Column, list[float]] = {"true centre": [0.0, 0.0, 0.0], "no leak": [330.0, 330.0, DEPTH_NM / 2]}
"""How far a shape's centre may lie from the field's: nowhere else, or three pixels aside and half of the depth of field
up or down."""
EPI = {"kind": "epi", "preset": "epi1"}
CONFOCAL = {"kind": "confocal", "preset": "con1"}
VIEWS: dict[str, dict[str, Any]] = {
    "epi stack": {
        "grid": {"shape": [3, 48, 48], "pixel_nm": 109, "planes_nm": [-DEPTH_NM / 2, 0, DEPTH_NM / 2]},
        "microscope": EPI,
    },
    "epi image": {"grid": {"shape": [1, 48, 48], "pixel_nm": 109}, "microscope": EPI},
    "confocal image": {"grid": {"shape": [1, 72, 72], "pixel_nm": 70}, "microscope": CONFOCAL},
}
"""The three views of the MiShape paper's Table 1, by name; fields of 5 um."""
NOISE: dict[str, Any] = {"kind": "poisson", "background": 100, "sbr": {"$uniform": [2, 4]}}
SURFACE: dict[str, Any] = {"kind": "surface", "density_per_um2": 2000}
SIZES = (1.0, 1.7)
"""As the shapes are, and as long as those of liver are."""
SEED = 2026


@dataclass(frozen=True)
class Cases:
    """Images of all shapes of a library in one view, each shape as often; the same poses in all views.

    Parameters
    ----------
    library
        Its folder.
    view
        One of `VIEWS`.
    size
        Factor on all lengths of the shapes.
    column
        Where the shapes lie: known and in focus, or not.
    poses
        Images of each shape, each in a random pose.
    seed
        Of poses, labels and noise.
    changes
        Of the view, of the shape's ``rotation`` and ``labeler``: what is not as in the paper's table.
    """

    library: Path
    view: str
    size: float = 1.0
    column: Column = "true centre"
    poses: int = 1
    seed: int = SEED
    changes: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the scene."""
        view = {"noise": NOISE, **VIEWS[self.view], **self.changes.get("view", {})}
        rotation = self.changes.get("rotation", "uniform")
        thing = {
            "shape": {"kind": "em_mesh", "library": str(self.library.resolve())},
            "pose": {"rotation": rotation, "scale": self.size, "scatter_nm": SCATTER_NM[self.column]},
            "labeler": self.changes.get("labeler", SURFACE),
        }
        return {
            "mishape": 1,
            "seed": self.seed,
            "samples": self.poses * len(mishape.open_library(self.library)),
            "objects": [thing],
            "views": {self.view.replace(" ", "_"): view},
            "dataset": {"splits": {"test": 1}, "every_shape": True},
        }

    def images(self) -> LiveImages:
        """Return the images, made as they are asked for."""
        return LiveImages(mishape.load_spec(self.document()))

    def __iter__(self) -> Iterator[Lit]:
        images = self.images()
        return (images.lit(number) for number in range(len(images)))
