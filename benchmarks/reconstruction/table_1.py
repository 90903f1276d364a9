"""Table 1: shapes found in stacks and images of three kinds, by all ways to find them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import mishape
from benchmarks.kept import kept
from benchmarks.reconstruction.answers import Answer, answers
from benchmarks.reconstruction.baseline import Baseline
from benchmarks.reconstruction.baselines import baselines
from benchmarks.reconstruction.cases import COLUMNS, SCATTER_NM, SEED, SIZES, VIEWS, Cases, Column
from benchmarks.reconstruction.known_shapes import solids_of
from benchmarks.reconstruction.learned import FeedForward, InItsBox
from benchmarks.reconstruction.onets import FRAMES, trained
from benchmarks.reconstruction.rows import Every, classes_table, differences, further_table, iou, main_table, mean
from mishape.learn.finding import Finder
from mishape.learn.surface_scores import POINTS

MARKED = " *"
"""Behind the names of ways that see the truth."""


@dataclass(frozen=True)
class Effort:
    """How much is done.

    Parameters
    ----------
    sizes
        Factors on the shapes.
    poses
        Images of each shape.
    images
        At most so many images to calibrate on, and as many that are asked about; None is no limit.
    points
        On each surface.
    turns
        Turned and mirrored images that networks are asked about.
    steps
        Of the trainings of Occupancy Networks' protocol.
    """

    sizes: tuple[float, ...] = SIZES
    poses: int = 2
    images: int | None = None
    points: int = POINTS
    turns: int = 16
    steps: int = 2000


QUICK = Effort(sizes=SIZES[:1], poses=1, images=1, points=500, turns=2, steps=2)


@dataclass(frozen=True)
class Table:
    """One run of the table.

    Parameters
    ----------
    train, test
        Libraries of whole shapes: ways with a number choose it on the first.
    runs
        Where answers are kept.
    finders
        Networks.
    effort
        How much is done.
    """

    train: Path
    test: Path
    runs: Path
    finders: Sequence[Finder]
    effort: Effort

    def lines(self) -> list[str]:
        """Return the table."""
        count, poses = len(mishape.open_library(self.test)), self.effort.poses
        return [
            SAID.format(count=count, poses=poses, scatter=SCATTER_NM["no leak"], steps=self.effort.steps),
            "",
            *(line for view in VIEWS for size in self.effort.sizes for line in self._block(view, size)),
        ]

    def _block(self, view: str, size: float) -> list[str]:
        """Return what is said of one view and one size."""
        by_column = {column: self._answers(view, size, column) for column in COLUMNS}
        rng, lines = np.random.default_rng(0), [f"## {view}, size {size:g}", ""]
        for column, every in by_column.items():
            lines += [f"Column `{column}`.", "", *main_table(every, rng), ""]
        every = by_column["true centre"]
        pairs = _pairs(every)
        if pairs:
            lines += [f"Paired by shapes, `true centre`: the best baseline is {pairs[0][1]}.", ""]
            lines += [*differences(every, pairs, rng), ""]
        lines += ["Further scores, `true centre`.", "", *further_table(every), ""]
        return [*lines, "By length and signal, `true centre`.", "", *classes_table(every), ""]

    def _answers(self, view: str, size: float, column: Column) -> Every:
        """Return the answers of all ways, by their names."""
        asked = Cases(self.test, view, size, column, self.effort.poses)
        found = kept(self._file("baselines", asked), lambda: self._of_baselines(asked))
        for way in self._networks(asked):
            found[_marked(way)] = kept(self._file(way.name, asked), partial(self._of, way, asked))
        return {name: [Answer.from_plain(one) for one in every] for name, every in found.items()}

    def _of_baselines(self, asked: Cases) -> dict[str, Any]:
        """Return the answers of all ways without learning, calibrated on other shapes."""
        shown = Cases(self.train, asked.view, asked.size, asked.column, seed=SEED + 1)
        solids = solids_of(mishape.open_library(self.train))
        every = baselines(solids, [*islice(shown, self.effort.images)], asked.size)
        return {_marked(way): self._of(way, asked) for way in every}

    def _of(self, way: Baseline, asked: Cases) -> list[dict[str, Any]]:
        return answers(way, islice(asked, self.effort.images), self.effort.points)

    def _networks(self, asked: Cases) -> Iterator[Baseline]:
        """Yield the networks that take so many planes."""
        centre_z_nm = 0.0 if asked.column == "true centre" else None
        planes = VIEWS[asked.view]["grid"]["shape"][0]
        for frame in FRAMES:
            yield InItsBox(trained(self.runs, self.train, asked.view, frame, self.effort.steps))
        for finder in self.finders:
            if finder.model.LEAST <= planes <= finder.model.MOST:
                yield FeedForward(finder, self.effort.turns, centre_z_nm)

    def _file(self, name: str, asked: Cases) -> Path:
        return self.runs / "answers" / f"{name}-{asked.view}-{asked.size:g}-{asked.column}.json"


def _marked(way: Baseline) -> str:
    return way.name + MARKED * way.sees_truth


def _pairs(every: Every) -> list[tuple[str, str]]:
    """Return each network that finds shapes in the world, beside the best way without learning or truth."""
    own = [name for name in every if name.startswith("grid_")]
    others = [name for name in every if name not in own and not name.endswith(MARKED)]
    best = max(others, key=lambda name: float(mean(every[name], iou)))
    return [(name, best) for name in own]


SAID = (
    "{count} shapes, each in {poses} random pose(s), the same in all views; labels on the surface, 2000/um2; "
    "background 100, peak over background 2 to 4. Column `true centre`: centres are the field's, and known; `no leak`: "
    "within {scatter} nm of it, and not known. Scores are in the world's frame, nothing is aligned, but for `with true "
    "centre and scale`: what was found brought to the true box's centre and longest edge. Means over shapes, 95 % by "
    "bootstrap over shapes. Best of mirror: the higher of what was found and its mirror image in the focal plane. "
    "Chamfer-L1: longest edge = 1. Surface error: median both ways. chi^2: of the image of what was found, lit evenly, "
    "beside the image, over the noise of photons. Volume, area, length: found over true, less 1. *: told of the truth, "
    "or made from it. The flip ceiling holds for single images in focus: a stack tells a shape from its mirror image. "
    "onet: Occupancy Networks' protocol at a fourth of the width, {steps} steps of 16 images at a rate of 1e-3, told "
    "the true box. Ways with a number (nm, standard deviations, share of the brightest) chose it on images of the "
    "training shapes."
)
