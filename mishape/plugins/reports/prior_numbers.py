"""The numbers by which a prior of shapes is judged, against shapes that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from mishape.engine import registry
from mishape.engine.errors import LibraryError
from mishape.engine.library import Entry, Library
from mishape.engine.seeding import Stage, stream
from mishape.engine.wording import suggestion
from mishape.learn.comparison import handedness, interval
from mishape.learn.dealing import check_about, data_hash
from mishape.learn.reconstruction import Activity, Reconstruction, activity, reconstructions
from mishape.learn.shape_data import ShapeDataset
from mishape.learn.solids import solid_of_entry
from mishape.learn.tensors import WeightsError, read_tensors
from mishape.plugins.reports.likeness import chance, chance_spans, floor, novelty, sets, sound, spans
from mishape.plugins.reports.populations import Looked, Population, drawn, tubes_like

Step = Callable[[str], None]
POINTS = 2048
"""Of each shape that a model of points reads."""
RESOLUTION = 129
"""Corners of the lattice of shapes that are drawn: finer than that on which they are measured, up to 2 um."""
FEWEST_HELD = 4
"""Whole shapes that anything can be judged by."""


@dataclass(frozen=True)
class Judged:
    """A file of weights and the shapes that it is judged by.

    Parameters
    ----------
    weights
        The file.
    about
        What it says of itself.
    learned, held
        Whole shapes that it was learned from, and those that it never saw.
    """

    weights: Path
    about: dict[str, Any]
    learned: Sequence[Entry]
    held: Sequence[Entry]

    @property
    def is_prior(self) -> bool:
        """Whether shapes can be drawn from it."""
        return bool(self.about.get("kind") == "prior")


def judged(weights: Path, libraries: Sequence[Library], folds: Sequence[str] = ()) -> Judged:
    """Return weights with the shapes to judge them by: of folds that are named, or else of those they left out.

    Raises
    ------
    WeightsError
        If the libraries are not those that were learned, or the folds were.
    LibraryError
        If there are too few shapes.
    """
    about = _about(weights)
    entries = [entry for library in libraries for entry in library]
    learned = [entry for entry in entries if str(entry.fold) in about["folds"]]
    if data_hash((entry.id, entry.shape().surface) for entry in learned) != about["data_sha256"]:
        names = ", ".join(library.name for library in libraries)
        raise WeightsError(
            f"weights {str(weights)!r} are not of folds {', '.join(about['folds'])} of {names}: "
            f"give the libraries that they were trained with ({', '.join(about['libraries'])}), in that order"
        )
    asked = folds or about["held_out"]
    for why, named in (("learned from", "folds"), ("chosen by", "validation_folds")):
        if seen := sorted({*asked} & {*about[named]}):
            raise WeightsError(f"weights {str(weights)!r} were {why} fold(s) {', '.join(seen)}: name others")
    known = {str(entry.fold) for entry in entries}
    for name in asked:
        if name not in known:
            raise LibraryError(f"no shape is of fold {name!r}: {suggestion(name, known)}")
    held = [entry for entry in entries if entry.fold in asked and _is_whole(entry)]
    if len(held) < FEWEST_HELD:
        raise LibraryError(
            f"{len(held)} whole shape(s) in fold(s) {', '.join(asked) or '(none)'}: {FEWEST_HELD} are needed; name "
            "folds that nothing was learned of (--fold)"
        )
    whole = [entry for entry in learned if _is_whole(entry)]
    if len(whole) < FEWEST_HELD:
        raise LibraryError(f"{len(whole)} whole shape(s) were learned from: {FEWEST_HELD} are needed to compare with")
    return Judged(weights, about, whole, held)


def _about(weights: Path) -> dict[str, Any]:
    from mishape.learn.stored import fitting

    _, about = read_tensors(weights)
    if about.get("kind") not in ("prior", "autoencoder"):
        raise WeightsError(f"weights {str(weights)!r} are of no model of shapes: give a run's weights or prior")
    with fitting(weights, "a model of shapes"):
        check_about(about)
    return about


def _is_whole(entry: Entry) -> bool:
    return not entry.fields.get("touches_border")


@dataclass(frozen=True)
class Reconstructed:
    """How the shapes that were held out come back."""

    numbers: int
    each: Sequence[Reconstruction]
    activity: Activity

    def said(self, rng: Generator) -> dict[str, Any]:
        """Return its numbers."""
        overlaps, errors = ([float(getattr(one, name)) for one in self.each] for name in ("overlap", "error_nm"))
        return {
            "numbers": self.numbers,
            "overlap": summary(overlaps, rng),
            "error_nm": summary(errors, rng),
            "activity": asdict(self.activity),
            "shapes": [{"id": one.id, "overlap": one.overlap, "error_nm": one.error_nm} for one in self.each],
        }


def summary(values: Sequence[float], rng: Generator) -> dict[str, float]:
    """Return mean, its 95 % interval, and median."""
    low, high = interval(values, rng)
    return {"mean": float(np.mean(values)), "low": low, "high": high, "median": float(np.median(values))}


def reconstructed(case: Judged) -> Reconstructed:
    """Return how a model's numbers hold the shapes that it never saw."""
    from mishape.learn.prior import load_model

    model, network = load_model(case.weights)

    def data_of(entries: Sequence[Entry]) -> ShapeDataset:
        return ShapeDataset([solid_of_entry(entry) for entry in entries], model.sampling(POINTS))

    each = reconstructions(network, data_of(case.held))
    return Reconstructed(model.numbers, each, activity(network, data_of(case.learned)))


@dataclass(frozen=True)
class Compared:
    """Populations beside one another, and what is found."""

    populations: dict[str, Population]
    numbers: dict[str, Any]


REAL, LEARNED = "held out", "learned from"
"""Names of the two real populations."""


def populations(case: Judged, times: int, seed: int) -> dict[str, Population]:
    """Return real shapes, some times as many of the prior and of free tubes, and a tube like each that was learned."""
    looked, count = Looked.of(case.held), times * len(case.held)
    weights = str(case.weights.resolve())
    prior = registry.load("shapes", "mishape")(kind="mishape", weights=weights, resolution=RESOLUTION)
    sekh = registry.load("shapes", "tube")(kind="tube", preset="sekh2021")
    made = {
        REAL: (entry.shape() for entry in case.held),
        LEARNED: (entry.shape() for entry in case.learned),
        "prior": drawn(prior, count, looked, stream(seed, 0, Stage.SHAPE, "prior")),
        "tubes, matched": tubes_like(case.learned),
        "tubes, sekh2021": drawn(sekh, count, looked, stream(seed, 0, Stage.SHAPE, "sekh2021")),
    }
    return {name: Population(name, [*shapes]) for name, shapes in made.items()}


def compared(case: Judged, times: int, seed: int, step: Step) -> Compared:
    """Return populations and their numbers; `step` is told what is measured."""
    step("drawing shapes")
    groups = populations(case, times, seed)
    real, learned = groups[REAL], groups[LEARNED]
    numbers: dict[str, Any] = {
        "chance": chance(len(real.given)),
        "chance_spans": chance_spans(learned, len(real.given), _rng(seed, "chance")),
        "nearest_floor": floor(learned),
    }
    for name, group in groups.items():
        if group is not real:
            step(f"comparing: {name}")
            numbers[name] = _numbers(real, learned, group, seed)
    step("mirror images")
    share, p = handedness(learned.clouds, _rng(seed, "handedness"))
    numbers["handedness"] = {"nearer as it is": share, "p": p}
    return Compared(groups, numbers)


def numbers_of(
    case: Judged, times: int, seed: int, step: Step
) -> tuple[Reconstructed, dict[str, Any], Compared | None]:
    """Return how shapes come back, all that is said of the weights as JSON holds it, and what is drawn."""
    step("reconstructing")
    held = reconstructed(case)
    comparison = compared(case, times, seed, step) if case.is_prior else None
    said = {
        "weights": case.about,
        "held_out": [entry.id for entry in case.held],
        "reconstruction": held.said(_rng(seed, "reconstruction")),
        **({"generation": comparison.numbers} if comparison is not None else {}),
    }
    return held, said, comparison


def _numbers(real: Population, learned: Population, group: Population, seed: int) -> dict[str, Any]:
    found = sets(real, group, _rng(seed, group.name))
    far = novelty(learned, None if group is learned else group)
    return {
        "shapes": len(group.given),
        "sound": sound(group),
        **{kind: asdict(one) for kind, one in found.items()},
        "spans": spans(real, group, _rng(seed, f"spans.{group.name}")),
        "nearest_learned": dict(
            zip(("5 %", "median", "95 %"), np.quantile(far, (0.05, 0.5, 0.95)).tolist(), strict=True)
        ),
    }


def _rng(seed: int, name: str) -> Generator:
    return stream(seed, 0, Stage.TRUTH, f"evaluate.{name}")
