"""Who is asked for shapes in which images, how thoroughly, and what was answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.kept import kept
from benchmarks.reconstruction.answers import Answer, answers
from benchmarks.reconstruction.baseline import Baseline
from benchmarks.reconstruction.cases import SIZES, Column
from benchmarks.reconstruction.learned import FeedForward, Fitted, OneSided
from benchmarks.reconstruction.rows import Every
from mishape.learn.finding import Finder
from mishape.learn.lit import Lit
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
    fits
        Turned and mirrored stacks that networks are fitted to; single images as they are.
    steps
        Of the trainings of Occupancy Networks' protocol.
    """

    sizes: tuple[float, ...] = SIZES
    poses: int = 2
    images: int | None = None
    points: int = POINTS
    turns: int = 16
    fits: int = 2
    steps: int = 1000


QUICK = Effort(sizes=SIZES[:1], poses=1, images=1, points=500, turns=2, fits=1, steps=2)


@dataclass(frozen=True)
class Asking:
    """One run of the tables.

    Parameters
    ----------
    train, test
        Libraries of whole shapes: ways with a number choose it on the first.
    runs
        Where answers are kept.
    finders
        Networks.
    key
        Of their weights: what other weights answered is not theirs.
    effort
        How much is done.
    """

    train: Path
    test: Path
    runs: Path
    finders: Sequence[Finder]
    key: str
    effort: Effort

    def told(self, name: str, ways: Callable[[], Iterable[Baseline]], images: Callable[[], Iterable[Lit]]) -> Every:
        """Return the answers of some ways by their names, found now if they are not kept under this name."""

        def find() -> dict[str, list[dict[str, Any]]]:
            asked = [*islice(images(), self.effort.images)]
            return {way.name + MARKED * way.sees_truth: answers(way, asked, self.effort.points) for way in ways()}

        found = kept(self.runs / "answers" / f"{name}.json", find)
        return {way: [Answer.from_plain(one) for one in every] for way, every in found.items()}

    def networks(self, planes: int, column: Column) -> Iterator[Baseline]:
        """Yield the networks that find shapes in the world by so many planes."""
        centre_z_nm = 0.0 if column == "true centre" else None
        for finder in self.finders:
            if finder.model.LEAST <= planes <= finder.model.MOST:
                yield FeedForward(finder, self.effort.turns, centre_z_nm)
                if planes == 1:
                    yield OneSided(finder, self.effort.turns, centre_z_nm)
                yield Fitted(finder, self.effort.fits, centre_z_nm)
