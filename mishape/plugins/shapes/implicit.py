"""Exact textbook solids: sphere, ellipsoid, torus, capsule; all with exact signed distances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from mishape.engine import types
from mishape.engine.component import Component, Real
from mishape.engine.types import Points, Shape
from mishape.engine.wording import problem

Length = Annotated[Real, Field(gt=0, le=1e6)]
PARAMETERS = {
    "sphere": ("radius_nm",),
    "ellipsoid": ("semi_axes_nm",),
    "torus": ("ring_radius_nm", "radius_nm"),
    "capsule": ("length_nm", "radius_nm"),
}
CELLS_PER_RADIUS = 8
"""Cells of the derived mesh along the smallest radius."""


class Implicit(Component):
    """A sphere, ellipsoid, torus or capsule, centred; each form takes its own lengths and no others."""

    kind: Literal["implicit"] = "implicit"
    form: Literal["sphere", "ellipsoid", "torus", "capsule"]
    """Which solid."""
    radius_nm: Length | None = None
    """Radius of the sphere, of the torus's tube or of the capsule, nm, up to 1e6."""
    semi_axes_nm: tuple[Length, Length, Length] | None = None
    """Semi-axes of the ellipsoid along x, y, z, nm, up to 1e6."""
    ring_radius_nm: Length | None = None
    """Distance from the torus's centre to the middle of its tube, nm; the ring lies in the xy plane."""
    length_nm: Length | None = None
    """Length of the capsule along x from tip to tip, nm; at least twice its radius."""

    @model_validator(mode="after")
    def _lengths_fit_the_form(self) -> Self:
        wanted = PARAMETERS[self.form]
        for name in dict.fromkeys(name for names in PARAMETERS.values() for name in names):
            if (getattr(self, name) is None) == (name in wanted):
                verb = f"needs {name}" if name in wanted else f"does not use {name}"
                raise problem(f"a {self.form} {verb}: give {' and '.join(wanted)}")
        if self.form == "torus" and (self.ring_radius_nm or 0) <= (self.radius_nm or 0):
            raise problem(f"a torus needs a ring_radius_nm above its radius_nm, got {self.ring_radius_nm:g}")
        if self.form == "capsule" and (self.length_nm or 0) < 2 * (self.radius_nm or 0):
            raise problem(f"a capsule needs a length_nm of at least twice its radius_nm, got {self.length_nm:g}")
        return self

    def keys(self) -> None:
        """Return None: the solid is made, not chosen."""

    def sample(self, rng: Generator, id: str | None) -> Shape:
        """Return the solid; its id holds its lengths, so equal solids share a split."""
        lengths = np.concatenate([np.atleast_1d(getattr(self, name)) for name in PARAMETERS[self.form]])
        name = "-".join([self.form, *(f"{value:g}" for value in lengths)])
        field, reach, smallest = FORMS[self.form](*lengths)
        bounds = np.stack([-reach, reach])
        return Shape(name, implicit=types.Implicit(field, bounds, smallest / CELLS_PER_RADIUS), source="implicit")


Form = tuple[Callable[[Points], Points], Points, float]
"""A field, the positive corner of its box, and its smallest radius."""


def _sphere(radius: float) -> Form:
    return lambda p: np.linalg.norm(p, axis=1) - radius, np.full(3, radius), radius


def _torus(ring: float, radius: float) -> Form:
    def field(p: Points) -> Points:
        return np.asarray(np.hypot(np.hypot(p[:, 0], p[:, 1]) - ring, p[:, 2]) - radius)

    return field, np.array([ring + radius, ring + radius, radius]), radius


def _capsule(length: float, radius: float) -> Form:
    half = length / 2 - radius

    def field(p: Points) -> Points:
        along = p[:, 0] - np.clip(p[:, 0], -half, half)
        return np.asarray(np.sqrt(along**2 + p[:, 1] ** 2 + p[:, 2] ** 2) - radius)

    return field, np.array([length / 2, radius, radius]), radius


def _ellipsoid(a: float, b: float, c: float) -> Form:
    axes = np.array([a, b, c])
    tip = max(axes.min() ** 2 / axes.max(), axes.min() / 4)  # a needle's tip may stay coarse: cells are limited
    return lambda p: ellipsoid_distance(p, axes), axes, float(tip)


FORMS: dict[str, Callable[..., Form]] = {
    "sphere": _sphere,
    "ellipsoid": _ellipsoid,
    "torus": _torus,
    "capsule": _capsule,
}


def ellipsoid_distance(points: Points, semi_axes: Points) -> Points:
    """Return the signed distance of (n, 3) points to a centred ellipsoid, negative inside.

    The foot of the perpendicular from y is ``x_i = e_i^2 y_i / (t + e_i^2)`` with t the largest root of
    ``sum (e_i y_i / (t + e_i^2))^2 = 1`` (Eberly, Distance from a Point to an Ellipse, an Ellipsoid, or a
    Hyperellipsoid). The sum falls and is convex in t, so Newton's method started below the root climbs to it without
    overshooting; the start, where the largest term is 1, makes it quadratic at once.
    """
    axes = np.asarray(semi_axes, np.float64)
    y = np.maximum(np.abs(points), axes * 1e-12)  # on a plane of symmetry the root would be a pole
    beyond = axes**2 - axes.min() ** 2
    s: Any = (axes * y - beyond).max(axis=1, keepdims=True)  # t + min(e)^2, which keeps its digits next to the pole
    for _ in range(12):
        terms = (axes * y / (s + beyond)) ** 2
        s = s + (terms.sum(axis=1, keepdims=True) - 1) / (2 * (terms / (s + beyond)).sum(axis=1, keepdims=True))
    foot = axes**2 * y / (s + beyond)
    inside = ((y / axes) ** 2).sum(axis=1) < 1
    return np.asarray(np.where(inside, -1, 1) * np.linalg.norm(y - foot, axis=1))
