"""What another microscope would see of the shapes that an image shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine import registry
from mishape.engine.geometry import rotation_matrix
from mishape.engine.scene import View
from mishape.engine.types import Emitters, Mesh, Shape
from mishape.learn.reimaging import PER_UM2, Reimaged

PRIOR = (
    "made from shapes that a network found: what the image does not show of them is what the network learned to expect"
)
"""What every translated image says of itself."""


def turned(meshes: Sequence[Mesh], degrees: tuple[float, float, float]) -> list[Mesh]:
    """Return meshes turned about the middle of the field by Euler angles, as a scene's poses are."""
    rotation = rotation_matrix(*degrees)
    return [Mesh(mesh.vertices_nm @ rotation.T, mesh.faces) for mesh in meshes]


def translated(
    meshes: Sequence[Mesh], again: Reimaged, view: View, density_per_um2: float, rng: Generator
) -> NDArray[Any]:
    """Return the (Z, Y, X) image of surfaces by another view.

    Parameters
    ----------
    meshes
        In the world of the view, nm.
    again
        How bright the surfaces were in the image that they were found in; the other view has the same dose.
    view
        Where its noise is ``none``, expected counts are returned, on the background of the first image, float32; else
        what its detector records, uint16.
    density_per_um2
        Of the emitters that are drawn on the surfaces.
    """
    labeler = registry.load("labelers", "surface")(density_per_um2=density_per_um2)
    drawn = [labeler.label(Shape("found", mesh), rng) for mesh in meshes]
    photons = again.brightness * PER_UM2 / density_per_um2
    places = np.concatenate([emitters.xyz_nm for emitters in drawn])
    light = view.microscope.image(Emitters(places, np.full(len(places), photons)), view.grid)
    if getattr(view.noise, "kind", None) == "none":
        return np.asarray(light + again.background, np.float32)
    return view.noise.detect(light, rng)
