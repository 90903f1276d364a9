"""Tables of answers: means over shapes with their intervals, and differences that are paired by shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator

from benchmarks.reconstruction.answers import Answer, over_shapes
from benchmarks.results import markdown
from mishape.learn.comparison import interval

Every = Mapping[str, Sequence[Answer]]
"""Answers by the name of the way."""
HEADS = [
    "",
    "IoU, 95 % of its mean",
    "best of mirror",
    "with true centre and scale",
    "Chamfer-L1",
    "surface error, nm",
    "chi^2",
    "found",
]
FURTHER = {
    "near IoU": "near_iou",
    "Chamfer, nm": "chamfer_nm",
    "accuracy, nm": "accuracy_nm",
    "completeness, nm": "completeness_nm",
    "F 1 %": "f_score",
    "F 24 nm": "f_score_24",
    "F 48 nm": "f_score_48",
    "normals": "normal_consistency",
    "volume": "volume_error",
    "area": "area_error",
    "length": "length_error",
    "Betti 0": "betti_0",
    "Betti 1": "betti_1",
    "closed": "watertight",
    "IoU in focus": "iou_in_focus",
    "out of focus": "iou_out_of_focus",
}
LENGTHS_UM = (0.0, 0.7, 1.2, np.inf)
SBRS = (2.0, 3.0, 4.0)


def main_table(every: Every, rng: Generator) -> list[str]:
    """Return the table of the scores that are asked for first."""

    def row(name: str, answers: Sequence[Answer]) -> list[str]:
        low, high = interval(ious := over_shapes(answers, iou), rng)
        return [
            name,
            f"{np.mean(ious):.3f} ({low:.3f} to {high:.3f})",
            mean(answers, lambda one: one.mirror_iou),
            mean(answers, lambda one: one.known_iou),
            mean(answers, lambda one: one.scores.chamfer),
            mean(answers, lambda one: one.scores.median_surface_nm, 0),
            mean(answers, lambda one: np.nan if one.chi2 is None else one.chi2, 2),
            f"{sum(one.found for one in answers)}/{len(answers)}",
        ]

    return markdown(HEADS, [row(name, answers) for name, answers in every.items()])


def further_table(every: Every) -> list[str]:
    """Return the table of all other scores."""

    def value(key: str) -> Callable[[Answer], float]:
        return lambda one: float(np.nan if (found := getattr(one.scores, key)) is None else found)

    rows = [[name, *(mean(one, value(key), 2) for key in FURTHER.values())] for name, one in every.items()]
    return markdown(["", *FURTHER], rows)


def classes_table(every: Every) -> list[str]:
    """Return the overlaps by length of the shape and by signal."""
    lengths, sbrs = pairwise(LENGTHS_UM), pairwise(SBRS)
    chosen: dict[str, Callable[[Answer], Any]] = {
        **{f"{low:g} to {high:g} um": _within("length_um", low, high) for low, high in lengths},
        **{f"SBR {low:g} to {high:g}": _within("sbr", low, high) for low, high in sbrs},
    }
    rows = [
        [name, *(_of_some([one for one in answers if choose(one)]) for choose in chosen.values())]
        for name, answers in every.items()
    ]
    return markdown(["IoU (images)", *chosen], rows)


def differences(every: Every, pairs: Sequence[tuple[str, str]], rng: Generator) -> list[str]:
    """Return how much higher the overlap of one way is than another's, paired by shapes."""
    rows = []
    for one, other in pairs:
        apart = np.subtract(over_shapes(every[one], iou), over_shapes(every[other], iou))
        low, high = interval(apart.tolist(), rng)
        rows.append([f"{one} less {other}", f"{apart.mean():+.3f} ({low:+.3f} to {high:+.3f})"])
    return markdown(["", "IoU, 95 % of its mean"], rows)


def iou(one: Answer) -> float:
    """Return the overlap of an answer."""
    return one.scores.iou


def mean(answers: Sequence[Answer], value: Callable[[Answer], float], digits: int = 3) -> str:
    """Return the mean over shapes of a value, where it is known."""
    found = [one for one in over_shapes(answers, value) if not np.isnan(one)]
    return f"{np.mean(found):.{digits}f}" if found else ""


def _within(name: str, low: float, high: float) -> Callable[[Answer], bool]:
    return lambda one: low <= getattr(one, name) < high


def _of_some(answers: Sequence[Answer]) -> str:
    return f"{mean(answers, iou)} ({len(answers)})" if answers else ""
