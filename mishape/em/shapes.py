"""From one instance's pieces to its shape: field, mesh and measures, kept on disk as soon as they are made."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mishape.em.blocks import Cut, write_file
from mishape.em.centre_line import centre_line
from mishape.em.decimate import decimated
from mishape.em.fields import Filled, filled_voxels, largest_part, smooth_field, surface_of, thin_kept
from mishape.em.instances import Instance
from mishape.engine import geometry
from mishape.engine.errors import ShapeError
from mishape.engine.files import canonical
from mishape.engine.measures import measures
from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh, Points, Shape

VOLUME_WITHIN = 0.02
"""Of its voxels' volume: what a mesh's may differ by."""
THICKENED = 0.1
"""Of an instance's volume: what keeping its thin parts may add."""


@dataclass(frozen=True)
class Place:
    """Where a volume's voxels are, and how its shapes are made.

    Parameters
    ----------
    volume, fold, source, licence
        Names that its shapes carry.
    cut
        Its blocks.
    voxel_nm, origin_nm
        (3,) the voxels' size, and the first one's centre.
    smooth_nm
        (3,) standard deviation of the smoothing.
    max_voxels
        Most coarse voxels in an instance's box.
    faces_kept
        The part of a mesh's faces that is kept; 1 for all.
    """

    volume: str
    fold: str
    source: str
    licence: str
    cut: Cut
    voxel_nm: Points
    origin_nm: Points
    smooth_nm: Points
    max_voxels: int
    faces_kept: float


def make_shape(instance: Instance, place: Place, blocks: Path, shapes: Path) -> None:
    """Make an instance's shape and write it, or why it cannot be made; unless one of these is there."""
    if shape_path(shapes, instance.label).is_file() or refusal_path(shapes, instance.label).is_file():
        return
    try:
        shape, fields = shape_of(instance, place, blocks)
    except OSError:
        raise  # of the disk, not of the instance
    except Exception as error:  # one instance, whatever is wrong with it, must not end the run
        why = str(error) if isinstance(error, ShapeError) else f"{type(error).__name__}: {error}"
        refused = {"id": id_of(instance, place), "volume": place.volume, "label": instance.label, "why": why}
        write_file(refusal_path(shapes, instance.label), canonical(refused).encode())
        return
    assert shape.implicit is not None
    field = shape.implicit.field
    assert isinstance(field, SampledField)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        vertices=shape.surface.vertices_nm.astype(np.float32),
        faces=shape.surface.faces.astype(np.int32),
        values=field.values.astype(np.float16),
        origin_nm=field.origin_nm,
        step_nm=field.step_nm,
        fields=np.frombuffer(canonical(fields).encode(), np.uint8),
    )
    write_file(shape_path(shapes, instance.label), buffer.getvalue())


def read_shape(path: Path) -> tuple[Shape, dict[str, Any]]:
    """Return a shape that `make_shape` wrote, and its line of the index."""
    with np.load(path, allow_pickle=False) as file:
        fields = json.loads(file["fields"].tobytes())
        field = SampledField(file["values"].astype(np.float32), file["origin_nm"], file["step_nm"])
        mesh = Mesh(file["vertices"].astype(np.float64), file["faces"].astype(np.int64))
    given = {name: fields[name] for name in ("id", "fold", "source", "licence")}
    return Shape(mesh=mesh, implicit=field.implicit(), **given), fields


def shape_path(folder: Path, label: int) -> Path:
    """Where an instance's shape is."""
    return folder / f"{label}.npz"


def refusal_path(folder: Path, label: int) -> Path:
    """Where it is said why an instance has no shape."""
    return folder / f"{label}.refused.json"


def id_of(instance: Instance, place: Place) -> str:
    """Return the id of an instance's shape."""
    return f"{place.volume}-{instance.label}"


def shape_of(instance: Instance, place: Place, blocks: Path) -> tuple[Shape, dict[str, Any]]:
    """Make an instance's shape, centred on its solid, and its line of the index.

    Raises
    ------
    ShapeError
        If it is too large, mostly thinner than the level's voxels, or its surface is not closed or not of its volume.
    """
    if instance.voxels == math.prod(place.cut.shape):
        raise ShapeError("it fills the whole volume: is it the background, or a mask turned inside out?")
    factor = np.array(place.cut.factor)
    filled, first = filled_voxels(instance, place.cut, blocks, place.max_voxels)
    mesh, field, made = _solid(filled, place.voxel_nm * factor, place)
    middle_nm = geometry.centroid(mesh)
    shape = Shape(
        id_of(instance, place),
        # To the bit what a library holds: images of the shape and of its copy are then the same.
        Mesh((mesh.vertices_nm - middle_nm).astype(np.float32).astype(np.float64), mesh.faces),
        field.shifted(-middle_nm).implicit(),
        place.fold,
        place.source,
        place.licence,
    )
    # The field's origin is the middle of the box's first coarse voxel.
    corner_nm = place.origin_nm + (first + (factor - 1) / 2) * place.voxel_nm
    return shape, {**_measured(shape, instance, place), **made, "place_nm": (corner_nm + middle_nm).tolist()}


def _solid(filled: Filled, step_nm: Points, place: Place) -> tuple[Mesh, SampledField, dict[str, Any]]:
    """Return the mesh and the field of filled voxels, and what was done to make them."""
    part = largest_part(filled)
    smoothed = smooth_field(thin_kept(part), step_nm, place.smooth_nm)
    kept, own = (float(each.sum(dtype=np.float64)) for each in (smoothed.filled, part[smoothed.filled > 0]))
    if (thickened := kept / own - 1) > THICKENED:
        raise ShapeError(f"its thin parts would make it {thickened:.0%} larger than it is: prepare it at a finer level")
    volume_nm3 = kept * float(step_nm.prod())
    mesh, field = surface_of(smoothed.field, volume_nm3)
    _check_volume(geometry.mesh_volume_nm3(mesh), volume_nm3)
    error_nm = None
    if place.faces_kept < 1:
        mesh, error_nm = decimated(mesh, field, place.faces_kept)
    return (
        mesh,
        field,
        {
            "voxel_volume_nm3": own * float(step_nm.prod()),
            "largest_part": own / float(filled.sum(dtype=np.float64)),
            "thickened": thickened,
            "smoothed": smoothed.share,
            "decimation_error_nm": error_nm,
        },
    )


def _measured(shape: Shape, instance: Instance, place: Place) -> dict[str, Any]:
    """Return the index's measures of a shape."""
    assert shape.implicit is not None
    field = shape.implicit.field
    assert isinstance(field, SampledField)
    known = measures(shape)
    if not known["watertight"]:
        geometry.check_watertight(shape.surface, shape.id)
    line = centre_line(field, shape.surface)
    volume, area = known["volume_nm3"], known["area_nm2"]
    return {
        **known,
        "sphericity": math.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area,
        "length_nm": line.length_nm,
        "thickness_nm": line.thickness_nm,
        "branches": line.branches,
        "volume": place.volume,
        "label": instance.label,
        "voxels": instance.voxels,
        "box_voxels": [list(instance.box.low), list(instance.box.high)],
        "voxel_nm": place.voxel_nm.tolist(),
        "touches_border": instance.touches_border,
        "inclusion_weight": _inclusion_weight(instance, place.cut),
    }


def _inclusion_weight(instance: Instance, cut: Cut) -> float | None:
    """Return one over the chance that a shape of this size lies wholly in the volume: ABC / ((A-a)(B-b)(C-c)).

    Long shapes are seldom whole in a small window; distributions of size are weighted by this. It is known of whole
    shapes alone.
    """
    if instance.touches_border:
        return None
    whole, size = np.array(cut.shape, np.float64), np.array(instance.box.shape)
    return float(np.prod(whole / (whole - size)))


def _check_volume(volume_nm3: float, expected_nm3: float) -> None:
    if abs(volume_nm3 / expected_nm3 - 1) > VOLUME_WITHIN:
        raise ShapeError(
            f"its mesh holds {volume_nm3:.3g} nm^3, its voxels {expected_nm3:.3g}: more than {VOLUME_WITHIN:.0%} "
            "apart; it is hardly larger than the voxels: prepare it at a finer --level, smooth less, or leave it out "
            "by a larger --min-voxels, which counts the file's voxels"
        )


def refusals(folder: Path) -> list[Mapping[str, Any]]:
    """Return what is said of all instances without a shape."""
    paths = sorted(folder.glob("*.refused.json"), key=lambda path: int(path.name.partition(".")[0]))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]
