"""Solids changed until their image explains the photons: slopes, light, levels, and what the prior holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from torch import Tensor  # noqa: E402 -- needs torch

from mishape.learn.fitting import FitPlan, TracedFeatures, fit  # noqa: E402
from mishape.learn.models.grid_image import GridImage  # noqa: E402
from mishape.learn.networks import new, one_thread  # noqa: E402
from mishape.learn.noise_law import NoiseLaw  # noqa: E402
from mishape.learn.synthesis import Synthesis  # noqa: E402
from tests.small_light import FINE, batch, stirred, view_of  # noqa: E402

VIEW, EDGE_NM, STEP_NM = view_of(3, 24), 15.0, 40.0
BOX = np.full(3, -700.0), np.full(3, 700.0)


@dataclass
class Ball:
    """A ball whose place and radius may change, nm over 100."""

    numbers: Tensor

    def parameters(self) -> Sequence[Tensor]:
        return [self.numbers]

    def odds(self, places_nm: Tensor) -> Tensor:
        apart = (places_nm - 100 * self.numbers[:3]).norm(dim=1)
        return (100 * self.numbers[3] - apart) / EDGE_NM

    def cost(self) -> Tensor:
        return 0.0 * self.numbers.sum()


def ball(*numbers: float, dtype: torch.dtype = torch.float32) -> Ball:
    return Ball(torch.tensor(numbers, dtype=dtype).requires_grad_(True))


def test_every_piece_of_a_surface_is_as_bright() -> None:
    """The light of a ball is its surface over a voxel's face, to 2 %, whatever its size; of a volume its voxels.

    A ball whose border is a logistic step of width w holds 4/3 pi r^3 (1 + (pi w / r)^2).
    """
    shell = Synthesis.about(VIEW, *BOX, 20.0)
    inner = Synthesis.about(VIEW, *BOX, 20.0, "volume")
    for radius in (2.0, 4.0):
        odds = ball(0.1, 0.2, -0.1, radius).odds(shell.places_nm).detach()
        assert float(shell.light(odds).sum()) == pytest.approx(4 * np.pi * (100 * radius / 20) ** 2, rel=0.02)
        held = 4 / 3 * np.pi * (100 * radius / 20) ** 3 * (1 + (np.pi * EDGE_NM / (100 * radius)) ** 2)
        assert float(inner.light(odds).sum()) == pytest.approx(held, rel=0.005)


def test_slopes_agree_with_finite_differences() -> None:
    """Of the light that a microscope sees, by a ball's place and radius: to 1e-3."""
    synthesis = Synthesis.about(VIEW, *BOX, STEP_NM)
    weights = torch.from_numpy(np.random.default_rng(1).normal(size=VIEW.grid.shape)).double()
    every = torch.ones(len(synthesis.places_nm), dtype=torch.bool)

    def seen(solid: Ball) -> Tensor:
        return (image(solid) * weights).sum()

    def image(solid: Ball) -> Tensor:
        from mishape.engine.types import Emitters

        places = synthesis.places_nm.double()
        light = synthesis.light(solid.odds(places))
        found: Tensor = VIEW.microscope.image(Emitters(places[every], light[every]), VIEW.grid)
        return found

    start = (0.3, -0.5, 0.4, 3.0)
    solid = ball(*start, dtype=torch.float64)
    seen(solid).backward()
    slopes = solid.numbers.grad
    assert slopes is not None
    for number in range(4):
        step = 1e-3 * np.eye(4)[number]
        ends = [float(seen(ball(*(np.array(start) + sign * step), dtype=torch.float64)).detach()) for sign in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-3 == pytest.approx(
            float(slopes[number]), rel=1e-3, abs=1e-3 * float(slopes.norm())
        )


def test_a_ball_is_found_again() -> None:
    """From 150 nm beside and 80 nm too small: its place to 15 nm, its radius to 10, its levels, and no misfit left."""
    synthesis, law = Synthesis.about(VIEW, *BOX, STEP_NM), NoiseLaw()
    with torch.no_grad():
        light = synthesis.image(ball(0.5, -1.0, 0.6, 3.0).odds(synthesis.places_nm))
    counts = torch.poisson(100 + 400 * light / light.max(), generator=torch.Generator().manual_seed(1))
    solid = ball(-0.5, -0.2, 0.0, 2.2)
    with one_thread():
        found = fit(solid, synthesis, counts, law, FitPlan(steps=60, rate=0.08, sharp=1.0))
    assert solid.numbers.detach().numpy() == pytest.approx([0.5, -1.0, 0.6, 3.0], abs=0.15)
    assert found.background == pytest.approx(100, abs=1)
    assert found.brightness * float(light.max()) == pytest.approx(400, rel=0.05)
    chi2 = ((counts - found.expected) ** 2 / found.expected).mean()
    assert float(chi2) == pytest.approx(1.0, abs=0.08)
    assert found.misfit[-1] < found.misfit[0] - 0.3


def test_pixels_that_are_left_out_do_not_count() -> None:
    """However bright they are."""
    synthesis, law = Synthesis.about(VIEW, *BOX, STEP_NM), NoiseLaw()
    with torch.no_grad():
        light = synthesis.image(ball(0.0, 0.0, 0.0, 3.0).odds(synthesis.places_nm))
    counts = 100 + 400 * light / light.max()
    seen = torch.ones_like(counts)
    seen[:, ::3, ::3] = 0
    spoilt = torch.where(seen > 0, counts, torch.full_like(counts, 5000.0))
    ends = []
    for given in (counts, spoilt):
        solid = ball(0.2, 0.0, 0.0, 2.8)
        with one_thread():
            fit(solid, synthesis, given, law, FitPlan(steps=10, rate=0.05), seen)
        ends.append(solid.numbers.detach().numpy())
    np.testing.assert_allclose(*ends, atol=1e-4)


def test_a_network_s_features_give_way() -> None:
    """A fit changes what the network found, and the more the prior weighs the less."""
    view, given = view_of(1), batch(1, "world")
    given = {name: value[:1] for name, value in given.items()}
    network = stirred(new(1, GridImage(**FINE).network)).eval().requires_grad_(False)
    synthesis = Synthesis.about(view, np.full(3, -600.0), np.full(3, 600.0), 100.0)
    with torch.no_grad():
        features = network.features(given)
        other = features + 2 * torch.randn(features.shape, generator=torch.Generator().manual_seed(3))
        light = synthesis.image(network.odds(other, given, synthesis.places_nm[None] / 1000, torch.ones(1, 8))[0])
    counts = 100 + 400 * light / light.max()
    moved = []
    for prior in (0.01, 100.0):
        solid = TracedFeatures(network, given, features, torch.zeros(1, 8))
        with one_thread():
            fit(solid, synthesis, counts, NoiseLaw(), FitPlan(steps=4, prior=prior))
        moved.append(float(solid.change.detach().abs().mean()))
        assert solid.answer is not None
        assert solid.answer.detach().abs().max() > 0
    assert moved[0] > 2 * moved[1] > 0
