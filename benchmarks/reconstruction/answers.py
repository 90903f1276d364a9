"""What a way to find shapes says of images, and how well it fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.random import Generator

from benchmarks.reconstruction.baseline import Baseline
from mishape.engine.geometry import principal_axes
from mishape.engine.meshing import mesh_of_field
from mishape.engine.sampled import SampledField
from mishape.learn.lit import Lit, Posed
from mishape.learn.noise_law import NoiseLaw
from mishape.learn.place_scores import iou_of
from mishape.learn.reimaging import reimaged
from mishape.learn.shape_scores import ShapeScores, mirror_plane_nm, mirrored, shape_scores

PHOTONS = NoiseLaw(0.0, 1.0)
"""Of counts of photons, which the images' noise is."""


@dataclass(frozen=True)
class Answer:
    """What was found in one image.

    Parameters
    ----------
    id
        Of the shape that it shows.
    length_um, sbr
        Of the shape along its longest principal axis, and peak over background of the image.
    found
        Whether anything was found.
    scores
        How well it fits.
    mirror_iou
        The overlap of what was found or of its mirror image, whichever is higher.
    known_iou
        The overlap once the box of what was found has the true one's centre and longest edge.
    chi2
        Mean square of what the image has beyond that of what was found, in units of the noise; None without any.
    """

    id: str
    length_um: float
    sbr: float
    found: bool
    scores: ShapeScores
    mirror_iou: float
    known_iou: float
    chi2: float | None

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return what `asdict` made plain."""
        return cls(**{**plain, "scores": ShapeScores(**plain["scores"])})


def answer(way: Baseline, lit: Lit, points: int, rng: Generator) -> Answer:
    """Ask about an image, and score what is said, with so many points on each surface."""
    field, posed = way(lit.counts, lit.view, lit.posed if way.sees_truth else None), lit.posed
    scores = shape_scores(posed, field, lit.view, rng, points)
    length_um = float(np.ptp(posed.vertices_nm @ principal_axes(posed.solid.mesh.moved(posed.pose))[0])) / 1000
    noise: Any = lit.view.noise
    known = posed.solid.id, length_um, float(noise.sbr or 0.0)
    if field is None:
        return Answer(*known, False, scores, 0.0, 0.0, None)
    other_iou = iou_of(posed, mirrored(field, mirror_plane_nm(lit.view)))
    again = reimaged([mesh_of_field(field)], lit.counts, lit.view, rng, PHOTONS)
    return Answer(*known, True, scores, max(scores.iou, other_iou), iou_of(posed, brought(field, posed)), again.chi2)


def answers(way: Baseline, images: Iterable[Lit], points: int) -> list[dict[str, Any]]:
    """Return all answers, as JSON holds them."""
    rng = np.random.default_rng(0)
    return [asdict(answer(way, lit, points, rng)) for lit in images]


def brought(field: SampledField, posed: Posed) -> SampledField:
    """Return a solid whose box has the centre and the longest edge of a true one's."""
    found_nm, true_nm = mesh_of_field(field).vertices_nm, posed.vertices_nm
    (low, high), (true_low, true_high) = ((one.min(axis=0), one.max(axis=0)) for one in (found_nm, true_nm))
    factor = float((true_high - true_low).max() / (high - low).max())
    return field.shifted(-(low + high) / 2).scaled(factor).shifted((true_low + true_high) / 2)


def over_shapes(every: Sequence[Answer], value: Callable[[Answer], float]) -> list[float]:
    """Return the mean of a value over the images of each shape, shapes in the order of their ids.

    Images of which the value is not known, NaN, do not count; it is NaN where that is so of all.
    """
    found: dict[str, list[float]] = {id: [] for id in sorted({one.id for one in every})}
    for one in every:
        found[one.id] += [told] if not np.isnan(told := value(one)) else []
    return [float(np.mean(told)) if told else np.nan for told in found.values()]
