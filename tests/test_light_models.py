"""Networks that find shapes in images: sizes, one step by hand, and what they tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from torch.nn import functional  # noqa: E402 -- needs torch

from mishape.learn.light import HEIGHT, MISMATCH  # noqa: E402
from mishape.learn.models.grid_image import GridImage  # noqa: E402
from mishape.learn.models.grid_stack import GridStack  # noqa: E402
from mishape.learn.models.light_network import beyond_focus  # noqa: E402
from mishape.learn.models.onet_image import OnetImage  # noqa: E402
from mishape.learn.models.onet_light_network import in_box  # noqa: E402
from mishape.learn.models.onet_stack import OnetStack  # noqa: E402
from mishape.learn.networks import new, one_thread  # noqa: E402
from mishape.learn.plan import StepsPlan  # noqa: E402
from mishape.learn.train import Trainer  # noqa: E402
from tests.small_light import FINE, SMALL, batch, stirred  # noqa: E402

Weights = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slowed down by threads."""
    with one_thread():
        yield


def doubled(given: Weights) -> Weights:
    return {name: value.double() for name, value in given.items()}


def count(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def resnet_18(stem: int, kernel: int) -> int:
    """Parameters of the layer plan: kernels without bias, two numbers for each normalised channel."""
    total = stem * 64 + 2 * 64
    for given, channels in ((64, 64), (64, 128), (128, 256), (256, 512)):
        total += kernel * (given * channels + 3 * channels**2) + 4 * 2 * channels
        total += 0 if given == channels else given * channels + 2 * channels
    return total


def test_the_references_sizes() -> None:
    """ResNet-18 and R3D-18 without their classifiers, of one channel; the decoder with conditioned normalisation."""
    assert resnet_18(3 * 7 * 7, 3 * 3) == 11_176_512
    assert resnet_18(3 * 3 * 7 * 7, 3 * 3 * 3) == 33_371_472 - (512 * 400 + 400)
    image, stack = new(0, OnetImage().network), new(0, OnetStack().network)
    to_condition = 512 * 256 + 256
    assert count(image.encoder) == resnet_18(7 * 7, 3 * 3) + to_condition == 11_170_240 + 131_328
    assert count(stack.encoder) == resnet_18(3 * 7 * 7, 3 * 3 * 3) + to_condition == 33_147_456 + 131_328
    layer = 256 * 256 + 256
    blocks, last = 5 * (2 * 2 * layer + 2 * layer), 2 * layer
    assert count(image.decoder) == count(stack.decoder) == 3 * 256 + 256 + blocks + last + 256 + 1 == 2_106_625


def encoded_by_hand(w: Weights, given: Any) -> Any:
    """ResNet-18, or its form for stacks, in plain formulas; (B, 1, ...) pictures."""
    convolved = functional.conv2d if given.dim() == 4 else functional.conv3d

    def normal(name: str, x: Any) -> Any:
        return functional.batch_norm(x, None, None, w[f"{name}.weight"], w[f"{name}.bias"], training=True)

    def layer(name: str, x: Any, stride: int) -> Any:
        kernel = w[f"{name}.0.weight"]
        return normal(f"{name}.1", convolved(x, kernel, None, stride, kernel.shape[-1] // 2))

    if given.dim() == 4:
        net = torch.relu(normal("encoder.0.stem.1", convolved(given, w["encoder.0.stem.0.weight"], None, 2, 3)))
        net = functional.max_pool2d(net, 3, 2, 1)
    else:
        kernel = w["encoder.0.stem.0.weight"]
        net = torch.relu(normal("encoder.0.stem.1", convolved(given, kernel, None, (1, 2, 2), (1, 3, 3))))
    for number in range(8):
        name, stride = f"encoder.0.blocks.{number}", 2 if number in (2, 4, 6) else 1
        beside = layer(f"{name}.beside", net, stride) if stride == 2 else net
        net = torch.relu(beside + layer(f"{name}.second", torch.relu(layer(f"{name}.first", net, stride)), 1))
    return net.flatten(2).mean(2) @ w["encoder.1.weight"].T + w["encoder.1.bias"]


def decoded_by_hand(w: Weights, places: Any, code: Any) -> Any:
    """The decoder in plain formulas: normalised over all places of the batch, stretched and shifted by the code."""

    def layer(name: str, x: Any) -> Any:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def conditioned(name: str, x: Any) -> Any:
        mean, variance = x.mean(dim=(0, 1)), x.var(dim=(0, 1), correction=0)
        normal = (x - mean) / (variance + 1e-5).sqrt()
        return torch.relu(layer(f"{name}.stretch", code)[:, None] * normal + layer(f"{name}.shift", code)[:, None])

    net = layer("decoder.place", places)
    for number in range(5):
        name = f"decoder.blocks.{number}"
        inner = conditioned(f"{name}.norms.1", layer(f"{name}.first", conditioned(f"{name}.norms.0", net)))
        net = net + layer(f"{name}.second", inner)
    return layer("decoder.out", conditioned("decoder.norm", net))[..., 0]


def settled(network: Any, given: Weights) -> Any:
    """A stirred network whose normalisations know a batch, ready to tell."""
    for part in stirred(network).modules():
        if hasattr(part, "running_mean"):
            part.momentum = 1.0
    network.loss(given, torch.Generator().manual_seed(0))
    return network.eval()


SILENT = ("place.bias", "first.bias", "second.bias")
"""Of the decoder: a normalisation takes away what they add, as in the reference."""


@pytest.mark.parametrize(("model", "planes"), [(OnetImage(**SMALL), 1), (OnetStack(**SMALL), 3)])
def test_one_step_of_the_reference(tmp_path: Path, model: Any, planes: int) -> None:
    """The loss is that of plain formulas; the trainer's first step is Adam's, by the rate against each gradient."""
    network = stirred(new(1, model.network)).double()
    given = doubled(batch(planes))
    w = {name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()}
    pictures = given["planes"] if planes == 1 else given["planes"][:, None]
    box_um = given["box_um"][:, None]
    logits = decoded_by_hand(w, (given["places_um"] - box_um[..., :3]) / box_um[..., 3:], encoded_by_hand(w, pictures))
    inside = (given["distance_nm"] < 0).double()
    entropy = (functional.softplus(logits) - inside * logits).sum(dim=1).mean()
    assert 0 < inside.mean() < 0.5
    entropy.backward()
    steps = StepsPlan(steps=1, learning_rate=1e-4, schedule="constant", weight_decay=0.0, largest_gradient=None)
    Trainer(network, steps, 0, "", tmp_path, lambda step: given, None, {}).run()
    said = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert said["loss"] == pytest.approx(float(entropy.detach()), rel=1e-5)
    for name, value in network.named_parameters():
        if name.startswith("decoder") and name.endswith(SILENT):
            assert w[name].grad.abs().max() < 1e-12
            continue
        gradient = w[name].grad
        assert gradient.any(), name
        assert torch.allclose(value, w[name] - 1e-4 * gradient / (gradient.abs() + 1e-8), atol=1e-8), name


def test_the_image_is_heard_of_from_the_second_step_on() -> None:
    """Stretch and shift begin at 1 and 0 whatever the image; then gradients reach all parameters."""
    network, given = new(2, OnetImage(**SMALL).network).double(), doubled(batch())
    norms = [network.decoder.norm, *(norm for block in network.decoder.blocks for norm in block.norms)]
    for norm in norms:
        assert (norm.stretch.bias == 1).all()
        assert not any(value.any() for value in (norm.stretch.weight, norm.shift.weight, norm.shift.bias))
    assert not any(block.second.weight.any() for block in network.decoder.blocks)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for step in range(3):
        optimizer.zero_grad()
        network.loss(given, torch.Generator())[0].backward()
        assert {bool(value.grad.any()) for value in network.encoder.parameters()} == {step > 0}
        optimizer.step()
    quiet = {name for name, value in network.named_parameters() if value.grad.abs().max() < 1e-12}
    assert quiet == {name for name, _ in network.decoder.named_parameters(prefix="decoder") if name.endswith(SILENT)}


def test_the_loss_is_a_sum_over_points_and_a_mean_over_shapes() -> None:
    network, given = stirred(new(3, OnetImage(**SMALL).network)), batch()
    found, numbers = network.loss(given, torch.Generator())
    loss = float(found.detach())
    for twice in (
        {**given, "places_um": given["places_um"].repeat(1, 2, 1), "distance_nm": given["distance_nm"].repeat(1, 2)},
        {name: torch.cat([value, value]) for name, value in given.items()},
    ):
        factor = twice["places_um"].shape[1] / given["places_um"].shape[1]
        assert float(network.loss(twice, torch.Generator())[0].detach()) == pytest.approx(factor * loss, rel=1e-5)
    assert numbers["wrong"] == pytest.approx(loss / 64, rel=1e-5)


@pytest.mark.parametrize("threshold", [0.2, 0.7])
def test_the_threshold_is_where_values_change_their_sign(threshold: float) -> None:
    """And nothing is inside beyond the cube."""
    network, given = stirred(new(4, OnetImage(**SMALL, threshold=threshold).network)), batch(points=500)
    with torch.no_grad():
        network.decoder.out.weight *= 10
    code = network.features(given)
    told = network.decoder(in_box(given, given["places_um"]), code)
    found = network.odds(code, given, given["places_um"])
    inside = torch.sigmoid(told) > threshold
    assert 0.02 < inside.float().mean() < 0.98
    assert torch.equal(found > 0, inside)
    beyond = given["box_um"][:, None, :3] + 0.56 * given["box_um"][:, None, 3:] * torch.eye(3)
    assert (network.odds(code, given, beyond) < -5).all()


@pytest.mark.parametrize("model", [OnetStack(**SMALL), GridStack(**FINE)])
def test_planes_that_are_padded_say_nothing(model: Any) -> None:
    """The same answer whatever stands behind the planes that are lit, alone or beside an image of more planes."""
    given, more = batch(3), batch(3, room=2)
    network = settled(new(5, model.network), given)
    more["planes"][:, 3:], more["focus_um"][:, 3:] = 7.0, 3.0
    five = batch(5)
    mixed = {name: torch.stack([five[name][0], value[1]]) for name, value in more.items()}
    told, padded, beside = (network.features(x) for x in (given, more, mixed))
    torch.testing.assert_close(padded, told, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(beside[1], told[1], atol=1e-4, rtol=1e-4)
    darker = {**given, "planes": given["planes"] * torch.tensor([1.0, 1.0, 0.5])[:, None, None]}
    assert (network.features(darker) - told).abs().max() > 0.05


def test_grid_stack_takes_planes_in_any_order() -> None:
    """With where each is in focus; without that, they say something else."""
    given = batch(4)
    network = settled(new(6, GridStack(**FINE).network), given)
    order = [2, 0, 3, 1]
    permuted = {**given, "planes": given["planes"][:, order], "focus_um": given["focus_um"][:, order]}
    confused = {**given, "planes": given["planes"][:, order]}
    told, same, other = (network.features(x) for x in (given, permuted, confused))
    torch.testing.assert_close(same, told, atol=1e-4, rtol=1e-4)
    assert (other - told).abs().max() > 0.05


def test_an_answer_chooses_among_solids() -> None:
    """None given is the middle one."""
    given = batch()
    network = settled(new(7, GridImage(**FINE, answers=3).network), given)
    features = network.features(given)
    middle, same, other = (
        network.odds(features, given, given["places_um"], answer)
        for answer in (None, torch.zeros(2, 3), torch.tensor([[0.0, 0, 0], [2.0, -1.0, 1.0]]))
    )
    assert torch.equal(middle, same)
    assert torch.equal(other[0], middle[0])
    assert (other[1] - middle[1]).abs().max() > 1e-3


def of_two_planes(given: dict[str, Any]) -> dict[str, Any]:
    """The same images, each plane once more 100 nm further."""
    planes, focus_um, lit = (torch.cat([given[name]] * 2, dim=1) for name in ("planes", "focus_um", "lit"))
    return {**given, "planes": planes, "focus_um": focus_um + torch.tensor([0.0, 0.1]), "lit": lit}


def with_optics(given: dict[str, Any], number: int, value: float) -> dict[str, Any]:
    optics = given["optics"].clone()
    optics[:, number] = value
    return {**given, "optics": optics}


def test_a_mirrored_solid_costs_the_same_where_an_image_does_not_tell_it() -> None:
    """In one plane and matched media, unless the height is known; in focus, knowing it says nothing."""
    single = with_optics(with_optics(batch(1, frame="world"), HEIGHT - 1, 0.0), HEIGHT, 0.0)
    network = stirred(new(8, GridImage(**FINE).network)).eval()

    def costs(given: dict[str, Any]) -> tuple[float, float]:
        both = (given["places_um"], beyond_focus(given, given["places_um"]))
        first, second = (
            network.loss({**given, "places_um": places}, torch.Generator().manual_seed(0))[0].item() for places in both
        )
        return first, second

    known = with_optics(single, HEIGHT - 1, 1.0)
    for given in (single, known, with_optics(known, HEIGHT, 0.1)):
        first, second = costs(given)
        assert first == pytest.approx(second, abs=1e-5)
    for given in (with_optics(known, HEIGHT, 0.9), with_optics(single, MISMATCH, 0.1), of_two_planes(single)):
        first, second = costs(given)
        assert abs(first - second) > 1e-3


@pytest.mark.parametrize(("model", "planes"), [(GridImage(**FINE), 1), (GridStack(**FINE, answers=2), 3)])
def test_gradients_reach_all_of_a_grid(model: Any, planes: int) -> None:
    network = stirred(new(8, model.network))
    network.loss(batch(planes, frame="world"), torch.Generator().manual_seed(0))[0].backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []
