"""Volumes of light: their images, and derivatives with respect to each voxel."""

from __future__ import annotations

import numpy as np
import pytest

from mishape.engine.density import emitters_of
from mishape.engine.errors import EmitterError
from mishape.engine.grid import Grid
from mishape.engine.types import Emitters

from . import EPI2

VOXELS = Grid(shape=(5, 6, 7), pixel_nm=60.0, planes_nm=(-400.0, -150.0, 0.0, 100.0, 350.0))
GRID = Grid(shape=(2, 20, 24), pixel_nm=80.0, z_step_nm=300.0)


def test_a_voxel_is_an_emitter_at_its_middle() -> None:
    """Voxel (z, y, x) = (1, 4, 6) of a 5 x 6 x 7 grid lies at x 180, y 90, z -150 nm."""
    volume = np.zeros(VOXELS.shape)
    volume[1, 4, 6] = 700.0
    lone = Emitters(np.array([[180.0, 90.0, -150.0]]), np.array([700.0]))
    np.testing.assert_allclose(EPI2.image(emitters_of(volume, VOXELS), GRID), EPI2.image(lone, GRID), atol=1e-4)


def test_an_even_density_has_no_voxels() -> None:
    """A block of light in voxels of a third of the FWHMs against one of a sixth (40 x 40 x 80 nm): 1 % of the peak."""
    coarse = Grid(shape=(3, 12, 12), pixel_nm=80.0, z_step_nm=160.0)
    fine = Grid(shape=(6, 24, 24), pixel_nm=40.0, z_step_nm=80.0)
    images = [EPI2.image(emitters_of(np.full(g.shape, 1e6 / np.prod(g.shape)), g), GRID) for g in (coarse, fine)]
    assert np.abs(images[0] - images[1]).max() < 0.01 * images[1].max()


def test_another_shape_is_refused() -> None:
    with pytest.raises(
        EmitterError, match=r"^a volume of shape \(2, 3, 4\) does not fit the grid's \(5, 6, 7\) voxels$"
    ):
        emitters_of(np.zeros((2, 3, 4)), VOXELS)


def test_derivatives_of_a_volume() -> None:
    """A weighted sum of an image is linear in the volume: each derivative is that voxel's image, to 1e-10.

    So central differences of any step are exact, but for rounding.
    """
    torch = pytest.importorskip("torch", reason="pip install 'mishape[learn]'")
    rng = np.random.default_rng(3)
    volume = torch.asarray(rng.uniform(0, 100, VOXELS.shape)).requires_grad_()
    weights = torch.asarray(rng.normal(size=GRID.shape))
    (EPI2.image(emitters_of(volume, VOXELS), GRID) * weights).sum().backward()
    for voxel in ((0, 0, 0), (2, 3, 3), (4, 5, 6)):
        ends = []
        for step in (-1.0, 1.0):
            moved = volume.detach().clone()
            moved[voxel] += step
            ends.append(float((EPI2.image(emitters_of(moved, VOXELS), GRID) * weights).sum()))
        assert float(volume.grad[voxel]) == pytest.approx((ends[1] - ends[0]) / 2, abs=1e-10 * 100)
