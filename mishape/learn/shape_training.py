"""Training of models of shapes: which shapes, in which order, and how well they are reconstructed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mishape.engine.errors import LibraryError
from mishape.engine.files import canonical
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Mesh
from mishape.learn.networks import new, plain
from mishape.learn.origins import Origin, made
from mishape.learn.plan import LearnPlan
from mishape.learn.processes import joined
from mishape.learn.reconstruction import score
from mishape.learn.shape_data import ShapeDataset, stacked
from mishape.learn.solids import Solid, of_folds
from mishape.learn.train import WEIGHTS, Batch, Report, Trainer

FEWEST = 8
"""Shapes that a training needs."""


@dataclass(frozen=True)
class Drawn:
    """Batches of shapes drawn at random, each a pure function of its step.

    Parameters
    ----------
    data
        The shapes.
    batch
        How many a step has, over all processes.
    rank, count
        Which of how many processes this is: it has every so manieth shape of a batch.
    """

    data: ShapeDataset
    batch: int
    rank: int = 0
    count: int = 1

    def __call__(self, step: int) -> Batch:
        """Return this process's part of a step's batch."""
        slots = range(self.rank, self.batch, self.count)
        numbers = stream(self.data.seed, step, Stage.SPLIT, "learn.batch").integers(len(self.data), size=self.batch)
        items = [self.data.item(int(numbers[slot]), step * self.batch + slot) for slot in slots]
        return stacked(items)


def train_shapes(
    plan: LearnPlan, origins: Sequence[Origin], folder: Path, device: str = "cpu", report: Report = lambda *_: None
) -> Path:
    """Train a model of shapes, and their distribution if one is asked for, or go on with it.

    Returns
    -------
    Path
        The file of the weights.

    Raises
    ------
    LibraryError
        If there are too few shapes.
    TrainingError
        If the loss is no number any more, or the folder holds another training.
    """
    learned, watched = _dealt(plan, origins)
    data = ShapeDataset(
        [*learned, *made(plan.shapes.procedural, plan.seed)],
        plan.model.sampling(plan.training.points),
        plan.shapes.augmentation,
        plan.seed,
    )
    said = {**about(plan, origins, learned), "model": plain(plan.model), "kind": "autoencoder"}
    folder.mkdir(parents=True, exist_ok=True)
    with joined(device) as (processes, own_device):
        scored = ShapeDataset(watched, data.sampling)
        validate = (lambda network: score(network, scored, own_device)) if watched else None
        drawn = Drawn(data, plan.training.batch, processes.rank, processes.count)
        network = new(plan.seed, plan.model.network)
        identity = canonical(json.loads(plan.model_dump_json(exclude={"prior"})) | {"data": said["data_sha256"]})
        Trainer(network, plan.training, plan.seed, identity, folder, drawn, validate, said, own_device, processes).run(
            report
        )
        if plan.prior is None or not processes.is_first:
            return folder / WEIGHTS
        from mishape.learn.prior_training import train_prior

        return train_prior(plan, plan.prior, data, folder, said, own_device, report)


def _dealt(plan: LearnPlan, origins: Sequence[Origin]) -> tuple[list[Solid], list[Solid]]:
    """Return the shapes to learn from, and the whole ones to validate with."""
    solids = [solid for one in origins for solid in one.solids]
    shapes = plan.shapes
    learned = of_folds(solids, without=(*shapes.held_out, *shapes.validation))
    if len(learned) < FEWEST:
        raise LibraryError(
            f"{len(learned)} shape(s) to learn from, of {len(solids)}: at least {FEWEST} are needed; name fewer folds "
            "in held_out and validation, or more libraries"
        )
    return learned, [solid for solid in of_folds(solids, folds=shapes.validation) if solid.is_whole]


def about(plan: LearnPlan, origins: Sequence[Origin], learned: Sequence[Solid]) -> dict[str, Any]:
    """Return what weights say of the shapes that they were learned of."""
    return {
        "libraries": [one.name for one in origins],
        "data_sha256": data_hash((solid.id, solid.mesh) for solid in learned),
        "shapes": len(learned),
        "whole_shapes": sum(solid.is_whole for solid in learned),
        "procedural": [{"count": part.count, "shape": plain(part.shape)} for part in plan.shapes.procedural],
        "folds": sorted({str(solid.fold) for solid in learned}),
        "held_out": [*plan.shapes.held_out],
        "licences": sorted(frozenset[str]().union(*(one.licences for one in origins))),
    }


def data_hash(shapes: Iterable[tuple[str, Mesh]]) -> str:
    """Return the SHA-256 of all shapes' ids and surfaces."""
    every = [*shapes]
    digest = hashlib.sha256(canonical([id for id, _ in every]).encode())
    for _, mesh in every:
        digest.update(mesh.vertices_nm.astype("<f4").tobytes())
    return digest.hexdigest()
