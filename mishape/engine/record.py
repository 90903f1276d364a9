"""The record of a sample: plain data that says what was made, and is the same whoever made it."""

from __future__ import annotations

from typing import Any

import numpy as np

from mishape.engine.scene import SceneObject, View
from mishape.engine.types import Sample


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
