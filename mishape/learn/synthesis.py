"""From a solid, told by odds, to the light of its label: differentiable, and imaged by the engine's own microscopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mishape.engine.scene import View
from mishape.engine.types import Emitters, Points

Label = Literal["surface", "volume"]
FAINT = 1e-3
"""Share of a voxel's brightest possible light below which it is left out."""


@dataclass(frozen=True)
class Synthesis:
    """A lattice of voxels of the world, each of which may hold light, and the view that sees it.

    Parameters
    ----------
    view
        The view; any microscope whose imaging runs on torch.
    places_nm
        (n, 3) middles of the voxels.
    counts
        (nx, ny, nz) of the lattice; n is their product.
    label
        Where emitters sit.
    """

    view: View
    places_nm: Tensor
    counts: tuple[int, int, int]
    label: Label = "surface"

    @classmethod
    def about(cls, view: View, low_nm: Points, high_nm: Points, voxel_nm: float, label: Label = "surface") -> Self:
        """Return the lattice of a box of the world."""
        axes = [np.arange(low, high + voxel_nm, voxel_nm) for low, high in zip(low_nm, high_nm, strict=True)]
        x, y, z = map(len, axes)
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        return cls(view, torch.from_numpy(places.astype(np.float32)), (x, y, z), label)

    def light(self, odds: Tensor) -> Tensor:
        """Return the light of each voxel, (n,), where the logarithms of the odds of being inside are (n,).

        Of a surface label it is the slope of being inside: summed along a line through the surface it is 1, whatever
        the thickness of the step, so that every piece of the surface is as bright.
        """
        inside = torch.sigmoid(odds).reshape(self.counts)
        if self.label == "volume":
            return inside.reshape(-1)
        padded = functional.pad(inside[None, None], (1,) * 6, mode="replicate")[0, 0]
        middle = slice(1, -1)
        slopes = (
            padded[2:, middle, middle] - padded[:-2, middle, middle],
            padded[middle, 2:, middle] - padded[middle, :-2, middle],
            padded[middle, middle, 2:] - padded[middle, middle, :-2],
        )
        squares = sum(((slope / 2).square() for slope in slopes), torch.zeros_like(inside))
        return (squares + 1e-10).sqrt().reshape(-1)

    def image(self, odds: Tensor) -> Tensor:
        """Return the (P, H, W) expected light of a solid, in a unit of its own; differentiable by the odds."""
        light = self.light(odds)
        lit = torch.nonzero(light.detach() > FAINT * light.detach().max())[:, 0]
        emitters = Emitters(self.places_nm[lit], light[lit])
        image: Tensor = self.view.microscope.image(emitters, self.view.grid)
        return image
