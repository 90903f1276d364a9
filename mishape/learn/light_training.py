"""Training of models that find shapes in images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mishape.engine.errors import LibraryError
from mishape.engine.files import canonical
from mishape.learn.batches import Drawn
from mishape.learn.finding import Finder
from mishape.learn.known_box import known_box
from mishape.learn.light_plan import LightPlan
from mishape.learn.lit import Lit
from mishape.learn.lit_shapes import LitShapes, Part
from mishape.learn.networks import new, plain
from mishape.learn.posed_scores import overlap
from mishape.learn.processes import training_in
from mishape.learn.train import WEIGHTS, Report, Trainer, TrainingError

KIND = "light"


def train_light(
    plan: LightPlan, parts: Sequence[Part], folder: Path, device: str = "cpu", report: Report = lambda *_: None
) -> Path:
    """Train a model that finds shapes in images, or go on with it.

    Returns
    -------
    Path
        The file of the weights.

    Raises
    ------
    LibraryError
        If no image shows a shape of the folds that are asked for.
    MishapeError
        If there is no such device, or an image does not fit.
    TrainingError
        If the loss is no number any more, the folder holds another training, or shapes are drawn from weights that
        learned from folds that are left out.
    """
    asked, shown = plan.light, _grids(plan, parts)
    without = (*asked.held_out, *asked.validation)
    _check_unlearned(parts, without)
    height_known = asked.height_known if plan.model.frame == "world" else 0.0
    data = LitShapes(parts, plan.training.points, max(shown), without, (), plan.seed, plan.model.frame, height_known)
    watched = _watched(plan, parts) if asked.validation else []
    said = {"kind": KIND, "model": plain(plan.model), "planes": sorted(shown), **about(plan, parts)}
    with training_in(folder, device) as (processes, own_device):
        if plan.training.batch < processes.count:
            raise TrainingError(f"batch is {plan.training.batch}: {processes.count} processes need an image each")

        def validate(network: Any) -> float:
            finder = Finder(network, plan.model, own_device)
            return float(np.mean([_score(finder, lit) for lit in watched]))

        drawn = Drawn(data, plan.training.batch, processes.rank, processes.count)
        identity = canonical(
            json.loads(plan.model_dump_json()) | {"images": [part.images.facts.sha256 for part in parts]}
        )
        steps = plan.training, plan.seed, identity, folder
        network = new(plan.seed, plan.model.network)
        Trainer(network, *steps, drawn, validate if watched else None, said, own_device, processes).run(report)
        return folder / WEIGHTS


def _score(finder: Finder, lit: Lit) -> float:
    """Return how well a solid is found, of which a model is told what it is told in training."""
    box = known_box(lit.posed, finder.model.frame)
    return overlap(finder.odds_at(lit.counts, lit.view, box=box), lit.posed)


def _check_unlearned(parts: Sequence[Part], folds: Sequence[str]) -> None:
    """Raise a `TrainingError` if shapes are drawn from weights that know folds of which nothing is to be learned."""
    for facts in (part.images.facts for part in parts):
        if known := sorted(facts.learned & {*folds}):
            raise TrainingError(
                f"{facts.name} shows shapes of weights that learned from fold(s) {', '.join(known)}, which are in "
                "held_out or validation: give weights that did not"
            )


def _grids(plan: LightPlan, parts: Sequence[Part]) -> set[int]:
    """Return the numbers of planes of all parts, if the model takes them all."""
    model, grids = plan.model, [part.images.grid for part in parts]
    for grid in grids:
        planes, rows, columns = grid.shape
        if not model.LEAST <= planes <= model.MOST:
            raise TrainingError(f"images of {planes} plane(s) given: {model.kind} takes {model.LEAST} to {model.MOST}")
        if rows % model.step_px or columns % model.step_px:
            raise TrainingError(
                f"images of {rows} x {columns} pixels given: {model.kind} takes multiples of {model.step_px}"
            )
    if len({grid.shape[1:] for grid in grids}) > 1:
        sizes = ", ".join(sorted({f"{grid.shape[1]} x {grid.shape[2]}" for grid in grids}))
        raise TrainingError(f"images of {sizes} pixels given: give all parts as many rows and columns")
    return {grid.shape[0] for grid in grids}


def _watched(plan: LightPlan, parts: Sequence[Part]) -> list[Lit]:
    """Return images of the validation's folds: of each kind as many, evenly along each."""
    data, each = LitShapes(parts, 1, 1, only=plan.light.validation), -(-plan.light.validated // len(parts))
    found: list[Lit] = []
    for part in parts:
        try:
            starts = np.linspace(0, len(part.images) - 1, each).astype(int).tolist()
            found += [part.images.lit(data.shown(part.images, start)) for start in starts]
        except LibraryError:
            continue  # images of shapes without folds, as tubes
    if not found:
        raise LibraryError(f"no image shows a shape of the validation's folds {', '.join(plan.light.validation)}")
    return found


def about(plan: LightPlan, parts: Sequence[Part]) -> dict[str, Any]:
    """Return what weights say of the images that they were learned from."""
    facts, unseen = [part.images.facts for part in parts], {*plan.light.held_out, *plan.light.validation}
    sizes = [part.images.grid.pixel_nm for part in parts]
    return {
        "images": [one.name for one in facts],
        "data_sha256": hashlib.sha256(canonical([one.sha256 for one in facts]).encode()).hexdigest(),
        "folds": sorted({fold for one in facts for fold in one.folds | one.learned} - unseen),
        "held_out": [*plan.light.held_out],
        "validation_folds": [*plan.light.validation],
        "licences": sorted({licence for one in facts for licence in one.licences}),
        "pixel_nm": [min(sizes), max(sizes)],
    }
