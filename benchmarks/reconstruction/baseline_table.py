"""How well shapes are found without learning, in the three views of the MiShape paper's Table 1 and in two sizes.

python -m benchmarks.reconstruction.baseline_table TRAIN TEST -o FILE.md [--poses N] [--column NAME] [--quick]

TRAIN, TEST: libraries of whole mitochondria of other volumes, as `mishape prepare --whole-only` writes them.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.random import Generator
from threadpoolctl import threadpool_limits

import mishape
from benchmarks.reconstruction.baseline import Baseline
from benchmarks.reconstruction.baselines import baselines
from benchmarks.reconstruction.cases import SCATTER_NM, SEED, SIZES, VIEWS, Cases, Column
from benchmarks.reconstruction.known_shapes import solids_of
from benchmarks.results import machine, markdown, versions
from mishape.learn.comparison import interval
from mishape.learn.lit import Lit
from mishape.learn.place_scores import iou_of
from mishape.learn.shape_scores import ShapeScores, mirror_plane_nm, mirrored, shape_scores
from mishape.learn.solids import Solid
from mishape.learn.surface_scores import POINTS

COMMAND = "python -m benchmarks.reconstruction.baseline_table"
HEADS = ["", "IoU, 95 % of its mean", "best of mirror", "Chamfer-L1", "surface error, nm", "found", "number"]


@dataclass(frozen=True)
class Effort:
    """How much is done.

    Parameters
    ----------
    sizes
        Of the shapes.
    images
        At most so many images to calibrate on, and as many that are asked about; None is no limit.
    points
        On each surface.
    """

    sizes: tuple[float, ...] = SIZES
    images: int | None = None
    points: int = POINTS


QUICK = Effort(sizes=SIZES[:1], images=1, points=500)


@dataclass(frozen=True)
class Answer:
    """What was found in one image.

    Parameters
    ----------
    id
        Of the shape that it shows.
    found
        Whether anything was found.
    scores
        How well it fits.
    mirror_iou
        The overlap of what was found or of its mirror image, whichever is higher.
    """

    id: str
    found: bool
    scores: ShapeScores
    mirror_iou: float


def answer(baseline: Baseline, lit: Lit, points: int, rng: Generator) -> Answer:
    """Ask a baseline about an image, and score what it says."""
    field = baseline(lit.counts, lit.view, lit.posed if baseline.sees_truth else None)
    scores = shape_scores(lit.posed, field, lit.view, rng, points)
    other = None if field is None else mirrored(field, mirror_plane_nm(lit.view))
    return Answer(lit.posed.solid.id, field is not None, scores, max(scores.iou, iou_of(lit.posed, other)))


def row(baseline: Baseline, answers: Sequence[Answer], rng: Generator) -> list[str]:
    """Return a baseline's row: means over shapes, of each the mean over its poses."""
    ious = over_shapes(answers, lambda one: one.scores.iou)
    low, high = interval(ious, rng)
    number = getattr(baseline, "amount", getattr(baseline, "radius_nm", None))
    return [
        baseline.name + (" *" if baseline.sees_truth else ""),
        f"{np.mean(ious):.3f} ({low:.3f} to {high:.3f})",
        f"{np.mean(over_shapes(answers, lambda one: one.mirror_iou)):.3f}",
        f"{np.mean(over_shapes(answers, lambda one: one.scores.chamfer)):.3f}",
        f"{np.mean(over_shapes(answers, lambda one: one.scores.median_surface_nm)):.0f}",
        f"{sum(one.found for one in answers)}/{len(answers)}",
        "" if number is None else f"{number:.3g}",
    ]


def over_shapes(answers: Sequence[Answer], value: Callable[[Answer], float]) -> list[float]:
    """Return the mean of a value over the images of each shape."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in answers:
        found[one.id].append(value(one))
    return [float(np.mean(each)) for each in found.values()]


def block(shown: Cases, asked: Cases, solids: Sequence[Solid], effort: Effort) -> list[str]:
    """Return the table of one view and one size: calibrated on some images, and asked about others."""
    every = baselines(solids, [*islice(shown, effort.images)], shown.size)
    images, rng = [*islice(asked, effort.images)], np.random.default_rng(0)
    rows = [row(one, [answer(one, lit, effort.points, rng) for lit in images], rng) for one in every]
    return [f"## {asked.view}, size {asked.size:g}", "", *markdown(HEADS, rows), ""]


def text(train: Path, test: Path, column: Column, poses: int, effort: Effort) -> str:
    """Return the page."""
    solids, count = solids_of(mishape.open_library(train)), len(mishape.open_library(test))
    lines = ["# Shapes found without learning", "", f"Written by `{COMMAND}` on: {machine()}; {versions()}.", ""]
    lines += [SAID.format(count=count, poses=poses, column=column, scatter=SCATTER_NM[column]), ""]
    for view in VIEWS:
        for size in effort.sizes:
            shown = Cases(train, view, size, column, seed=SEED + 1)
            lines += block(shown, Cases(test, view, size, column, poses), solids, effort)
    return "\n".join(lines).rstrip() + "\n"


SAID = (
    "{count} shapes, each in {poses} random pose(s), the same in all views; labels on the surface, 2000/um2; "
    "background 100, peak over background 2 to 4. Column `{column}`: centres within {scatter} nm of the field's. "
    "Scores are in the world's frame, nothing is aligned. IoU: mean over shapes, 95 % by bootstrap over shapes. Best "
    "of mirror: the higher of what was found and its mirror image in the focal plane. Chamfer-L1: longest edge = 1. "
    "Surface error: median both ways, the mean over shapes. Number: what was chosen on images of the training shapes "
    "(nm, standard deviations, share of the brightest), or the mean shape's radius in nm. *: made from the truth, a "
    "marker. The flip ceiling holds for single images in focus: a stack tells a shape from its mirror image."
)


def asked(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--poses", type=int, default=2, help="images of each shape; default 2")
    parser.add_argument("--column", choices=[*SCATTER_NM], default="true centre")
    parser.add_argument("--quick", action="store_true", help="one image of each kind, to see that all of it runs")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    given = asked(arguments)
    with threadpool_limits(1):
        found = text(given.train, given.test, given.column, given.poses, QUICK if given.quick else Effort())
    given.output.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
