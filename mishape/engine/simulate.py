"""The four verbs in order: sample, label, image, detect; and the truths beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine import montage
from mishape.engine.batches import Light, joined_light, lights_of, with_images
from mishape.engine.devices import find_device
from mishape.engine.errors import PluginError
from mishape.engine.posing import pose_of
from mishape.engine.record import record_of
from mishape.engine.scene import Scene, SceneObject
from mishape.engine.seeding import Stage, stream
from mishape.engine.spacing import Placed
from mishape.engine.types import Emitters, Pose, Raster, Sample, Shape


def simulate(scene: Scene, describe: bool = True, device: str = "cpu") -> Sample:
    """Make one sample: shapes, emitters, images and truths.

    Parameters
    ----------
    scene
        What to make; `Spec.scene` gives it, or build it in Python.
    describe
        Also make the truths that belong to a shape rather than a sample (occupancy), as ``objects.N.name``.
    device
        Where images are computed: cpu, cuda, cuda:N, torch:cpu, torch:cuda or torch:cuda:N.

    Raises
    ------
    MishapeError
        If there is no such device, or it has too little memory.
    PluginError
        If a component does not keep its protocol, or does not work on the device.
    """
    return simulate_many([scene], describe, device)[0]


def simulate_many(scenes: Sequence[Scene], describe: bool = True, device: str = "cpu") -> list[Sample]:
    """Make several samples, whose views are imaged and detected together where the device is quicker so.

    Each is what `simulate` makes of its scene: the same bytes on cpu, elsewhere but for the rounding of single
    precision, which follows what else is in the batch.

    Parameters
    ----------
    scenes, describe, device
        As for `simulate`. All samples are held at once.
    """
    place = find_device(device)
    labelled = [_fields(scene) for scene in scenes]
    with place.active():
        lights = iter(lights_of([field for fields in labelled for field in fields], place))
        by_field = [[next(lights) for _ in fields] for fields in labelled]
        samples = [_joined(*parts) for parts in zip(scenes, labelled, by_field, strict=True)]
        samples = with_images(samples, [joined_light(*pair) for pair in zip(samples, by_field, strict=True)], place)
    return [_finished(sample, describe) for sample in samples]


def _fields(scene: Scene) -> list[Sample]:
    """Return the labelled fields of the scene's montages, without light."""
    return [_field(scene, tile) for tile in range(max(view.tiles for view in scene.views.values()))]


def _field(scene: Scene, tile: int) -> Sample:
    things = {number: thing for number, thing in enumerate(scene.objects) if thing.tile == tile}
    sources = {number: _source(scene, thing) for number, thing in things.items()}
    poses: dict[int, Pose] = {}
    shapes: dict[int, Shape] = {}
    placed: list[Placed] = []
    for number, thing in things.items():
        poses[number] = pose = pose_of(scene, thing, sources[number], placed)
        shapes[number] = sources[number].moved(pose.rotation, pose.offset_nm, pose.scale)
        placed.append(Placed(shapes[number]))
    labels = {number: _label(scene, things[number], shape) for number, shape in shapes.items()}
    emitters = montage.together([replace(part, owner=np.full(len(part), number)) for number, part in labels.items()])
    views = {name: view for name, view in scene.views.items() if tile < view.tiles}
    return Sample(scene.model_copy(update={"views": views}), sources, poses, shapes, emitters, {}, {})


def _joined(scene: Scene, fields: Sequence[Sample], lights: Sequence[dict[str, Light]]) -> Sample:
    """Return the sample of labelled fields and their light, with truths, before its detectors."""
    lit = [
        replace(field, photons={name: part.here for name, part in light.items()})
        for field, light in zip(fields, lights, strict=True)
    ]
    return montage.join(scene, [replace(field, truths=_truths(field, tile)) for tile, field in enumerate(lit)])


def _finished(sample: Sample, describe: bool) -> Sample:
    """Return a detected sample with its shapes' truths and its record."""
    sample = replace(sample, truths={**sample.truths, **_descriptions(sample)}) if describe else sample
    return replace(sample, record=record_of(sample))


def _source(scene: Scene, thing: SceneObject) -> Shape:
    return thing.shape.sample(stream(scene.seed, thing.group, Stage.SHAPE, thing.path), thing.shape_id)


def _label(scene: Scene, thing: SceneObject, shape: Shape) -> Emitters:
    return thing.labeler.label(shape, stream(scene.seed, scene.sample, Stage.LABEL, thing.path))


def _truths(field: Sample, tile: int) -> dict[str, Raster | NDArray[Any]]:
    truths: dict[str, Raster | NDArray[Any]] = {}
    for kind, truth in field.scene.truths.items():
        if hasattr(truth, "measure"):
            rng = stream(field.scene.seed, field.scene.sample, Stage.TRUTH, f"{kind}.{tile}")
            measured = truth.measure(field, rng)
            for name in measured:
                _check_name(kind, name, field)
            truths.update(measured)
    return truths


def _check_name(kind: str, name: str, field: Sample) -> None:
    """Refuse a truth's array whose name would not be a file's, or another file's."""
    taken = name.endswith(".image") and name.removesuffix(".image") in field.scene.views
    if taken or re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", name) is None:
        raise PluginError(f"truth {kind!r} gave an array named {name!r}: use 'view.{kind}' or {kind!r}")


def _descriptions(sample: Sample) -> dict[str, NDArray[Any]]:
    return {
        f"objects.{number}.{name}": array
        for number, shape in sample.sources.items()
        for name, array in describe_shape(sample.scene, shape).items()
    }


def describe_shape(scene: Scene, shape: Shape) -> dict[str, NDArray[Any]]:
    """Return the truths of a shape in its own frame; they depend on the seed and the shape, not on the sample."""
    arrays: dict[str, NDArray[Any]] = {}
    for kind, truth in scene.truths.items():
        if hasattr(truth, "describe"):
            arrays.update(truth.describe(shape, stream(scene.seed, 0, Stage.TRUTH, f"{kind}.{shape.id}")))
    return arrays
