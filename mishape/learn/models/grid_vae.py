"""A variational auto-encoder whose latent numbers lie on a grid in the shape's box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from mishape.engine.component import Component, Real, Whole

if TYPE_CHECKING:
    from mishape.learn.models.grid_network import GridNetwork
    from mishape.learn.shape_data import Sampling

Nodes = Annotated[Whole, Field(ge=1, le=64)]
Corners = Annotated[Whole, Field(ge=8, le=256, multiple_of=4)]


class GridVae(Component):
    """Shapes in the box along their principal axes, as numbers at the nodes of a coarse grid in it.

    Distances at the corners of a lattice come in, and a distance at any point comes out: features between the grid's
    nodes are interpolated, and a small perceptron reads them. Box and grid follow the shape, whatever its pose and
    proportions.
    """

    kind: Literal["grid_vae"] = "grid_vae"
    cells: tuple[Nodes, Nodes, Nodes] = (7, 4, 4)
    """Nodes of the latent grid along the box's edges, the longest first, each 1 to 64; default 7 x 4 x 4."""
    channels: Whole = Field(default=2, ge=1, le=256)
    """Numbers at each node; 1 to 256, default 2: 224 in all, and 10 for box and pose."""
    width: Whole = Field(default=64, ge=16, le=1024, multiple_of=16)
    """Channels of the convolutions; 16 to 1024, a multiple of 16; default 64."""
    lattice: tuple[Corners, Corners, Corners] = (48, 24, 24)
    """Corners of the lattice that is read; each a multiple of 4 from 8 to 256; default 48 x 24 x 24."""
    kl_weight: Real = Field(default=1e-4, ge=0, le=10)
    """Weight of the Kullback-Leibler divergence from a normal distribution, summed over the latent numbers, beside the
    mean error of a point; 0 to 10, default 1e-4."""

    @property
    def numbers(self) -> int:
        """How many latent numbers a shape has."""
        x, y, z = self.cells
        return x * y * z * self.channels

    def sampling(self, points: int) -> Sampling:
        """Return how shapes are shown to it: in their own box, as distances on a lattice and at points."""
        from mishape.learn.shape_data import Sampling

        return Sampling("principal", self.lattice, points)

    def network(self) -> GridNetwork:
        """Return a network with new weights, drawn from torch's generator."""
        from mishape.learn.models.grid_network import GridNetwork

        return GridNetwork(self)
