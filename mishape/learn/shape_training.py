"""Training of models of shapes: which shapes, in which order, and how well they are reconstructed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mishape.engine.files import canonical
from mishape.learn.batches import Drawn
from mishape.learn.dealing import about, data_hash, dealt
from mishape.learn.networks import new, plain
from mishape.learn.origins import Origin
from mishape.learn.plan import LearnPlan
from mishape.learn.processes import training_in
from mishape.learn.reconstruction import score
from mishape.learn.shape_data import ShapeDataset
from mishape.learn.train import WEIGHTS, Report, Trainer, TrainingError


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
        If there are too few shapes, or a fold is not there.
    MishapeError
        If there is no such device.
    TrainingError
        If the loss is no number any more, or the folder holds another training.
    """
    shapes = dealt(plan, origins)
    shown = [*shapes.learned, *shapes.made]
    data = ShapeDataset(shown, plan.model.sampling(plan.training.points), plan.shapes.augmentation, plan.seed)
    said = {**about(plan, origins, shapes), "model": plain(plan.model), "kind": "autoencoder"}
    with training_in(folder, device) as (processes, own_device):
        scored = ShapeDataset(shapes.watched, data.sampling)
        validate = (lambda network: score(network, scored, own_device)) if shapes.watched else None
        if plan.training.batch < processes.count:
            raise TrainingError(f"batch is {plan.training.batch}: {processes.count} processes need a shape each")
        drawn = Drawn(data, plan.training.batch, processes.rank, processes.count)
        network = new(plan.seed, plan.model.network)
        seen = data_hash((solid.id, solid.mesh) for solid in (*shown, *shapes.watched))
        identity = canonical(json.loads(plan.model_dump_json(exclude={"prior"})) | {"data": seen})
        steps = plan.training, plan.seed, identity, folder
        Trainer(network, *steps, drawn, validate, said, own_device, processes).run(report)
        if plan.prior is None or not processes.is_first:
            return folder / WEIGHTS
        from mishape.learn.prior_training import train_prior

        return train_prior(plan, plan.prior, data, folder, said, own_device, report)
