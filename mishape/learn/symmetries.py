"""An image turned and mirrored is one that the same microscope could have taken: the answers to all are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.grid import Grid
from mishape.engine.scene import View
from mishape.engine.types import Points
from mishape.learn.finding import Odds

Asked = Callable[[NDArray[Any], View], Odds]
"""An image and its view -> what tells the odds at places of its world."""


@dataclass(frozen=True)
class Symmetry:
    """One way to turn or mirror an image and its world alike.

    Parameters
    ----------
    swaps
        Whether x and y change places, before anything is mirrored.
    signs
        Of x, y and z; -1 mirrors.
    """

    swaps: bool
    signs: tuple[int, int, int]

    def image(self, counts: NDArray[Any]) -> NDArray[Any]:
        """Return a (P, H, W) image as the mirrored world would be seen."""
        turned = counts.swapaxes(1, 2) if self.swaps else counts
        x, y, z = self.signs
        return np.ascontiguousarray(turned[::z, ::y, ::x])

    def view(self, view: View) -> View:
        """Return the view of such an image."""
        planes, rows, columns = view.grid.shape
        planes_nm = self.signs[2] * view.grid.centers_nm()[0][:: self.signs[2]]
        shape = (planes, columns, rows) if self.swaps else (planes, rows, columns)
        grid = Grid(shape, view.grid.pixel_nm, planes_nm=tuple(planes_nm.tolist()))
        return view.model_copy(update={"grid": grid})

    def world(self, places_nm: Points) -> Points:
        """Return where (n, 3) places of the world come to lie."""
        turned = places_nm[:, [1, 0, 2]] if self.swaps else places_nm
        return np.asarray(turned * np.array(self.signs))


def symmetries_of(view: View) -> Iterator[Symmetry]:
    """Yield the ways in which a view's microscope sees the turned and mirrored world as it sees the world itself.

    Turns and mirrors about the axis where the PSF is symmetric about it; above and below the focus where the media
    match. A microscope that says neither has none but the world as it is.
    """
    scope: Any = view.microscope
    around = (1, -1) if getattr(scope, "is_radial", False) else (1,)
    media = getattr(scope, "media", None)
    along = (1, -1) if media is not None and media.matched else (1,)
    for swaps in (False, True)[: len(around)]:
        for x in around:
            for y in around:
                yield from (Symmetry(swaps, (x, y, z)) for z in along)


def averaged(ask: Asked, counts: NDArray[Any], view: View, most: int = 16) -> Odds:
    """Return the mean of the logarithms of the odds that all turned and mirrored images of one give.

    Parameters
    ----------
    most
        Of the symmetries, the first so many; 1 for the image as it is.
    """
    ways = [*symmetries_of(view)][:most]
    told = [(way, ask(way.image(counts), way.view(view))) for way in ways]

    def odds(places_nm: Points) -> NDArray[np.float32]:
        return np.asarray(np.mean([one(way.world(places_nm)) for way, one in told], axis=0), np.float32)

    return odds
