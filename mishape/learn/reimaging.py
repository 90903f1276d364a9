"""What a microscope would see of a surface that was found, beside what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.geometry import sample_surface
from mishape.engine.scene import View
from mishape.engine.types import Emitters, Mesh
from mishape.learn.noise_law import NoiseLaw

PER_UM2 = 20_000.0
"""Emitters on a surface: so many that their number makes no grain of its own."""
MOST = 400_000
ROUNDS = 3
"""In which brightness and the noise that it makes are found in turn."""


@dataclass(frozen=True)
class Reimaged:
    """An image beside what is expected of a surface.

    Parameters
    ----------
    expected
        (P, H, W) counts.
    background, brightness
        Counts without the surface, and counts of it for each photon of an emitter.
    residual
        (P, H, W) what was seen less what is expected, over the noise.
    """

    expected: NDArray[np.float64]
    background: float
    brightness: float
    residual: NDArray[np.float64]

    @property
    def chi2(self) -> float:
        """Mean square of the residual; 1 if there is nothing but noise between the two."""
        return float((self.residual**2).mean())

    @property
    def whiteness(self) -> float:
        """Correlation of the residual with itself one pixel further; 0 if it is noise alone."""
        left, right = self.residual[..., :-1].ravel(), self.residual[..., 1:].ravel()
        upper, lower = self.residual[:, :-1].ravel(), self.residual[:, 1:].ravel()
        pairs = np.concatenate([left, upper]), np.concatenate([right, lower])
        return float((pairs[0] * pairs[1]).mean() / max((self.residual**2).mean(), 1e-30))


def light_of_surfaces(meshes: Sequence[Mesh], view: View, rng: Generator) -> NDArray[np.float64]:
    """Return (P, H, W) expected photons of surfaces that are lit evenly, one photon for each emitter of `PER_UM2`."""
    parts, photons = [], []
    for mesh in meshes:
        wanted = PER_UM2 * float(mesh.triangles.areas_nm2.sum()) / 1e6
        count = max(1, min(round(wanted), MOST))
        parts.append(sample_surface(mesh, count, rng))
        photons.append(np.full(count, wanted / count))
    emitters = Emitters(np.concatenate(parts), np.concatenate(photons))
    return np.asarray(view.microscope.image(emitters, view.grid), np.float64)


def reimaged(
    meshes: Sequence[Mesh], counts: NDArray[Any], view: View, rng: Generator, law: NoiseLaw | None = None
) -> Reimaged:
    """Return what is expected of surfaces, at the brightness and background that explain an image best.

    Parameters
    ----------
    meshes
        In the world of the view, nm.
    counts
        (P, H, W).
    law
        Of the noise; by default that of the image itself.
    """
    light = light_of_surfaces(meshes, view, rng)
    law = NoiseLaw.of(counts) if law is None else law
    background, brightness, expected = levels(light, counts.astype(np.float64), law)
    residual = (counts - expected) / np.sqrt(law.variance(expected))
    return Reimaged(expected, background, brightness, residual)


def levels(
    light: NDArray[np.float64],
    counts: NDArray[np.float64],
    law: NoiseLaw,
    seen: NDArray[np.float64] | None = None,
) -> tuple[float, float, NDArray[np.float64]]:
    """Return the background and brightness by which light explains counts best, and what is expected then.

    Least squares weighted by the noise, which follows from what is expected: a few rounds of both.

    Parameters
    ----------
    seen
        Weights of pixels, 0 for those that are left out; by default all 1.
    """
    shares = np.ones(light.size) if seen is None else seen.ravel()
    table = np.stack([np.ones(light.size), light.ravel()], axis=1)
    expected = counts.mean() * np.ones_like(counts)
    found = np.zeros(2)
    for _ in range(ROUNDS):
        weights = np.sqrt(shares / law.variance(expected).ravel())
        found = np.linalg.lstsq(table * weights[:, None], counts.ravel() * weights, rcond=None)[0]
        found[1] = max(found[1], 0.0)
        expected = (table @ found).reshape(counts.shape)
    return float(found[0]), float(found[1]), expected
