"""The four verbs in order: sample, label, image, detect; and the truths beside them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine import montage
from mishape.engine.arrays import to_numpy
from mishape.engine.errors import EmitterError, PluginError
from mishape.engine.posing import pose_of
from mishape.engine.record import record_of
from mishape.engine.scene import Scene, SceneObject, View
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Emitters, Raster, Sample, Shape


def simulate(scene: Scene, describe: bool = True) -> Sample:
    """Make one sample: shapes, emitters, images and truths.

    Parameters
    ----------
    scene
        What to make; `Spec.scene` gives it, or build it in Python.
    describe
        Also make the truths that belong to a shape rather than a sample (occupancy), as ``objects.N.name``.
    """
    fields = [_field(scene, tile) for tile in range(max(view.tiles for view in scene.views.values()))]
    sample = montage.join(scene, fields)
    images = {name: _image(scene, name, sample.photons[name]) for name in scene.views}
    truths = {**sample.truths, **(_descriptions(sample) if describe else {})}
    sample = replace(sample, images=images, truths=truths)
    return replace(sample, record=record_of(sample))


def _image(scene: Scene, name: str, photons: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Return what a view's detector records; a stranger's detector is held to its promise."""
    noise = scene.views[name].noise
    image = np.asarray(noise.detect(photons, stream(scene.seed, scene.sample, Stage.NOISE, name)))
    if image.dtype != np.uint16 or image.shape != photons.shape:
        raise PluginError(
            f"noise {noise.kind!r} gave {image.dtype} of shape {image.shape}: detect() must return uint16 of the "
            f"photons' shape {photons.shape}"
        )
    return image


def _field(scene: Scene, tile: int) -> Sample:
    """Simulate one field of the montage up to the expected photons, with its truths."""
    things = {number: thing for number, thing in enumerate(scene.objects) if thing.tile == tile}
    sources = {number: _source(scene, thing) for number, thing in things.items()}
    poses = {number: pose_of(scene, thing, sources[number]) for number, thing in things.items()}
    shapes = {
        number: sources[number].moved(pose.rotation, pose.offset_nm, pose.scale) for number, pose in poses.items()
    }
    labels = {number: _label(scene, things[number], shape) for number, shape in shapes.items()}
    emitters = montage.together([replace(part, owner=np.full(len(part), number)) for number, part in labels.items()])
    views = {name: view for name, view in scene.views.items() if tile < view.tiles}
    photons = {name: _photons(scene, name, emitters) for name in views}
    field = Sample(scene.model_copy(update={"views": views}), sources, poses, shapes, emitters, photons, {})
    return replace(field, truths=_truths(field, tile))


def _source(scene: Scene, thing: SceneObject) -> Shape:
    return thing.shape.sample(stream(scene.seed, thing.group, Stage.SHAPE, thing.path), thing.shape_id)


def _label(scene: Scene, thing: SceneObject, shape: Shape) -> Emitters:
    return thing.labeler.label(shape, stream(scene.seed, scene.sample, Stage.LABEL, thing.path))


def _photons(scene: Scene, name: str, emitters: Emitters) -> NDArray[np.floating]:
    """Return the expected photons of a view, of the type that its microscope gives."""
    view = scene.views[name]
    try:
        return np.asarray(to_numpy(view.microscope.image(_seen(scene, view, emitters), view.grid)))
    except EmitterError as error:
        raise EmitterError(f"views.{name}.microscope: {error}") from error


def _seen(scene: Scene, view: View, emitters: Emitters) -> Emitters:
    """Return the emitters whose light reaches a view, as bright as they are there."""
    channels = np.array([view.weight(thing.channel) for thing in scene.objects])
    if (channels == 1).all():
        return emitters
    weights = channels[emitters.owner]
    lit = weights > 0
    return Emitters(emitters.xyz_nm[lit], (emitters.photons * weights)[lit], emitters.owner[lit])


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
