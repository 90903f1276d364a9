"""Tubes and branched networks of tubes: a round or elliptical section swept along random centre lines."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.random import Generator
from pydantic import Field, PrivateAttr, model_validator

from mishape.engine.component import Component, Real, Whole
from mishape.engine.seeding import Stage, stream
from mishape.engine.sources import copy_of, keys_of_copy
from mishape.engine.types import Mesh, Points, Shape
from mishape.engine.wording import problem
from mishape.plugins.shapes.centre_lines import quadratic_spline, worm_like_network
from mishape.plugins.shapes.em_mesh import EmMesh
from mishape.plugins.shapes.matched import dimensions_like
from mishape.plugins.shapes.sweep import swept

SEKH_DIAMETERS_NM = ((200.0, 300.0), (300.0, 400.0), (400.0, 500.0), (500.0, 600.0))
SEKH_LONGEST_NM = 5000.0


class Tube(Component):
    """A tube with rounded ends along a random centre line, with or without branches; no two are alike.

    A centre line is a worm-like chain: its direction decorrelates as exp(-s / persistence_nm) (Kratky & Porod 1949).
    With ``preset: sekh2021`` it is a quadratic spline through three or four random points instead, shorter than 5 um,
    with a diameter from 200-300, 300-400, 400-500 or 500-600 nm (Sekh et al. 2021, doi 10.1038/s42256-021-00420-0).
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"sekh2021": {"height_nm": 1200.0}}

    kind: Literal["tube"] = "tube"
    preset: Literal["sekh2021"] | None = None
    """sekh2021 draws the centre line and, unless given, length and radius as Sekh et al. did."""
    length_nm: Real | None = Field(default=None, gt=0, le=1e6)
    """Length of the tube from tip to tip along its centre line, both rounded ends included, nm; a branch counts from
    the centre line that it leaves to its tip, and the network's total is this length. Up to 1e6."""
    radius_nm: Real | None = Field(default=None, ge=5, le=1e5)
    """Radius of the section, nm, 5 to 1e5; of a circle of the same area if `aspect` is above 1."""
    aspect: Real = Field(default=1.0, ge=1, le=10)
    """Ratio of the elliptical section's axes, 1 (round, default) to 10; its area stays that of the circle."""
    branches: Whole = Field(default=0, ge=0, le=200)
    """Number of branches beside the trunk, default 0, up to 200; they share `length_nm` with it."""
    persistence_nm: Real = Field(default=5000.0, gt=0, le=1e9)
    """Stiffness: arc length over which a direction is forgotten, nm, default 5000; not used by sekh2021."""
    height_nm: Real | None = Field(default=None, gt=0, le=1e6)
    """Largest extent along z, nm, so that a large network stays flat; no limit by default (sekh2021: 1200)."""
    match: str | None = None
    """A library, as em_mesh takes it: for each of its shapes there is then one tube of that shape's volume, length and
    thickness (or surface, where the library says no length), dealt to the splits as the shape is. So tubes and real
    shapes differ in form, and not in size. Give no length, radius or aspect beside it."""
    _library: EmMesh | None = PrivateAttr(default=None)
    _copy: Path | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Open the library that is matched while the scene file's folder is known."""
        self._copy = copy_of(self)
        if self.match is not None:
            library = self.match if self._copy is None else str(self._copy)
            self._library = EmMesh.model_validate({"library": library}, context=context)

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.match is not None:
            self._check_alone()
            return self
        if self.preset is None:
            for name in ("length_nm", "radius_nm"):
                if getattr(self, name) is None:
                    raise problem(f"a tube needs {name}: give it, or a preset (known: sekh2021)")
        elif self.branches:
            raise problem("preset sekh2021 has no branches: leave branches or the preset out")
        radius = self.radius_nm or SEKH_DIAMETERS_NM[-1][1] / 2
        needed = 2 * radius * (1 + self.branches)
        if self.length_nm is not None and self.length_nm < needed:
            raise problem(
                f"length_nm {self.length_nm:g} is too short for {self.branches} branches of radius {radius:g} nm: "
                f"at least {needed:g} nm are needed"
            )
        thickness = 2 * radius * self.aspect**0.5
        if self.height_nm is not None and self.height_nm < thickness:
            raise problem(f"height_nm {self.height_nm:g} is below the tube's own thickness of {thickness:g} nm")
        return self

    def _check_alone(self) -> None:
        for name in ("preset", "length_nm", "radius_nm", "aspect", "height_nm"):
            if name in self.model_fields_set and getattr(self, name) is not None:
                raise problem(f"match takes the size of tubes from a library: leave {name} out, or match")
        if self.branches:
            raise problem("tubes that match a library have no branches: leave branches out, or match")

    def keys(self) -> Mapping[str, str] | None:
        """Return the split keys of the shapes that are matched; else None: tubes are made, not chosen."""
        if self._library is None:
            return None
        return keys_of_copy(self._copy) if self._copy is not None else self._library.keys()

    def content_hash(self) -> str:
        """Return the SHA-256 of all that the matched tubes come from."""
        assert self._library is not None
        return hashlib.sha256(f"{self._library.content_hash()} {self.digest}".encode()).hexdigest()

    def sample(self, rng: Generator, id: str | None) -> Shape:
        """Return a new tube, centred on the middle of its centre lines; or the one that matches a shape."""
        if self._library is None:
            return self._tube(rng)
        if id is None:
            keys = sorted(self.keys() or ())
            id = keys[rng.integers(len(keys))]
        shape = self._library.sample(rng, id)
        if self._copy is not None:
            return shape
        size = dimensions_like(self._library.facts(id))
        # The tube of a shape depends on the shape alone.
        sizes = {"length_nm": size.length_nm, "radius_nm": size.radius_nm, "aspect": size.aspect}
        tube = Tube(**sizes, persistence_nm=self.persistence_nm)._tube(stream(0, 0, Stage.SHAPE, f"tube.{id}"))
        # To the bit what a library holds: a dataset's copy of the tube then makes the same images.
        mesh = Mesh(tube.surface.vertices_nm.astype(np.float32).astype(np.float64), tube.surface.faces)
        source = f"tube of the size of {id}, {shape.source}"
        return Shape(id, mesh, fold=shape.fold, source=source, licence=shape.licence)

    def _tube(self, rng: Generator) -> Shape:
        radius = self.radius_nm if self.radius_nm is not None else _sekh_radius(rng)
        room = None if self.height_nm is None else self.height_nm / 2 - radius * self.aspect**0.5
        if self.preset is None:
            assert self.length_nm is not None
            lines = worm_like_network(self.length_nm, radius, self.branches, self.persistence_nm, room, rng)
        else:
            length = self.length_nm or rng.uniform(4 * radius, SEKH_LONGEST_NM)
            lines = [quadratic_spline(length - 2 * radius, radius, np.inf if room is None else room, rng)]
        middle = np.average([line.mean(axis=0) for line in lines], axis=0, weights=[len(line) for line in lines])
        lines = [line - middle for line in lines]
        solid = swept(lines, radius, self.aspect, rng.uniform(0, 2 * np.pi))
        return Shape(_name(lines, radius, self.aspect), implicit=solid, source="tube")


def _sekh_radius(rng: Generator) -> float:
    low, high = SEKH_DIAMETERS_NM[rng.integers(len(SEKH_DIAMETERS_NM))]
    return float(rng.uniform(low, high)) / 2


def _name(lines: list[Points], radius: float, aspect: float) -> str:
    digest = blake2b(np.array([radius, aspect]).tobytes(), digest_size=8)
    for line in lines:
        digest.update(line.tobytes())
    return f"tube-{digest.hexdigest()}"
