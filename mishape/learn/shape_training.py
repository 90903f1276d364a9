"""Training of models of shapes: which shapes, in which order, and how well they are reconstructed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mishape.engine.errors import LibraryError
from mishape.engine.files import canonical
from mishape.engine.library import Library
from mishape.engine.seeding import Stage, stream
from mishape.learn.frames import lattice
from mishape.learn.networks import new, plain
from mishape.learn.plan import LearnPlan
from mishape.learn.processes import joined
from mishape.learn.shape_data import ShapeDataset
from mishape.learn.solids import Solid, of_folds, solids_of
from mishape.learn.train import WEIGHTS, Batch, Report, Trainer

FEWEST = 8
"""Shapes that a training needs."""
SCORED_LATTICE = (64, 32, 32)
"""Places at which reconstructions are compared, along a box's edges."""


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


def stacked(items: Sequence[dict[str, Any]]) -> Batch:
    """Return items as one batch of tensors."""
    return {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}


def train_shapes(
    plan: LearnPlan, libraries: Sequence[Library], folder: Path, device: str = "cpu", report: Report = lambda *_: None
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
    learned, watched = _dealt(plan, libraries)
    data = ShapeDataset(learned, plan.model.sampling(plan.training.points), plan.shapes.augmentation, plan.seed)
    said = {**about(plan, libraries, learned), "model": plain(plan.model), "kind": "autoencoder"}
    folder.mkdir(parents=True, exist_ok=True)
    with joined(device) as (processes, own_device):
        scored = ShapeDataset(watched, plan.model.sampling(16))
        validate = (lambda network: float(np.mean(overlaps(network, scored, own_device)))) if watched else None
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


def _dealt(plan: LearnPlan, libraries: Sequence[Library]) -> tuple[list[Solid], list[Solid]]:
    """Return the shapes to learn from, and the whole ones to validate with."""
    solids = [solid for library in libraries for solid in solids_of(library)]
    shapes = plan.shapes
    learned = of_folds(solids, without=(*shapes.held_out, *shapes.validation))
    if len(learned) < FEWEST:
        raise LibraryError(
            f"{len(learned)} shape(s) to learn from, of {len(solids)}: at least {FEWEST} are needed; name fewer folds "
            "in held_out and validation, or more libraries"
        )
    return learned, [solid for solid in of_folds(solids, folds=shapes.validation) if solid.is_whole]


def about(plan: LearnPlan, libraries: Sequence[Library], learned: Sequence[Solid]) -> dict[str, Any]:
    """Return what weights say of the shapes that they were learned of."""
    licences = sorted({str(entry.licence) for library in libraries for entry in library})
    return {
        "libraries": [library.name for library in libraries],
        "data_sha256": data_hash(learned),
        "shapes": len(learned),
        "whole_shapes": sum(solid.is_whole for solid in learned),
        "folds": sorted({str(solid.fold) for solid in learned}),
        "held_out": [*plan.shapes.held_out],
        "licences": licences,
    }


def data_hash(solids: Sequence[Solid]) -> str:
    """Return the SHA-256 of all shapes' ids and surfaces."""
    digest = hashlib.sha256(canonical([solid.id for solid in solids]).encode())
    for solid in solids:
        digest.update(solid.mesh.vertices_nm.astype("<f4").tobytes())
    return digest.hexdigest()


@torch.no_grad()
def overlaps(network: Any, data: ShapeDataset, device: str = "cpu") -> list[float]:
    """Return the intersection over union of each shape with its reconstruction, at places of its box."""
    network.eval()
    places = lattice(SCORED_LATTICE)
    asked = torch.from_numpy(places.astype(np.float32))[None].to(device)
    found = []
    for number in range(len(data)):
        item = {name: value.to(device) for name, value in stacked([data[number]]).items()}
        true = data.target(number).distance_nm(places) < 0
        made = _distance(network, item, asked)[0].cpu().numpy() < 0
        found.append(float((true & made).sum() / (true | made).sum()))
    network.train()
    return found


def _distance(network: Any, item: Batch, places: Tensor) -> Tensor:
    mean, _ = network.encode(item)
    distance: Tensor = network.distance(network.features(mean, item["edges"]), places, item["edges"])
    return distance
