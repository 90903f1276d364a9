"""Table S3: trained on shapes of one origin, tested on those of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.results import markdown
from benchmarks.segmentation.models import learned, masks
from benchmarks.segmentation.scores import Scores, difference, interval, kept_scores
from benchmarks.segmentation.sets import (
    DEFINITIONS,
    MIXTURE,
    ORIGINS,
    PIXEL_NM,
    SBRS,
    THEIRS,
    Sets,
    fields,
    simulated,
)
from mishape.learn.pairs import Pair
from mishape.learn.segment import labelled, parts

ROWS = (*ORIGINS, MIXTURE)
SIMULATED, NETWORKS = "Sekh et al., simulated", "mitonetwork"
LENGTHS_UM = (0.0, 1.0, 2.0, np.inf)
Cells = dict[str, Scores]
"""Scores by what was tested."""


def lines(sets: Sets, runs: Path, data: Path | None) -> list[str]:
    """Return the tables of all definitions of masks."""
    text = [
        f"A U-Net (`unet`, plain) trained {sets.sizes.steps} steps of 16 crops on {sets.sizes.train} montages of each "
        "origin (of the mixture a fourth of each), tested on shapes of volumes that nothing was learned from, half at "
        "a signal-to-background ratio of 2, half of 4; one seed. Dice: 1 where both masks are empty, 0 where one is. "
        "Betti error: how much numbers of parts and of holes differ. Sekh et al.: {} of their pictures; what is "
        "tested there learned from the same shapes with a range of noise round theirs, and masks of their definition "
        "(`emitters`).".format(len(_theirs(sets, data))),
        "",
    ]
    for definition in DEFINITIONS:
        cells = {row: _row(sets, runs, data, row, definition) for row in ROWS}
        text += [f"## Masks by `{definition}`", "", *_table(cells), "", *_worst(cells), "", *_details(cells), ""]
    return text


def _row(sets: Sets, runs: Path, data: Path | None, row: str, definition: str) -> Cells:
    """Return the scores of what is trained on an origin."""

    def made(pairs: Sequence[Pair], asked: str) -> Scores:
        return Scores.of(masks(learned(sets, runs, row, asked), pairs, PIXEL_NM), pairs)

    return {
        name: kept_scores(runs / "scores" / f"S3-{row}-{definition}-{name}.json", partial(made, pairs, asked))
        for name, pairs, asked in _tests(sets, data, definition)
    }


def _tests(sets: Sets, data: Path | None, definition: str) -> Iterator[tuple[str, Sequence[Pair], str]]:
    """Yield name, pairs and the definition that is learned for them, of all tests.

    Lengths are of the longest part in single fields of the montages.
    """
    for origin in ORIGINS:
        pairs = [pair for sbr in SBRS for pair in sets.tested(origin, definition, sbr)]
        yield origin, pairs, definition
        if origin == "em":
            for sbr in SBRS:
                yield f"em, SBR {sbr:g}", sets.tested(origin, definition, sbr), definition
            yield from ((name, chosen, definition) for name, chosen in _by_length(pairs))
    if networks := sets.networks(definition):
        yield NETWORKS, networks, definition
    if definition == "projection" and (others := _theirs(sets, data)):
        yield SIMULATED, others, THEIRS


def _theirs(sets: Sets, data: Path | None) -> Sequence[Pair]:
    return [] if data is None else simulated(data, 5 * sets.sizes.test)


def _by_length(pairs: Sequence[Pair]) -> Iterator[tuple[str, Sequence[Pair]]]:
    single = [pair for pair in fields(pairs) if pair.mask.any()]
    longest = [max(part.length_um for part in parts(labelled(pair.mask), PIXEL_NM)) for pair in single]
    for low, high in pairwise(LENGTHS_UM):
        chosen = [pair for pair, length in zip(single, longest, strict=True) if low <= length < high]
        if chosen:
            yield f"em, {low:g} to {high:g} um", chosen


def _main_columns(cells: dict[str, Cells]) -> list[str]:
    return [name for name in (*ORIGINS, NETWORKS, SIMULATED) if name in cells["em"]]


def _table(cells: dict[str, Cells]) -> list[str]:
    columns, rng = _main_columns(cells), np.random.default_rng(0)

    def told(scores: Scores) -> str:
        low, high = interval(scores.dice, rng)
        return f"{scores.dice.mean():.3f} ({low:.3f} to {high:.3f}) / {scores.overlap.mean():.3f}"

    rows = [[row, *(told(cells[row][name]) for name in columns)] for row in ROWS]
    return ["Dice (95 % of its mean) / IoU.", "", *markdown(["trained on, tested on", *columns], rows)]


def _worst(cells: dict[str, Cells]) -> list[str]:
    """Return each row's worst cell, and how the mixture stands there."""
    columns, rng, rows = _main_columns(cells), np.random.default_rng(1), []
    for row in ROWS:
        name = min(columns, key=lambda one: float(cells[row][one].dice.mean()))
        own = cells[row][name]
        mixed = "" if row == MIXTURE else difference(cells[MIXTURE][name], own, rng)
        rows.append([row, name, f"{own.dice.mean():.3f}", mixed])
    return ["Worst cells.", "", *markdown(["trained on", "worst tested on", "Dice", "mixture there, paired"], rows)]


def _details(cells: dict[str, Cells]) -> list[str]:
    rng, rows = np.random.default_rng(2), []
    for name in cells["em"]:
        if name not in _main_columns(cells):
            rows += [
                [
                    name,
                    row,
                    f"{cells[row][name].dice.mean():.3f} ± {cells[row][name].dice.std():.3f}",
                    "{:.3f} to {:.3f}".format(*interval(cells[row][name].dice, rng)),
                    f"{cells[row][name].betti.mean():.2f}",
                    str(len(cells[row][name].dice)),
                ]
                for row in ROWS
            ]
    heads = ["tested on", "trained on", "Dice ± SD", "95 % of its mean", "Betti error", "pictures"]
    return ["By signal and length (of the longest part of a field of 128 pixels).", "", *markdown(heads, rows)]
