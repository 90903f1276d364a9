"""Single images to shapes as the MiShape paper does it: the conditional model of Occupancy Networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mishape.engine.component import Component, Real, Whole

if TYPE_CHECKING:
    from mishape.learn.models.onet_light_network import OnetLightNetwork


class OnetLight(Component):
    """Base of the two: one vector for an image, and the occupancy of places of a box that is known.

    By the paper's protocol they are told the truth's centre and longest edge, and find the shape alone; neither pixel
    size nor optics are known to them. The decoder, loss, places and threshold are those of Occupancy Networks
    (Mescheder et al., CVPR 2019): by default 2 106 625 parameters in the decoder, places uniform in a cube of 1.1 of
    the longest edge. Their optimiser is Adam at a constant 1e-4 without decay or clipping, their batch 64 images of
    2048 points.
    """

    MOST: ClassVar[int]
    """The most planes that it is given."""
    LEAST: ClassVar[int]
    """The fewest."""
    DIMENSIONS: ClassVar[int]
    """Of the convolutions."""

    encoder_width: Whole = Field(default=64, ge=4, le=512)
    """Channels of the encoder's first stage, an eighth of those of its last; 4 to 512, default 64."""
    condition: Whole = Field(default=256, ge=1, le=4096)
    """Numbers that an image becomes; 1 to 4096, default 256."""
    hidden: Whole = Field(default=256, ge=8, le=4096)
    """Width of the decoder; 8 to 4096, default 256."""
    threshold: Real = Field(default=0.2, gt=0, lt=1)
    """Occupancy above which a place is inside; above 0, below 1, default 0.2."""
    frame: Literal["camera", "canonical"] = "camera"
    """``camera``, the default: the solid turns with the view, and the box is that of the solid as it lies.
    ``canonical``: solid and box are those of its own frame, as the library holds it, whatever the view, which is how
    the paper's data were released; it is still judged in the world, turned back by its true pose."""

    @property
    def step_px(self) -> int:
        """Edges of images may have any length."""
        return 1

    def network(self) -> OnetLightNetwork:
        """Return a network with new weights, drawn from torch's generator."""
        from mishape.learn.models.onet_light_network import OnetLightNetwork

        return OnetLightNetwork(self)


class OnetImage(OnetLight):
    """Shapes of single images, by a ResNet-18: 11 301 568 parameters in the encoder by default.

    The reference repeats a grey image for the three channels of a network that has learned from photographs, at 224
    pixels. Three equal channels say no more than one: here there is one, the image has its own size, and weights are
    new.
    """

    MOST, LEAST, DIMENSIONS = 1, 1, 2

    kind: Literal["onet_image"] = "onet_image"
