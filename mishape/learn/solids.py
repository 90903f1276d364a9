"""Solids to learn from: a shape of a library with its distances everywhere, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mishape.engine.library import Entry, Library
from mishape.engine.sampled import SampledField
from mishape.engine.types import Mesh, Points, Shape

NODES = 96
"""Along the longest edge of a lattice made for a shape that brings none."""


@dataclass(frozen=True)
class Solid:
    """A shape to learn from.

    Parameters
    ----------
    id, fold
        Of the library's entry.
    mesh
        Its surface, own frame, nm.
    distance_nm
        (n, 3) points of its own frame -> signed distance, nm, negative inside.
    seen_nm
        (2, 3) corners of the part of the own frame that was looked at: what the volume's border cuts goes on beyond.
    weight
        How many shapes of its size it stands for: long ones are seldom whole in a small volume. 0 for one that is cut.
    """

    id: str
    fold: str | None
    mesh: Mesh
    distance_nm: Callable[[Points], Points]
    seen_nm: Points
    weight: float

    @property
    def is_whole(self) -> bool:
        """Whether no border cuts it."""
        return self.weight > 0


def solids_of(library: Library) -> list[Solid]:
    """Return all shapes of a library."""
    return [solid_of_entry(entry) for entry in library]


def solid_of_entry(entry: Entry) -> Solid:
    """Return a library's shape as a solid."""
    weight = entry.fields.get("inclusion_weight")
    cut = bool(entry.fields.get("touches_border"))
    return solid_of(entry.shape(), _seen_nm(entry), 0.0 if cut else float(weight or 1.0))


def solid_of(shape: Shape, seen_nm: Points | None = None, weight: float = 1.0) -> Solid:
    """Return a shape as a solid, seen all around if nothing else is said."""
    everywhere = np.array([[-np.inf] * 3, [np.inf] * 3])
    field = distances(shape)
    return Solid(shape.id, shape.fold, shape.surface, field, everywhere if seen_nm is None else seen_nm, weight)


def _seen_nm(entry: Entry) -> Points | None:
    """Return the corners of the volume that an entry was cut from, in its own frame."""
    about = entry.library.meta.get("volumes", {}).get(entry.fields.get("volume"))
    if about is None or "place_nm" not in entry.fields:
        return None
    low = np.array(about["origin_nm"], np.float64)
    size = np.array(about["shape"]) * np.array(about["voxel_nm"])
    return np.asarray(np.stack([low, low + size]) - np.array(entry.place_nm))


def distances(shape: Shape) -> SampledField:
    """Return a shape's signed distances on a lattice: its own field near the surface, and Euclidean ones beyond."""
    from scipy.ndimage import distance_transform_edt

    own = shape.implicit.field if shape.implicit is not None else None
    field = own if isinstance(own, SampledField) else _sampled(shape)
    inside = field.values < 0
    step = field.step_nm.tolist()
    # The border lies about half a voxel before the nearest voxel of the other side.
    half = float(field.step_nm.mean()) / 2
    outer, inner = (np.asarray(distance_transform_edt(part, sampling=step)) for part in (~inside, inside))
    far = np.where(inside, half - inner, outer - half)
    near = np.abs(far) < 2 * half
    return SampledField(np.where(near, field.values, far).astype(np.float32), field.origin_nm, field.step_nm)


def _sampled(shape: Shape) -> SampledField:
    """Sample the inside of a shape on a lattice with room around it; between inside and outside lies half a step."""
    low, high = shape.surface.vertices_nm.min(axis=0), shape.surface.vertices_nm.max(axis=0)
    step = float((high - low).max()) / NODES
    counts = np.ceil((high - low) / step).astype(int) + 5
    axes = [start - 2 * step + step * np.arange(count) for start, count in zip(low, counts.tolist(), strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inside: NDArray[np.bool_] = shape.inside(points).reshape(counts)
    values = np.where(inside, -step / 2, step / 2)
    return SampledField(values, np.array([axis[0] for axis in axes]), np.full(3, step))


def of_folds(solids: Iterable[Solid], folds: Iterable[str] | None = None, without: Iterable[str] = ()) -> list[Solid]:
    """Return those solids whose fold is one of some, and none of others."""
    wanted, unwanted = None if folds is None else {*folds}, {*without}
    return [solid for solid in solids if (wanted is None or solid.fold in wanted) and solid.fold not in unwanted]
