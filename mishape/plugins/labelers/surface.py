"""Emitters on the surface, uniform by area."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.random import Generator
from pydantic import Field

from mishape.engine import geometry
from mishape.engine.cells import cells_near_surface, evaluate, gradient
from mishape.engine.component import Real
from mishape.engine.types import Emitters, Implicit, Points, Shape
from mishape.plugins.labelers.emission import Emission, refuse_absurd

SHELL = 0.1
"""Half-thickness of the shell of candidates around an implicit surface, in steps of the shape."""
CELL = 0.5
"""Edge of the cells in which candidates are drawn, in steps of the shape."""
CANDIDATES_PER_CALL = 1 << 20


class Surface(Emission):
    """A Poisson process on the surface: no grid, and no trace of how the surface is cut into triangles.

    On a mesh, faces are drawn in proportion to their area. A shape that has only an implicit function is labelled from
    its field, without meshing: a Poisson process of density rho / (2 eps) in space is thinned to the shell
    |f| / |grad f| < eps and each survivor is moved along the gradient onto the surface. The shell over a surface
    element dA with mean curvature H and Gaussian curvature K has the volume
    dA * integral_{-eps}^{eps} (1 - 2 H d + K d^2) dd = 2 eps dA (1 + K eps^2 / 3) (Steiner's formula: the term in H
    is odd and drops out), so what arrives is a Poisson process of density rho (1 + K eps^2 / 3). eps is a tenth of
    the shape's step, about 1/50 of its smallest radius: the error of the local density is about 1e-4.
    """

    kind: Literal["surface"] = "surface"
    density_per_um2: Real = Field(default=2000.0, gt=0, le=1e7)
    """Emitters per um^2 of surface, default 2000; their number is drawn from Poisson's law."""

    def label(self, shape: Shape, rng: Generator) -> Emitters:
        """Return emitters on the surface of a shape, in its frame.

        Raises
        ------
        ShapeError
            If more than 50 million emitters are expected.
        """
        density_per_nm2 = self.density_per_um2 * 1e-6
        if shape.mesh is None:
            assert shape.implicit is not None
            return self.emitters(self._on_field(shape.implicit, density_per_nm2, rng), rng)
        mean = geometry.mesh_area_nm2(shape.mesh) * density_per_nm2
        refuse_absurd(mean, self._density)
        return self.emitters(geometry.sample_surface(shape.mesh, int(rng.poisson(mean)), rng), rng)

    @property
    def _density(self) -> str:
        return f"density_per_um2 {self.density_per_um2:g}"

    def _on_field(self, implicit: Implicit, density: float, rng: Generator) -> Points:
        shell = SHELL * implicit.step_nm
        cells = cells_near_surface(implicit, CELL * implicit.step_nm, margin_nm=shell)
        # The cells' layer is never thinner than a cell, so this is above the area.
        refuse_absurd(density * cells.volume_nm3 / cells.size_nm / 10, self._density)
        left = int(rng.poisson(density * cells.volume_nm3 / (2 * shell)))
        found = [np.empty((0, 3))]
        while left:
            candidates = cells.sample(min(left, CANDIDATES_PER_CALL), rng)
            left -= len(candidates)
            found.append(_onto_surface(implicit, candidates, shell))
        return np.concatenate(found)


def _onto_surface(implicit: Implicit, candidates: Points, shell: float) -> Points:
    """Return the candidates within the shell, moved along the gradient onto the surface by two Newton steps."""
    values = evaluate(implicit.field, candidates)
    near = np.abs(values) < 2 * shell  # the gradient, six times as dear, is asked only where it matters
    points, values = candidates[near], values[near]
    step = implicit.step_nm * 1e-3
    move = _to_zero(gradient(implicit.field, points, step), values)
    kept = np.linalg.norm(move, axis=1) < shell
    points = points[kept] + move[kept]
    return np.asarray(points + _to_zero(gradient(implicit.field, points, step), evaluate(implicit.field, points)))


def _to_zero(slope: Points, values: Points) -> Points:
    square = np.maximum(np.einsum("ij,ij->i", slope, slope), 1e-6)
    return np.asarray(-slope * (values / square)[:, None])
