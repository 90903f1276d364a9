"""Table S2: methods beside one another on the same pictures, those that see labels in a block of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.methods import METHODS, segmented
from benchmarks.methods.mitosegnet import MitoSegNet
from benchmarks.results import markdown
from benchmarks.segmentation import transfer
from benchmarks.segmentation.models import default, learned, masks, papers
from benchmarks.segmentation.scores import HEADS, Scores, difference, kept_scores
from benchmarks.segmentation.sets import DEFINITIONS, MIXTURE, PIXEL_NM, SBRS, THEIRS, Sets, annotated, simulated
from mishape.learn.pairs import DatasetPairs, Pair
from mishape.learn.segmenting import Network

SLOW = ("kanezaki-brighter", "kanezaki-oracle")
OURS = ("em", "tubes", MIXTURE)
Mask = NDArray[np.bool_]
Finder = Callable[[Sequence[Pair], float], list[Mask]]
"""Pictures and the size of their pixels -> masks."""
SHOWN = 60
"""Pictures, of those that learn from a set, by which methods that see labels are trained."""


def lines(
    sets: Sets, runs: Path, data: Path | None, real: Path | None, pixel_nm: float | None, part: str | None
) -> list[str]:
    """Return the tables of all sets of pictures."""
    text = [
        "Methods of others are written anew from their publications (benchmarks/methods says how they differ): no "
        "number is one of the original programs. Dice: 1 where both masks are empty, 0 where one is. Differences are "
        "paired by pictures; the slow methods are tried on fewer. "
        + TRAINED.format(sets.sizes.train, sets.sizes.steps),
        "",
    ]
    for definition in DEFINITIONS:
        for sbr in SBRS:
            name, pairs = f"EM shapes, `{definition}`, SBR {sbr:g}", sets.tested("em", definition, sbr)
            text += _block(sets, runs, name, pairs, PIXEL_NM, definition)
    if data is not None:
        pairs = simulated(data, None if sets.sizes.slow > 1 else 2)
        text += _block(sets, runs, "Sekh et al., simulated", pairs, PIXEL_NM, THEIRS)
    for subset in (True, False) if real else ():
        assert real is not None
        assert pixel_nm is not None
        name = "Sekh et al., annotated by hand" + (", without the smallest masks" if subset else "")
        text += _block(sets, runs, name, annotated(real, pixel_nm, part, subset), pixel_nm, THEIRS)
    return [*text, *transfer.lines(sets, runs)]


TRAINED = (
    "unet: the plain one, trained on {} montages in {} steps; `em`, `tubes` (sekh2021), `mixture` (those two, matched "
    "tubes and samples of the prior). For the pictures of Sekh et al. they learned noise and masks as theirs. default: "
    "the weights of `mishape segment`, which know masks by `touched` alone, and pixels from 42 to 109 nm. "
    "EfficientNet-B0 starts from new weights too, and learns as long as the plain one; 20 epochs at the paper's rate "
    "only on a GPU."
)


def _block(sets: Sets, runs: Path, name: str, pairs: Sequence[Pair], pixel_nm: float, definition: str) -> list[str]:
    """Return the table of one set of pictures."""
    found = {method: _scores(sets, runs, method, name, pairs, pixel_nm, definition) for method in METHODS}
    ours = {
        f"unet, {row}": _ours(runs, row, name, pairs, partial(find, pairs, pixel_nm))
        for row, find in _networks(sets, runs, definition).items()
    }
    blind = [method for method in METHODS if METHODS[method].sees == "nothing"]
    best = max(blind, key=lambda method: float(found[method].dice.mean()))
    rng = np.random.default_rng(0)
    first = _rows({**{method: found[method] for method in blind}, **ours}, found[best], rng)
    second = _rows({method: found[method] for method in METHODS if method not in blind}, found[best], rng)
    heads = ["", *HEADS, f"Dice beyond {best}'s, paired"]
    said = [f"{method} sees {METHODS[method].sees}" for method in METHODS if method not in blind]
    return [
        f"## {name}",
        "",
        *markdown(heads, first),
        "",
        f"Methods that see labels: {'; '.join(said)}.",
        "",
        *markdown(heads, second),
        "",
    ]


def _rows(scores: dict[str, Scores], best: Scores, rng: Generator) -> list[list[str]]:
    return [[name, *one.row(rng), difference(one, best, rng)] for name, one in scores.items()]


def _scores(
    sets: Sets, runs: Path, method: str, name: str, pairs: Sequence[Pair], pixel_nm: float, definition: str
) -> Scores:
    def made() -> Scores:
        chosen = pairs[: sets.sizes.slow] if method in SLOW else pairs
        way = METHODS[method]
        if isinstance(way, MitoSegNet):
            way = replace(way, steps=sets.sizes.method_steps)
        training = _labelled(sets, definition) if way.sees in ("one image", "training set") else []
        tested = [(pair.picture, pair.mask) for pair in chosen]
        return Scores.of(segmented(way, tested, training, pixel_nm, 1), chosen)

    return kept_scores(runs / "scores" / f"S2-{method}-{name}.json", made)


def _networks(sets: Sets, runs: Path, definition: str) -> dict[str, Finder]:
    """Return what our rows find, by name: what they need is trained when it is asked."""

    def by(network: Callable[[], Network]) -> Finder:
        return lambda pairs, pixel_nm: masks(network(), pairs, pixel_nm)

    rows = {origin: by(partial(learned, sets, runs, origin, definition)) for origin in OURS}
    rows["default"] = default
    if definition == "projection":
        rows["em, EfficientNet-B0"] = by(partial(learned, sets, runs, "em", definition, "efficientnet_b0"))
    if torch.cuda.is_available():
        rows["em, EfficientNet-B0, 20 epochs"] = by(partial(papers, sets, runs, definition))
    return rows


def _ours(runs: Path, row: str, name: str, pairs: Sequence[Pair], find: Callable[[], list[Mask]]) -> Scores:
    return kept_scores(runs / "scores" / f"S2-unet-{row}-{name}.json", lambda: Scores.of(find(), pairs))


def _labelled(sets: Sets, definition: str) -> list[tuple[np.ndarray, np.ndarray]]:
    (dataset,) = sets.training("em", definition)
    pairs = DatasetPairs(dataset)
    return [(pair.picture, pair.mask) for pair in (pairs[number] for number in range(min(SHOWN, len(pairs))))]
