"""Images with the solid that each shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import DatasetError
from mishape.engine.grid import Grid
from mishape.engine.scene import View
from mishape.engine.types import Points, Pose
from mishape.engine.wording import suggestion
from mishape.learn.solids import Solid


@dataclass(frozen=True)
class Posed:
    """A solid as it lies in the world of a view.

    Parameters
    ----------
    solid
        In its own frame.
    pose
        Own frame -> world.
    """

    solid: Solid
    pose: Pose

    def distance_nm(self, world_nm: Points) -> Points:
        """Return signed distances, (n,) nm, at (n, 3) places of the world, nm."""
        own_nm = (world_nm - self.pose.offset_nm) @ self.pose.rotation / self.pose.scale
        return np.asarray(self.solid.distance_nm(own_nm) * self.pose.scale)

    @property
    def centre_z_nm(self) -> float:
        """World z of its own origin, which in libraries is its centroid."""
        return float(self.pose.offset_nm[2])

    @property
    def vertices_nm(self) -> Points:
        """The vertices of its surface in the world, (n, 3) nm."""
        return self.pose.of(self.solid.mesh.vertices_nm)


@dataclass(frozen=True)
class Lit:
    """An image and what it shows.

    Parameters
    ----------
    name
        What it is called.
    counts
        (P, H, W) as the detector gave it.
    view
        How it was made.
    posed
        What it shows.
    """

    name: str
    counts: NDArray[Any]
    view: View
    posed: Posed


@dataclass(frozen=True)
class Facts:
    """What is said of images that a network learned from.

    Parameters
    ----------
    name
        What they are called.
    sha256
        Hash of all that they depend on.
    folds
        Of the shapes that they show.
    licences
        Of these shapes.
    learned
        Folds that weights learned from whose shapes they show.
    """

    name: str
    sha256: str
    folds: frozenset[str]
    licences: frozenset[str]
    learned: frozenset[str] = frozenset()


class Images(Protocol):
    """Images of one shape each, by number; all of one grid."""

    @property
    def grid(self) -> Grid: ...
    @property
    def facts(self) -> Facts: ...
    def __len__(self) -> int: ...
    def fold(self, number: int) -> str | None:
        """Return the fold of the shape that an image shows, without making the image; None if it has none."""
        ...

    def lit(self, number: int) -> Lit:
        """Return an image with its shape."""
        ...


def learned_folds(sources: Iterable[Any]) -> frozenset[str]:
    """Return the folds of shapes that sources have learned from, as those do that draw from weights."""
    return frozenset(fold for one in sources if hasattr(one, "learned_folds") for fold in one.learned_folds())


def check_alone(objects: int, where: str) -> None:
    """Raise a `DatasetError` unless a sample shows one object."""
    if objects != 1:
        raise DatasetError(f"{where} shows {objects} objects: networks of shapes learn from images of one")


def view_among(asked: str | None, views: Mapping[str, Any], where: str) -> str:
    """Return the name of the view that is asked for, or of the only one."""
    if asked is None and len(views) > 1:
        raise DatasetError(f"{where} has views {', '.join(views)}: name one (view)")
    if asked is not None and asked not in views:
        raise DatasetError(f"{where} has no view {asked!r}: {suggestion(asked, views)}")
    return asked or next(iter(views))
