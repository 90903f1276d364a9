"""Stacks to shapes as the MiShape paper does it."""

from __future__ import annotations

from typing import Literal

from mishape.learn.models.onet_image import OnetLight


class OnetStack(OnetLight):
    """Shapes of stacks of 2 to 32 planes, by an R3D-18 of one channel: 33 278 784 parameters in the encoder by default.

    Planes are taken as depth, without a word of where they are in focus: give it stacks of one spacing.
    """

    MOST, LEAST, DIMENSIONS = 32, 2, 3

    kind: Literal["onet_stack"] = "onet_stack"
