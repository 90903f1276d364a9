"""Images and places of the world as networks learn them: is a place inside of what the image shows?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from mishape.engine.errors import LibraryError
from mishape.engine.occupancy import uniform_points
from mishape.engine.scene import View
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Points
from mishape.learn.known_box import Told, known_box
from mishape.learn.light import light_of
from mishape.learn.lit import Images, Posed

NEAR, NEAR_NM = 2 / 3, (40.0, 150.0)
"""Share of the places that lie about the surface, and the standard deviations of how far: half of them have either."""
AROUND, AROUND_NM = 1 / 6, 400.0
"""Share of the places that are drawn evenly in a shape's box and so much room around it; the rest in all the field."""
DEPTH_NM = 1500.0
"""How far beyond the planes in focus a field reaches."""
TRIES = 10_000
"""Samples in a row that may show shapes of other folds."""


@dataclass(frozen=True)
class Part:
    """Images of one kind.

    Parameters
    ----------
    images
        The images.
    share
        How often they are shown, beside other kinds.
    """

    images: Images
    share: float = 1.0


class LitShapes:
    """Images drawn from several kinds, with places of the world; an item is a pure function of its number and its draw.

    Items hold ``planes`` (P, H, W), ``focus_um`` (P,), ``lit`` (P,) and ``optics`` as `Light.padded` gives them,
    ``places_um`` (points, 3) of the world, and ``distance_nm`` (points,) signed; all float32. For models that are told
    a box, places are uniform in the cube about it, and `KnownBox.arrays` are there too.

    Parameters
    ----------
    parts
        The kinds of images; all of as many rows and columns.
    points
        Places of each.
    planes
        The most planes that an image has.
    without
        Folds whose shapes are not shown.
    only
        Folds whose shapes alone are shown; all if it is empty.
    seed
        Of all that is drawn.
    frame
        In which frame solids are told by what learns of them.
    height_known
        Share of the items that tell how high the shape's centre lies.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        points: int,
        planes: int,
        without: Collection[str] = (),
        only: Collection[str] = (),
        seed: int = 0,
        frame: Told = "world",
        height_known: float = 0.0,
    ) -> None:
        self.parts, self.points, self.planes, self.height_known = parts, points, planes, height_known
        self.without, self.only, self.seed, self.frame = without, only, seed, frame
        self._edges = np.cumsum([part.share for part in parts])

    def __len__(self) -> int:
        return sum(len(part.images) for part in self.parts)

    def item(self, number: int, draw: int) -> dict[str, Any]:
        """Return an image that one draw takes, and places about what it shows; its number says nothing more."""
        rng = stream(self.seed, draw, Stage.TRUTH, f"learn.{number}")
        images = self.parts[int(np.searchsorted(self._edges, rng.random() * self._edges[-1], side="right"))].images
        lit = images.lit(self.shown(images, int(rng.integers(len(images)))))
        box = known_box(lit.posed, self.frame)
        centre_z_nm = lit.posed.centre_z_nm if rng.random() < self.height_known else None
        if box is None:
            places_nm = drawn_places(lit.posed, lit.view, self.points, rng)
        else:
            places_nm = box.world_nm(uniform_points(self.points, rng, dtype=np.float64))
        return {
            **({} if box is None else box.arrays()),
            **light_of(lit.counts, lit.view, centre_z_nm).padded(self.planes),
            "places_um": np.asarray(places_nm / 1000, np.float32),
            "distance_nm": np.asarray(lit.posed.distance_nm(places_nm), np.float32),
        }

    def shown(self, images: Images, number: int) -> int:
        """Return the number of the first image, from one on, that shows a shape of the folds that are wanted.

        Raises
        ------
        LibraryError
            If there is none.
        """
        tries = min(TRIES, len(images))
        for step in range(tries):
            found = (number + step) % len(images)
            fold = images.fold(found)
            if fold not in self.without and (not self.only or fold in self.only):
                return found
        raise LibraryError(f"no image shows a shape of the folds that are asked for: {tries} in a row are of others")


def drawn_places(posed: Posed, view: View, count: int, rng: Generator) -> Points:
    """Draw places of the world, (count, 3) nm: most about a surface, some around it, some anywhere in the field."""
    vertices_nm = posed.vertices_nm
    near, around = round(NEAR * count), round(AROUND * count)
    about_nm = vertices_nm[rng.integers(len(vertices_nm), size=near)]
    about_nm = about_nm + rng.choice(NEAR_NM, (near, 1)) * rng.standard_normal((near, 3))
    box = vertices_nm.min(axis=0) - AROUND_NM, vertices_nm.max(axis=0) + AROUND_NM
    anywhere = rng.uniform(*field_of_view(view), (count - near - around, 3))
    return np.concatenate([about_nm, rng.uniform(*box, (around, 3)), anywhere])


def field_of_view(view: View) -> tuple[Points, Points]:
    """Return the lowest and highest corner, (3,) nm, of the part of the world in which solids are looked for."""
    (half_x, half_y), focus = view.grid.half_field_nm(), view.focus_in_sample_nm()
    low = np.array([-half_x, -half_y, float(focus.min()) - DEPTH_NM])
    return low, np.array([half_x, half_y, float(focus.max()) + DEPTH_NM])
