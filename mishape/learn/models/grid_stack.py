"""Stacks, and images, to shapes: features of pixels, read at any place of the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from mishape.engine.component import Component, Real, Whole

if TYPE_CHECKING:
    from mishape.learn.known_box import Told
    from mishape.learn.models.light_network import LightNetwork

Width = Annotated[Whole, Field(ge=4, le=1024)]


class GridLight(Component):
    """Base of the two: what a place is told by the pixels about it, and by the optics that the image was made with.

    A U-Net over the planes gives features to each pixel; a small perceptron reads those about a place, and its z, and
    says whether it is inside. Solids come out in the world's frame and in nm: where they are, how large, and what
    shape they have.
    """

    MOST: ClassVar[int]
    """The most planes that it is given."""
    LEAST: ClassVar[int]
    """The fewest."""
    frame: ClassVar[Told] = "world"
    """It is told nothing of the truth."""

    widths: tuple[Width, ...] = Field(default=(48, 96, 192), min_length=2, max_length=6)
    """Channels at each step, the finest first, each half of the size before; 4 to 1024, default 48, 96, 192."""
    features: Whole = Field(default=64, ge=4, le=1024)
    """Features of a pixel; 4 to 1024, default 64."""
    hidden: Whole = Field(default=128, ge=8, le=1024)
    """Width of the perceptron; 8 to 1024, default 128."""
    answers: Whole = Field(default=0, ge=0, le=256)
    """Numbers that choose among the solids that an image leaves open; 0 to 256. Without any, what comes out is the
    mean of them."""
    divergence_weight: Real = Field(default=1e-3, ge=0, le=10)
    """Weight of the divergence of those numbers, nats, beside the mean error of a place; 0 to 10, default 0.001."""

    @property
    def step_px(self) -> int:
        """Edges of the images that it learns from are multiples of it."""
        return 1 << (len(self.widths) - 1)

    def network(self) -> LightNetwork:
        """Return a network with new weights, drawn from torch's generator."""
        from mishape.learn.models.light_network import LightNetwork

        return LightNetwork(self)


class GridStack(GridLight):
    """Shapes of stacks of 2 to 32 planes."""

    MOST, LEAST = 32, 2

    kind: Literal["grid_stack"] = "grid_stack"
