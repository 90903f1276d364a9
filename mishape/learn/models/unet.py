"""A U-Net that tells which pixels of a picture are foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from mishape.engine.component import Component, Whole

if TYPE_CHECKING:
    from mishape.learn.models.unet_network import UnetNetwork

Width = Annotated[Whole, Field(ge=4, le=1024)]


class Unet(Component):
    """Features of a picture at coarser and coarser steps, brought back step by step beside those of the same size.

    U-Net (Ronneberger et al., MICCAI 2015). Its encoder is a plain one for processors, or EfficientNet-B0 (Tan & Le,
    ICML 2019), which the MiShape paper took; no weights of other pictures are put in.
    """

    kind: Literal["unet"] = "unet"
    encoder: Literal["plain", "efficientnet_b0"] = "plain"
    """Default plain: two convolutions at each step."""
    widths: tuple[Width, ...] = Field(default=(12, 24, 48, 96), min_length=2, max_length=6)
    """Channels of the plain encoder at each step, the finest first, each half of the size before; 4 to 1024, default
    12, 24, 48, 96."""

    @property
    def step_px(self) -> int:
        """Edges of the pictures that it is given are multiples of it."""
        return 32 if self.encoder == "efficientnet_b0" else 2 ** (len(self.widths) - 1)

    def network(self) -> UnetNetwork:
        """Return a network with new weights, drawn from torch's generator."""
        from mishape.learn.models.unet_network import UnetNetwork

        return UnetNetwork(self)
