"""Surfaces imaged again beside the image that they were found in, and the noise that an image tells."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from mishape.engine.types import Mesh
from mishape.learn.noise_law import NoiseLaw
from mishape.learn.reimaging import light_of_surfaces, reimaged
from tests.small_light import view_of

VIEW = view_of(3, 48)
NOISE = NoiseLaw()


def imaged(mesh: Mesh, seed: int = 1, background: float = 100.0, peak: float = 300.0) -> np.ndarray:
    light = light_of_surfaces([mesh], VIEW, np.random.default_rng(7))
    return np.random.default_rng(seed).poisson(background + peak * light / light.max()).astype(np.float64)


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=300.0)
    return Mesh(np.array(ball.vertices), np.array(ball.faces))


def test_the_true_surface_explains_its_image(mesh: Mesh) -> None:
    """What is left is noise: a mean square of 1, as white as that; levels come back."""
    counts = imaged(mesh)
    again = reimaged([mesh], counts, VIEW, np.random.default_rng(0), NOISE)
    assert again.chi2 == pytest.approx(1.0, abs=4 * (2 / counts.size) ** 0.5)
    assert abs(again.whiteness) < 4 / counts.size**0.5
    assert again.background == pytest.approx(100.0, abs=0.6)
    light = light_of_surfaces([mesh], VIEW, np.random.default_rng(7))
    assert again.brightness == pytest.approx(300.0 / light.max(), rel=0.02)


def test_another_surface_does_not(mesh: Mesh) -> None:
    counts = imaged(mesh)
    shifted = Mesh(mesh.vertices_nm + np.array([250.0, 0.0, 0.0]), mesh.faces)
    again = reimaged([shifted], counts, VIEW, np.random.default_rng(0), NOISE)
    assert again.chi2 > 1.5
    assert again.whiteness > 0.2


def test_surfaces_add_up(mesh: Mesh) -> None:
    """Each is as bright for its area, however many there are."""
    far = Mesh(mesh.vertices_nm + np.array([1500.0, 1500.0, 0.0]), mesh.faces)
    one, both = (light_of_surfaces(meshes, VIEW, np.random.default_rng(3)).sum() for meshes in ([mesh], [mesh, far]))
    assert both == pytest.approx(2 * one, rel=0.03)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.5, 100.0), (3.0, 40.0)])
def test_an_image_tells_its_noise(mesh: Mesh, gain: float, offset: float) -> None:
    """Variance over counts, by one image of any gain and offset: to a fifth in the dark; up to a half too much where
    it is bright, as what is sharp in the image counts as noise."""
    electrons = imaged(mesh, background=60.0, peak=4000.0)
    law = NoiseLaw.of(gain * electrons + offset)
    dark, bright = (law.variance(np.array(gain * level + offset)) / (gain**2 * level) for level in (60.0, 400.0))
    assert 0.8 < dark < 1.2
    assert 0.8 < bright < 1.5


def test_noise_of_an_even_image() -> None:
    """Where all is as bright, one variance is all that there is to tell."""
    law = NoiseLaw.of(np.random.default_rng(1).normal(50.0, 3.0, (1, 64, 64)))
    assert law.variance(np.array(50.0)) == pytest.approx(9.0, rel=0.15)
