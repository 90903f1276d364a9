"""A solid that was found in an image beside the true one, in the world's frame and in nm: nothing is aligned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from mishape.engine.meshing import mesh_of_field
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.learn.lit import Posed
from mishape.learn.place_scores import NEAR_NM, Compared, iou_of
from mishape.learn.surface_scores import POINTS, Apart, Size

CLOSE, CLOSE_NM = 0.01, 24.0
"""Distances of F-scores beside `NEAR_NM`: a share of the longest edge, and nm."""


@dataclass(frozen=True)
class ShapeScores:
    """How well a found solid fits the true one.

    Parameters
    ----------
    iou
        Intersection over union of the two solids.
    near_iou
        The same among places within 48 nm of the true surface.
    chamfer
        Chamfer-L1 as in Occupancy Networks (Mescheder et al., CVPR 2019): half of the sum of the mean Euclidean
        distances both ways, in units of the longest edge of the true shape's box in its own frame, not multiplied.
    chamfer_nm, accuracy_nm, completeness_nm
        The same in nm, and its two sums: the mean distance from the found surface to the true one, and back.
    f_score, f_score_24, f_score_48
        Harmonic mean of the shares of both surfaces that have the other within 1 % of that edge, 24 nm and 48 nm.
    normal_consistency
        Mean cosine between a point's normal and that of the other surface's nearest point; sides do not count.
    volume_error, area_error, length_error
        What was found over what is true, less 1; the length is that of the box along the principal axes.
    betti_0, betti_1
        Whether it has as many parts, and as many handles.
    median_surface_nm
        Median of the distances both ways.
    iou_in_focus, iou_out_of_focus
        Among places within half of the depth of field of a plane, and beyond; None if neither solid has any there, or
        the microscope does not say its depth of field.
    watertight
        Whether the found surface is closed.
    """

    iou: float
    near_iou: float
    chamfer: float
    chamfer_nm: float
    accuracy_nm: float
    completeness_nm: float
    f_score: float
    f_score_24: float
    f_score_48: float
    normal_consistency: float
    volume_error: float
    area_error: float
    length_error: float
    betti_0: bool
    betti_1: bool
    median_surface_nm: float
    iou_in_focus: float | None
    iou_out_of_focus: float | None
    watertight: bool


def shape_scores(
    posed: Posed, field: SampledField | None, view: View, rng: Generator, points: int = POINTS
) -> ShapeScores:
    """Score a solid of the world, nm, or nothing: then distances count as the true shape's longest edge.

    Parameters
    ----------
    posed
        The true solid.
    field
        What was found.
    view
        Which planes are in focus.
    rng
        Draws the points.
    points
        On each surface.
    """
    edge_nm = posed.pose.scale * float(np.ptp(posed.solid.mesh.vertices_nm, axis=0).max())
    of_surface = _of_nothing(edge_nm) if field is None else _of_surface(posed, field, edge_nm, rng, points)
    return ShapeScores(**_of_places(Compared.of(posed, field), view), **of_surface)


def best_of_mirror(
    posed: Posed, field: SampledField | None, view: View, rng: Generator, points: int = POINTS
) -> ShapeScores:
    """Score what was found or its mirror image in the focal plane, whichever has the higher intersection over union.

    Widefield images in focus and without aberration are the same for both.
    """
    if field is None:
        return shape_scores(posed, None, view, rng, points)
    other = mirrored(field, mirror_plane_nm(view))
    better = other if iou_of(posed, other) > iou_of(posed, field) else field
    return shape_scores(posed, better, view, rng, points)


def mirrored(field: SampledField, focus_nm: float) -> SampledField:
    """Return a solid's mirror image in a plane across the axis: each z becomes ``2 * focus_nm - z``."""
    top_nm = field.origin_nm[2] + field.step_nm[2] * (field.values.shape[2] - 1)
    origin_nm = np.array([*field.origin_nm[:2], 2 * focus_nm - top_nm])
    return SampledField(np.ascontiguousarray(field.values[:, :, ::-1]), origin_nm, field.step_nm)


def mirror_plane_nm(view: View) -> float:
    """Return the world z in which shapes are mirrored: that of the focus; of a stack, of its middle plane."""
    return float(np.median(view.focus_in_sample_nm()))


def _of_places(compared: Compared, view: View) -> dict[str, Any]:
    """Return the scores that places say."""
    focused = compared.in_focus(view)
    return {
        "iou": compared.iou() or 0.0,
        "near_iou": compared.iou(compared.near) or 0.0,
        "iou_in_focus": None if focused is None else compared.iou(focused),
        "iou_out_of_focus": None if focused is None else compared.iou(~focused),
    }


def _of_surface(posed: Posed, field: SampledField, edge_nm: float, rng: Generator, points: int) -> dict[str, Any]:
    """Return the scores that surfaces say."""
    mesh = mesh_of_field(field)
    apart = Apart.of(posed, field, mesh, points, rng)
    found, true = Size.of(mesh), Size.of(posed.solid.mesh, posed.pose.scale)
    volume, area, length = found.beyond(true)
    accuracy_nm, completeness_nm = float(apart.to_true_nm.mean()), float(apart.to_found_nm.mean())
    chamfer_nm = (accuracy_nm + completeness_nm) / 2
    return {
        "chamfer": chamfer_nm / edge_nm,
        "chamfer_nm": chamfer_nm,
        "accuracy_nm": accuracy_nm,
        "completeness_nm": completeness_nm,
        "f_score": apart.f_score(CLOSE * edge_nm),
        "f_score_24": apart.f_score(CLOSE_NM),
        "f_score_48": apart.f_score(NEAR_NM),
        "normal_consistency": apart.normal_consistency,
        "volume_error": volume,
        "area_error": area,
        "length_error": length,
        "betti_0": found.betti_0 == true.betti_0,
        "betti_1": found.betti_1 == true.betti_1,
        "median_surface_nm": apart.median_nm,
        "watertight": found.watertight,
    }


def _of_nothing(edge_nm: float) -> dict[str, Any]:
    """Return what surfaces say where there is none."""
    far = ("chamfer_nm", "accuracy_nm", "completeness_nm", "median_surface_nm")
    none = ("f_score", "f_score_24", "f_score_48", "normal_consistency")
    lacking = ("volume_error", "area_error", "length_error")
    return {
        "chamfer": 1.0,
        **dict.fromkeys(far, edge_nm),
        **dict.fromkeys(none, 0.0),
        **dict.fromkeys(lacking, -1.0),
        **dict.fromkeys(("betti_0", "betti_1", "watertight"), False),
    }
