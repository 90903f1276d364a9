"""A distribution of latent numbers, learned by flow matching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mishape.engine.component import Component, Whole

if TYPE_CHECKING:
    from mishape.learn.models.flow_network import FlowNetwork


class Flow(Component):
    """Turns normally distributed numbers into those of shapes, along straight paths in the mean.

    Conditional flow matching (Lipman et al., ICLR 2023; Liu et al., ICLR 2023): a network learns the velocity from
    noise to data, and samples follow it in equal steps.
    """

    kind: Literal["flow"] = "flow"
    width: Whole = Field(default=384, ge=16, le=8192)
    """Of each hidden layer; 16 to 8192, default 384."""
    blocks: Whole = Field(default=4, ge=1, le=64)
    """Residual blocks of two layers; 1 to 64, default 4."""
    steps: Whole = Field(default=40, ge=1, le=1000)
    """Steps from noise to a sample; 1 to 1000, default 40."""

    def network(self, numbers: int) -> FlowNetwork:
        """Return a network for so many numbers, with new weights, drawn from torch's generator."""
        from mishape.learn.models.flow_network import FlowNetwork

        return FlowNetwork(self, numbers)
