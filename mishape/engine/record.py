"""The record of a sample: plain data that says what was made, and is the same whoever made it."""

from __future__ import annotations

from typing import Any

import numpy as np

from mishape.engine.component import Model, Real, Whole
from mishape.engine.scene import SceneObject, View
from mishape.engine.types import Sample


class ObjectRecord(Model):
    """What a record says of an object."""

    number: Whole
    """Its number in the scene; instance masks hold this plus 1."""
    shape_id: str
    """Which shape it is."""
    library: str | None
    """Name of the dataset's copy that the shape is in; null for shapes made for the sample."""
    fold: str | None
    """The shape's fold; null if it has none."""
    source: str
    """Where the shape comes from."""
    licence: str
    """On what terms."""
    channel: str
    """Its colour."""
    tile: Whole
    """Which field of a montage it lies in."""
    scale: Real
    """Of its pose: camera frame = scale * rotation @ own frame + offset_nm."""
    rotation: list[list[Real]]
    """(3, 3) rotation of its pose."""
    offset_nm: list[Real]
    """(3,) offset of its pose, nm."""
    emitters: Whole
    """How many emitters it has."""
    photons: Real
    """Photons of all its emitters."""
    truncated: list[str]
    """Views whose field it reaches beyond."""


class ViewRecord(Model):
    """What a record says of a view."""

    dose_per_plane: Real
    """Dose of one plane; 1 is a widefield exposure of unit excitation."""
    dose: Real
    """Dose of all planes and tiles."""
    planes_nm: list[Real]
    """The objective's travel at each plane."""
    focus_in_sample_nm: list[Real]
    """World z that is in focus at each plane."""
    photons: Real
    """Expected photons in all planes."""
    photons_peak: Real
    """Expected photons of the brightest pixel."""
    saturated: Real
    """Share of the pixels that are saturated."""


class Record(Model):
    """A line of samples.jsonl: one sample."""

    index: Whole
    """The sample's number."""
    split: str
    """The split that its shapes come from."""
    objects: list[ObjectRecord]
    """Its shapes."""
    views: dict[str, ViewRecord]
    """Its views, by name."""
    scene: dict[str, Any]
    """The sample's own scene, every draw made; what is at its default is left out."""


class HoleRecord(Model):
    """A line of samples.jsonl: a sample that failed, and was left out."""

    index: Whole
    """The sample's number."""
    failed: str
    """Why."""


def record_of(sample: Sample) -> dict[str, Any]:
    """Return the sample's record: index, split, objects with shape ids and poses, views with doses, the scene."""
    scene = sample.scene
    return {
        "index": scene.sample,
        "split": scene.split,
        "objects": [
            _object(sample, number, thing) for number, thing in enumerate(scene.objects) if number in sample.shapes
        ],
        "views": {name: _view(sample, name, view) for name, view in scene.views.items()},
        "scene": scene.model_dump(mode="json", exclude_unset=True),
    }


def _object(sample: Sample, number: int, thing: SceneObject) -> dict[str, Any]:
    shape, pose = sample.sources[number], sample.poses[number]
    mine = sample.emitters.owner == number
    return {
        "number": number,
        "shape_id": shape.id,
        # The dataset's copy of a finite source; a generator has none.
        "library": None if thing.shape_id is None else thing.shape.file_name,  # type: ignore[attr-defined]
        "fold": shape.fold,
        "source": shape.source,
        "licence": shape.licence,
        "channel": thing.channel,
        "tile": thing.tile,
        "scale": pose.scale,
        "rotation": pose.rotation.tolist(),
        "offset_nm": pose.offset_nm.tolist(),
        "emitters": int(mine.sum()),
        "photons": float(sample.emitters.photons[mine].sum()),
        "truncated": [
            name
            for name, view in sample.scene.views.items()
            if thing.tile < view.tiles and _truncated(sample, number, view)
        ],
    }


def _truncated(sample: Sample, number: int, view: View) -> bool:
    """Tell whether the shape reaches beyond the field of a view."""
    low, high = sample.shapes[number].bounds_nm[:, :2]
    half = np.array(view.grid.half_field_nm())
    return bool((low < -half).any() or (high > half).any())


def _view(sample: Sample, name: str, view: View) -> dict[str, Any]:
    dose = float(getattr(view.microscope, "dose", 1.0))
    planes = view.grid.centers_nm()[0]
    photons, image = sample.photons[name], sample.images[name]
    return {
        "dose_per_plane": dose,
        "dose": dose * len(planes) * view.tiles,
        "planes_nm": planes.tolist(),
        "focus_in_sample_nm": view.focus_in_sample_nm().tolist(),
        "photons": float(photons.sum(dtype=np.float64)),
        "photons_peak": float(photons.max()),
        "saturated": np.count_nonzero(image >= 2 ** getattr(view.noise, "bit_depth", 16) - 1) / image.size,
    }
