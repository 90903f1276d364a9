"""What models of Occupancy Networks' protocol are told of the truth, and how they are judged in the world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from mishape.learn.finding import Finder, load_finder  # noqa: E402 -- needs torch
from mishape.learn.known_box import KnownBox, known_box  # noqa: E402
from mishape.learn.light import LightError  # noqa: E402
from mishape.learn.models.grid_stack import GridStack  # noqa: E402
from mishape.learn.models.onet_image import OnetImage  # noqa: E402
from mishape.learn.models.onet_light_network import in_box  # noqa: E402
from mishape.learn.models.onet_stack import OnetStack  # noqa: E402
from mishape.learn.networks import new, plain  # noqa: E402
from mishape.learn.posed_scores import overlap  # noqa: E402
from mishape.learn.tensors import write_tensors  # noqa: E402
from tests.small_light import FINE, POSES, SMALL, OneImage, batch, stirred, two_balls  # noqa: E402


def test_targets_of_the_canonical_frame_do_not_turn() -> None:
    """Places in units of the own frame's box, (-50, -100, -110) to (300, 170, 100) nm, are labelled by the solid."""
    given = batch(frame="canonical", points=4000)
    places = in_box(given, given["places_um"]).numpy()
    assert np.abs(places).max() == pytest.approx(0.55, abs=1e-3)
    assert np.abs(places.mean(axis=1)).max() < 0.02
    for one, distance_nm, box_um, pose in zip(places, given["distance_nm"], given["box_um"], POSES, strict=True):
        own_nm = one * 350 + np.array([125, 35, -5])
        np.testing.assert_allclose(1.5 * two_balls(own_nm), distance_nm, atol=0.05)
        assert box_um[3] == pytest.approx(0.525)
        centre_nm = pose.rotation @ (box_um[:3].numpy() * 1000)
        np.testing.assert_allclose(centre_nm, pose.of(np.array([[125.0, 35.0, -5.0]]))[0], atol=0.05)


def test_targets_of_the_camera_frame_turn_with_the_view() -> None:
    given = batch(frame="camera", points=4000)
    places = in_box(given, given["places_um"]).numpy()
    assert np.abs(places).max() == pytest.approx(0.55, abs=1e-3)
    asked = (np.random.default_rng(0).random((4000, 3)) - 0.5) * 1.1
    labels = []
    for one, distance_nm, pose in zip(places, given["distance_nm"], POSES, strict=True):
        tips_nm = pose.of(OneImage(pose).posed.solid.mesh.vertices_nm)
        low, high = tips_nm.min(axis=0), tips_nm.max(axis=0)
        edge, centre = (high - low).max(), (low + high) / 2
        solid = OneImage(pose).posed.distance_nm
        np.testing.assert_allclose(solid(one * edge + centre), distance_nm, atol=0.05)
        labels.append(solid(asked * edge + centre) < 0)
    assert (labels[0] != labels[1]).mean() > 0.02
    assert torch.equal(given["turn"], torch.eye(3).expand(2, 3, 3))


@pytest.mark.parametrize("frame", ["camera", "canonical"])
def test_a_model_that_is_told_the_box_is_judged_in_the_world(frame: Any) -> None:
    """One that knows the solid of its frame scores 1, whatever the pose."""
    model = OnetImage(**SMALL, frame=frame)
    for pose in POSES:
        lit = OneImage(pose).lit(0)
        box = known_box(lit.posed, frame)
        assert box is not None
        network = new(0, model.network)
        network.odds = lambda features, given, places, answer=None, posed=lit.posed, box=box: torch.from_numpy(
            -posed.distance_nm(box.world_nm(in_box(given, places)[0].double().numpy()))
        )[None]
        assert overlap(Finder(network, model).odds_at(lit.counts, lit.view, box=box), lit.posed) > 0.98
        other: KnownBox = replace(box, turn=box.turn[[1, 2, 0]])
        assert overlap(Finder(network, model).odds_at(lit.counts, lit.view, box=other), lit.posed) < 0.5


def test_what_a_model_does_not_take() -> None:
    lit, box = OneImage(POSES[0], 3).lit(0), known_box(OneImage(POSES[0]).posed, "camera")
    image, stack = (Finder(new(0, model.network), model) for model in (OnetImage(**SMALL), OnetStack(**SMALL)))
    with pytest.raises(LightError, match=r"an image of 3 plane\(s\) given: onet_image takes 1 to 1"):
        image.odds_at(lit.counts, lit.view, box=box)
    with pytest.raises(LightError, match=r"onet_stack tells a shape in its box, .* give the box \(known_box, 'camera'"):
        stack.odds_at(lit.counts, lit.view)
    flat = OneImage(POSES[0]).lit(0)
    with pytest.raises(LightError, match=r"an image of 1 plane\(s\) given: onet_stack takes 2 to 32"):
        stack.odds_at(flat.counts, flat.view, box=box)


@pytest.mark.parametrize(
    ("model", "planes"), [(OnetStack(**SMALL), 3), (GridStack(**FINE), 3), (OnetImage(**SMALL), 1)]
)
def test_weights_come_back_from_their_file(tmp_path: Path, model: Any, planes: int) -> None:
    """With the same odds, and asking in the middle of a training changes nothing of it."""
    network, lit = stirred(new(9, model.network)).train(), OneImage(POSES[0], planes).lit(0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    box = known_box(lit.posed, model.frame)
    asked_nm = lit.posed.vertices_nm
    told = Finder(network, model).odds_at(lit.counts, lit.view, box=box)(asked_nm)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    path = tmp_path / "weights.safetensors"
    write_tensors(path, network.state_dict(), {"kind": "light", "model": plain(model)})
    finder, about = load_finder(path, path.stat().st_mtime_ns)
    assert about["model"]["kind"] == model.kind
    np.testing.assert_allclose(finder.odds_at(lit.counts, lit.view, box=box)(asked_nm), told, atol=1e-4)
