"""Table 1: shapes found in stacks and images of three kinds, by all ways to find them."""

from __future__ import annotations

from functools import partial
from itertools import islice

import numpy as np

import mishape
from benchmarks.reconstruction.asking import MARKED, Asking
from benchmarks.reconstruction.baseline import Baseline
from benchmarks.reconstruction.baselines import baselines
from benchmarks.reconstruction.cases import COLUMNS, SCATTER_NM, SEED, VIEWS, Cases
from benchmarks.reconstruction.known_shapes import solids_of
from benchmarks.reconstruction.learned import Fitted, InItsBox
from benchmarks.reconstruction.markers import FlipCeiling
from benchmarks.reconstruction.onets import FRAMES, trained
from benchmarks.reconstruction.rows import Every, classes_table, differences, further_table, iou, main_table, mean
from benchmarks.reconstruction.variants import VARIANTS, Variant
from benchmarks.results import markdown


def lines(asking: Asking) -> list[str]:
    """Return the table."""
    effort, count = asking.effort, len(mishape.open_library(asking.test))
    return [
        SAID.format(count=count, poses=effort.poses, scatter=SCATTER_NM["no leak"], steps=effort.steps),
        "",
        *(line for view in VIEWS for size in effort.sizes for line in _block(asking, view, size)),
        *(line for view in VIEWS for line in _others(asking, view)),
    ]


def _block(asking: Asking, view: str, size: float) -> list[str]:
    """Return what is said of one view and one size."""
    by_column = {
        column: _answers(asking, Cases(asking.test, view, size, column, asking.effort.poses)) for column in COLUMNS
    }
    rng, text = np.random.default_rng(0), [f"## {view}, size {size:g}", ""]
    for column, every in by_column.items():
        text += [f"Column `{column}`.", "", *main_table(every, rng), ""]
    every = by_column["true centre"]
    pairs = _pairs(every)
    if pairs:
        text += [f"Paired by shapes, `true centre`: the best baseline is {pairs[0][1]}.", ""]
        text += [*differences(every, pairs, rng), ""]
    text += ["Further scores, `true centre`.", "", *further_table(every), ""]
    return [*text, "By length and signal, `true centre`.", "", *classes_table(every), ""]


def _answers(asking: Asking, asked: Cases) -> Every:
    """Return the answers of all ways, by their names."""
    name, images = f"{asked.view}-{asked.size:g}-{asked.column}", lambda: asked
    planes = VIEWS[asked.view]["grid"]["shape"][0]
    boxed = [partial(trained, asking.runs, asking.train, asked.view, frame, asking.effort.steps) for frame in FRAMES]
    return {
        **asking.told(f"baselines-{name}", lambda: _calibrated(asking, asked), images),
        **asking.told(f"onets-{name}", lambda: (InItsBox(make()) for make in boxed), images),
        **asking.told(f"networks-{asking.key}-{name}", lambda: asking.networks(planes, asked.column), images),
    }


def _calibrated(asking: Asking, asked: Cases) -> list[Baseline]:
    """Return all ways without learning, calibrated on other shapes."""
    shown = Cases(asking.train, asked.view, asked.size, asked.column, seed=SEED + 1)
    solids = solids_of(mishape.open_library(asking.train))
    return baselines(solids, [*islice(shown, asking.effort.images)], asked.size)


def _others(asking: Asking, view: str) -> list[str]:
    """Return how well networks find shapes of a view, at their own size, where something is not as in the table."""
    rows = []
    for said, variant in VARIANTS.items():
        if view in variant.views:
            every = _of_variant(asking, said, variant, Cases(asking.test, view, changes=variant.changes))
            rows += [[said, name, mean(one, iou), mean(one, lambda a: a.mirror_iou)] for name, one in every.items()]
    return [f"## {view}: what is otherwise", "", *markdown(["", "", "IoU", "best of mirror"], rows), ""]


def _of_variant(asking: Asking, said: str, variant: Variant, asked: Cases) -> Every:
    planes = variant.changes.get("view", {}).get("grid", VIEWS[asked.view]["grid"])["shape"][0]

    def ways() -> list[Baseline]:
        own = (way for way in asking.networks(planes, asked.column) if not isinstance(way, Fitted))
        return [*own, FlipCeiling()]

    return asking.told(f"variant-{asking.key}-{asked.view}-{said}", ways, lambda: variant.images(asked))


def _pairs(every: Every) -> list[tuple[str, str]]:
    """Return which networks are compared with what: the best way without learning or truth, and markers."""
    own = [name for name in every if name.startswith("grid_")]
    others = [name for name in every if name not in own and not name.endswith(MARKED)]
    best = max(others, key=lambda name: float(mean(every[name], iou)))
    fits = [name for name in own if name.endswith("fitted")]
    first = [(name, best) for name in own if name not in fits]
    marker = "oracle ellipsoid" + MARKED
    return [*first, *((fit, fit.partition(",")[0]) for fit in fits), *((fit, marker) for fit in fits)]


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
