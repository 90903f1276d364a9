"""The variational auto-encoder of Occupancy Networks, by which the MiShape paper draws its shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mishape.engine.component import Component, Real, Whole

if TYPE_CHECKING:
    from mishape.learn.models.onet_network import OnetNetwork
    from mishape.learn.shape_data import Sampling


class OnetVae(Component):
    """One latent vector for a shape in a cube; occupancy at points in and out.

    With its defaults, layers, loss and threshold are those of the unconditional model of Occupancy Networks (Mescheder
    et al., CVPR 2019): 116 096 parameters in the encoder, 182 273 in the decoder. Their optimiser is Adam at a constant
    1e-4 without decay or clipping, their batch 64 shapes of 2048 points.
    """

    kind: Literal["onet_vae"] = "onet_vae"
    latent: Whole = Field(default=128, ge=1, le=4096)
    """Latent numbers; 1 to 4096, default 128."""
    hidden: Whole = Field(default=128, ge=8, le=4096)
    """Width of all hidden layers; 8 to 4096, default 128; 64 is four times as quick."""
    kl_weight: Real = Field(default=1.0, ge=0, le=1000)
    """Weight of the divergence, beside cross entropy that is summed over a shape's points; 0 to 1000, default 1."""
    kl_warm_up: Whole = Field(default=0, ge=0)
    """Steps over which that weight rises from 0; default 0, as the reference."""
    free_nats: Real = Field(default=0.0, ge=0, le=100)
    """Divergence of each latent number that costs nothing; 0 to 100 nats, default 0."""
    threshold: Real = Field(default=0.2, gt=0, lt=1)
    """Occupancy above which a place is inside; above 0, below 1, default 0.2."""

    @property
    def numbers(self) -> int:
        """How many latent numbers a shape has."""
        return self.latent

    def sampling(self, points: int) -> Sampling:
        """Return how shapes are shown to it: in a cube, at uniform points."""
        from mishape.learn.shape_data import Sampling

        return Sampling("cube", None, points, near=0.0)

    def network(self) -> OnetNetwork:
        """Return a network with new weights, drawn from torch's generator."""
        from mishape.learn.models.onet_network import OnetNetwork

        return OnetNetwork(self)
