"""Solids of all parts of a field, each found in a window of its own and put back in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import ShapeError
from mishape.engine.geometry import centroid
from mishape.engine.grid import Grid
from mishape.engine.meshing import mesh_of_field
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.engine.types import Mesh, Points, Shape
from mishape.learn.finding import solid_in
from mishape.learn.light import LightError
from mishape.learn.parts_of_field import Window, windows
from mishape.learn.symmetries import Asked, averaged

TURNS = 4
"""Turned and mirrored images whose answers are averaged."""


@dataclass(frozen=True)
class Found:
    """A solid found in a field.

    Parameters
    ----------
    label
        The part's number in the field's labels.
    shape
        In its own frame, whose axes are the world's, about its centroid.
    centre_nm
        (3,) where its centroid lies in the world of the field.
    touches_border
        Whether the field's border may cut it: it is then known in part.
    """

    label: int
    shape: Shape
    centre_nm: Points
    touches_border: bool

    @property
    def mesh(self) -> Mesh:
        """Its surface in the world of the field."""
        return Mesh(self.shape.surface.vertices_nm + self.centre_nm, self.shape.surface.faces)


@dataclass(frozen=True)
class Missed:
    """A part in which no solid was found.

    Parameters
    ----------
    label
        Its number in the field's labels.
    reason
        Why.
    """

    label: int
    reason: str


def reconstruct(
    counts: NDArray[Any],
    view: View,
    labels: NDArray[np.integer[Any]],
    ask: Asked,
    like: Shape,
    turns: int = TURNS,
    corners: int = 65,
) -> Iterator[Found | Missed]:
    """Yield what is found in each part of a field.

    Parameters
    ----------
    counts
        (P, H, W).
    labels
        (H, W) the parts' numbers from 1.
    ask
        A `Finder`'s or a `Fitter`'s ``odds_at``.
    like
        What the shapes say of themselves; the label is put behind its id.
    turns
        How many turned and mirrored images are asked for each; 1 for the image as it is.
    corners
        Of the lattice that surfaces are found on.
    """
    for window in windows(counts, labels, view.grid.pixel_nm):
        try:
            field = _solid(window, view, ask, turns, corners)
        except (ShapeError, LightError) as error:
            yield Missed(window.label, str(error))
            continue
        mesh = mesh_of_field(field)
        middle_nm = centroid(mesh)
        own = field.shifted(-middle_nm)
        surface = Mesh(mesh.vertices_nm - middle_nm, mesh.faces)
        shape = replace(like, id=f"{like.id}-{window.label}", mesh=surface, implicit=own.implicit())
        yield Found(window.label, shape, middle_nm + window.centre_nm, window.touches_border)


def _solid(window: Window, view: View, ask: Asked, turns: int, corners: int) -> SampledField:
    grid = Grid(window.counts.shape, view.grid.pixel_nm, planes_nm=tuple(view.grid.centers_nm()[0].tolist()))
    own = view.model_copy(update={"grid": grid})
    return solid_in(averaged(ask, window.counts, own, turns), own, corners)
