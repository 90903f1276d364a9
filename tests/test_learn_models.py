"""Networks: sizes, one step, and what they tell."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402 -- needs torch

from mishape.learn.models.flow import Flow  # noqa: E402
from mishape.learn.models.grid_vae import GridVae  # noqa: E402
from mishape.learn.models.onet_network import OnetNetwork  # noqa: E402
from mishape.learn.models.onet_vae import OnetVae  # noqa: E402
from mishape.learn.networks import new  # noqa: E402


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def batch(shapes: int = 2, points: int = 32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    places = torch.rand((shapes, points, 3), generator=generator) * 2 - 1
    distance = places.norm(dim=2) - torch.tensor([0.5, 0.8])[:shapes, None]
    edges = torch.ones(shapes, 3)
    return {"places": places, "distance": distance, "seen": torch.ones_like(distance), "edges": edges}


def test_the_reference_s_sizes() -> None:
    """Of the unconditional model of Occupancy Networks."""
    network = new(0, OnetVae().network)
    assert count(network.encoder) == 116_096
    assert count(network.decoder) == 182_273


def told_by_hand(network: OnetNetwork, given: dict[str, torch.Tensor], noise: torch.Tensor) -> torch.Tensor:
    """The reference's forward pass and loss in plain formulas, from the same weights."""
    w = dict(network.named_parameters())

    def layer(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    inside = (given["distance"] < 0).float()
    points = given["places"] * 0.55
    net = layer("encoder.first", torch.relu(layer("encoder.place", points) + layer("encoder.label", inside[..., None])))
    for number in range(2):
        pooled = net.max(dim=1, keepdim=True)[0].expand(net.shape)
        net = layer(f"encoder.rounds.{number}", torch.relu(torch.cat([net, pooled], dim=2)))
    net = net.max(dim=1)[0]
    mean, log_deviation = layer("encoder.mean", net), layer("encoder.log_deviation", net)
    latent = mean + noise * log_deviation.exp()
    net = layer("decoder.place", points) + layer("decoder.latent", latent)[:, None]
    for number in range(5):
        inner = layer(f"decoder.blocks.{number}.first", torch.relu(net))
        net = net + layer(f"decoder.blocks.{number}.second", torch.relu(inner))
    logits = layer("decoder.out", torch.relu(net))[..., 0]
    entropy = (functional.softplus(logits) - inside * logits).sum(dim=1).mean()
    normal = torch.distributions.Normal(torch.zeros_like(mean), 1.0)
    divergence = torch.distributions.kl_divergence(torch.distributions.Normal(mean, log_deviation.exp()), normal)
    return entropy + divergence.sum(dim=1).mean()


def test_one_step_of_the_reference() -> None:
    """The loss is that of plain formulas; Adam's first step goes by the rate against each gradient's sign."""
    network, given = new(1, OnetVae().network), batch()
    loss, numbers = network.loss(given, torch.Generator().manual_seed(3))
    noise = torch.randn((2, 128), generator=torch.Generator().manual_seed(3))
    by_hand = told_by_hand(network, given, noise)
    assert float(loss.detach()) == pytest.approx(float(by_hand.detach()), rel=1e-5)
    assert numbers["divergence"] > 0
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.0)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    loss.backward()
    optimizer.step()
    for name, value in network.named_parameters():
        assert value.grad is not None
        expected = before[name] - 1e-4 * value.grad / (value.grad.abs() + 1e-8)
        assert torch.allclose(value, expected, atol=1e-8), name
    zeros = [name for name in before if "second.weight" in name]
    assert len(zeros) == 5
    assert all(not before[name].any() for name in zeros)


def test_the_threshold_is_where_values_change_their_sign() -> None:
    network, given = new(2, OnetVae(threshold=0.2).network), batch()
    latent, _ = network.encode(given)
    values = network.distance(network.features(latent, given["edges"]), given["places"], given["edges"])
    odds = network.decoder(given["places"] * 0.55, latent)
    np.testing.assert_array_equal((values < 0).numpy(), (torch.sigmoid(odds) > 0.2).numpy())


def test_free_nats_and_warm_up_spare_the_divergence() -> None:
    given, losses = batch(), {}
    for name, options in {"plain": {}, "free": {"free_nats": 50.0}, "warm": {"kl_warm_up": 10}}.items():
        network = new(4, OnetVae(**options).network)
        loss, numbers = network.loss(given, torch.Generator().manual_seed(0))
        losses[name] = float(loss.detach()), numbers["divergence"]
    plain, divergence = losses["plain"]
    assert losses["free"][0] == pytest.approx(plain - divergence + 128 * 50, rel=1e-5)
    assert losses["warm"][0] == pytest.approx(plain - 0.9 * divergence, rel=1e-4)


@pytest.mark.parametrize("cells", [(7, 4, 4), (12, 6, 6), (2, 2, 2)])
def test_a_grid_of_any_size(cells: tuple[int, int, int]) -> None:
    plan = GridVae(cells=cells, channels=3, width=16)
    network = new(0, plan.network)
    given = {**batch(), "lattice": torch.zeros(2, 1, *plan.lattice)}
    mean, log_variance = network.encode(given)
    assert mean.shape == log_variance.shape == (2, plan.numbers)
    assert plan.numbers == math.prod(cells) * 3
    found = network.distance(network.features(mean, given["edges"]), given["places"], given["edges"])
    assert found.shape == (2, 32)


def test_a_flow_learns_two_clumps() -> None:
    """Half of what it draws lies at each, as in the data."""
    generator = torch.Generator().manual_seed(0)
    data = torch.cat([torch.randn(500, 2, generator=generator) * 0.1 + centre for centre in (-1.0, 1.0)])
    network = new(0, lambda: Flow(width=64, blocks=2, steps=20).network(2))
    network.mean.copy_(data.mean(0))
    network.spread.copy_(data.std(0))
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(400):
        rows = torch.randint(0, 1000, (256,), generator=generator)
        loss, _ = network.loss({"numbers": data[rows]}, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    drawn = network.sample(torch.randn(400, 2, generator=generator))
    right = (drawn[:, 0] > 0).float()
    assert 0.4 < float(right.mean()) < 0.6
    near = (drawn - (2 * right[:, None] - 1)).norm(dim=1)
    assert float(near.median()) < 0.3
