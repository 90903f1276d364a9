"""Light and images of many samples together: what a GPU is quick at. On the host each is made alone, which is quicker.

Views that are equal share one call of their microscope, and one of their detector, where those have the batch forms
`image_many` and `detect_many`; others are called once per sample.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mishape.engine.arrays import is_host, is_out_of_memory, namespace, to_numpy
from mishape.engine.component import Keyed
from mishape.engine.devices import Device
from mishape.engine.errors import EmitterError, MishapeError, PluginError
from mishape.engine.montage import tiled
from mishape.engine.scene import Scene, View
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Array, Emitters, Sample

T = TypeVar("T")


@dataclass(frozen=True)
class Light:
    """The expected photons of one view of one field or sample.

    Parameters
    ----------
    there, here
        (Z, Y, X), on the device and on the host; on the host the same array.
    """

    there: Array
    here: NDArray[np.floating]


def lights_of(fields: Sequence[Sample], device: Device) -> list[dict[str, Light]]:
    """Return the light of labelled fields, by view: emitters go to the device together, light leaves it in batches.

    Raises
    ------
    EmitterError
        If a microscope cannot see emitters where they are, naming the view.
    PluginError
        If a microscope does not work on the device.
    """
    seen = {
        (number, name): _seen(field.scene, view, field.emitters)
        for number, field in enumerate(fields)
        for name, view in field.scene.views.items()
    }
    distinct = {id(emitters): emitters for emitters in seen.values()}
    sent = dict(zip(distinct, device.sent([*distinct.values()]), strict=True))
    found: dict[tuple[int, str], Light] = {}

    def optics(place: tuple[int, str]) -> Hashable:
        view = fields[place[0]].scene.views[place[1]]
        return place[1], view.grid, _key(view.microscope, "image_many", device) or place

    for group in _grouped(seen, optics):
        number, name = group[0]
        view, batch = fields[number].scene.views[name], [sent[id(seen[place])] for place in group]
        try:
            there = _imaged(view, batch, device)
        except EmitterError as error:
            raise EmitterError(f"views.{name}.microscope: {error}") from error
        here = to_numpy(there)
        found.update({place: Light(there[i, ...], here[i]) for i, place in enumerate(group)})
    return [{name: found[number, name] for name in field.scene.views} for number, field in enumerate(fields)]


def _seen(scene: Scene, view: View, emitters: Emitters) -> Emitters:
    """Return the emitters whose light reaches a view, as bright as they are there."""
    channels = np.array([view.weight(thing.channel) for thing in scene.objects])
    if (channels == 1).all():
        return emitters
    weights = channels[emitters.owner]
    lit = weights > 0
    return Emitters(emitters.xyz_nm[lit], (emitters.photons * weights)[lit], emitters.owner[lit])


def _imaged(view: View, batch: Sequence[Emitters], device: Device) -> Array:
    """Return (N, Z, Y, X) expected photons; a stranger's microscope is held to its promise on a device."""
    scope: Any = view.microscope
    grid = view.grid
    if device.kind == "cpu":
        return np.asarray(to_numpy(scope.image(batch[0], grid)))[None]
    try:
        if has_batch_form(scope, "image_many"):
            images = scope.image_many(batch, grid)
        else:
            images = scope.image(batch[0], grid)[None, ...]
        wrong = namespace(images) is not namespace(batch[0].photons)
    except MishapeError:
        raise
    except Exception as error:
        raise PluginError(
            f"microscope {scope.kind!r} cannot image arrays of {device.library} ({type(error).__name__}: {error}): "
            "use --device cpu"
        ) from error
    if wrong or tuple(images.shape) != (len(batch), *grid.shape):
        raise PluginError(
            f"microscope {scope.kind!r} gave {type(images).__name__} of shape {tuple(images.shape[1:])}: image() must "
            f"return an array of {device.library}, as its emitters are, of the grid's shape {grid.shape}; "
            "else use --device cpu"
        )
    return images


def joined_light(sample: Sample, fields: Sequence[dict[str, Light]]) -> dict[str, Light]:
    """Return the light of a sample's whole views from that of its fields."""

    def whole(name: str, view: View) -> Light:
        here = sample.photons[name]
        parts = [field[name].there for field in fields[: view.tiles]]
        return Light(here if is_host(parts[0]) else tiled(parts, view.montage), here)

    return {name: whole(name, view) for name, view in sample.scene.views.items()}


def with_images(samples: Sequence[Sample], lights: Sequence[dict[str, Light]], device: Device) -> list[Sample]:
    """Return samples with what their detectors record.

    Raises
    ------
    PluginError
        If a noise does not give uint16 of the photons' shape, or does not work on the device.
    MishapeError
        If the device has too little memory.
    """
    places = [(number, name) for number, sample in enumerate(samples) for name in sample.scene.views]
    images: dict[tuple[int, str], NDArray[np.uint16]] = {}

    def detector(place: tuple[int, str]) -> Hashable:
        number, name = place
        key = _key(samples[number].scene.views[name].noise, "detect_many", device)
        return samples[number].photons[name].shape, key or place

    for group in _grouped(places, detector):
        views = [(samples[number].scene, name) for number, name in group]
        found = _detected(views, [lights[number][name] for number, name in group], device)
        images.update(zip(group, found, strict=True))
    return [
        replace(sample, images={name: images[number, name] for name in sample.scene.views})
        for number, sample in enumerate(samples)
    ]


def _detected(views: Sequence[tuple[Scene, str]], lights: Sequence[Light], device: Device) -> list[NDArray[np.uint16]]:
    """Return what one detector records of the views of several samples; it is held to its promise."""
    scene, name = views[0]
    noise: Any = scene.views[name].noise
    rngs = [stream(scene.seed, scene.sample, Stage.NOISE, name) for scene, name in views]
    if device.kind == "cpu" or not has_batch_form(noise, "detect_many"):
        return list(_counts(noise, noise.detect(lights[0].here, rngs[0]), lights[0].here.shape)[None])
    photons = namespace(lights[0].there).stack([light.there for light in lights])
    try:
        images = noise.detect_many(photons, rngs)
    except MishapeError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise MishapeError(
                f"the device ran out of memory over the noise of {len(views)} image(s) of {lights[0].here.shape} "
                "pixels: make the field smaller, free the device, or use --device cpu"
            ) from error
        raise PluginError(
            f"noise {noise.kind!r} cannot detect arrays of {device.library} ({type(error).__name__}: {error}): "
            "use --device cpu"
        ) from error
    return list(_counts(noise, images, tuple(photons.shape)))


def _counts(noise: Any, recorded: Any, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    image = np.asarray(recorded)
    if image.dtype != np.uint16 or image.shape != shape:
        raise PluginError(
            f"noise {noise.kind!r} gave {image.dtype} of shape {image.shape}: detect() must return uint16 of the "
            f"photons' shape {shape}"
        )
    return image


def _key(component: Any, batch_form: str, device: Device) -> Keyed | None:
    """Return by what components that may work together are found; None for one that works alone."""
    together = device.kind != "cpu" and has_batch_form(component, batch_form) and hasattr(component, "digest")
    return Keyed.of(component) if together else None


def has_batch_form(component: Any, batch_form: str) -> bool:
    """Return whether a component has `image_many` or `detect_many`, and no newer `image` or `detect` that it misses."""
    classes = type(component).__mro__
    homes = [
        next((place for place, cls in enumerate(classes) if name in vars(cls)), len(classes))
        for name in (batch_form, batch_form.removesuffix("_many"))
    ]
    return homes[0] <= homes[1] and homes[0] < len(classes)


def _grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> Iterable[list[T]]:
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups.values()
