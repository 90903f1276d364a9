"""Training of the distribution of shapes: of the numbers that a trained model makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mishape.engine.files import canonical
from mishape.engine.seeding import Stage, stream
from mishape.learn.augment import Augmentation
from mishape.learn.batches import stacked
from mishape.learn.networks import new, on_device, plain
from mishape.learn.plan import LearnPlan, PriorPlan
from mishape.learn.shape_data import ShapeDataset
from mishape.learn.tensors import read_tensors, write_tensors
from mishape.learn.train import WEIGHTS, Batch, Report, Trainer

PRIOR = "prior.safetensors"


def train_prior(
    plan: LearnPlan,
    prior: PriorPlan,
    data: ShapeDataset,
    folder: Path,
    said: dict[str, Any],
    device: str,
    report: Report,
) -> Path:
    """Learn the distribution of what the trained model makes of whole shapes, and write both into one file."""
    autoencoder = new(plan.seed, plan.model.network)
    weights, kept = read_tensors(folder / WEIGHTS)
    autoencoder.load_state_dict(weights)
    solids = [solid for solid in data.solids if solid.is_whole]
    whole = ShapeDataset(solids, data.sampling, as_found(plan.shapes.augmentation), data.seed)
    rows, chances = encoded(autoencoder.to(device).eval(), whole, prior.variations, device)
    network = new(plan.seed, lambda: prior.model.network(rows.shape[1]))
    network.mean.copy_(rows.mean(0))
    network.spread.copy_(rows.std(0).clamp(min=1e-6))

    def batch_of(step: int) -> Batch:
        rng = stream(plan.seed, step, Stage.SPLIT, "learn.prior")
        return {"numbers": rows[rng.choice(len(rows), prior.training.batch, p=chances)]}

    place = folder / "prior"
    place.mkdir(exist_ok=True)
    identity = canonical(json.loads(plan.model_dump_json()) | {"data": said["data_sha256"]})
    of = {**said, "kind": "distribution"}
    Trainer(network, prior.training, plan.seed, identity, place, batch_of, None, of, device).run(report)
    flow, _ = read_tensors(place / WEIGHTS)
    parts = {"autoencoder": weights, "distribution": flow}
    tensors = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    write_tensors(folder / PRIOR, tensors, {**kept, "kind": "prior", "distribution": plain(prior.model)})
    return folder / PRIOR


def as_found(augmentation: Augmentation) -> Augmentation:
    """Return variations by which a shape is still one of the kind that was found: of its size and thickness."""
    return augmentation.model_copy(update={"scale": (1.0, 1.0), "warp": 0.0, "jitter_nm": 0.0})


@torch.no_grad()
def encoded(
    network: Any, data: ShapeDataset, variations: int, device: str = "cpu"
) -> tuple[Tensor, NDArray[np.float64]]:
    """Return the numbers of varied shapes, one row each, and how often each is to be drawn.

    A row holds the means of the latent numbers and the logarithms of the box's three edges in nm, so that size belongs
    to shape. Long shapes count for more, as they are seldom whole in a small volume.
    """
    rows, chances = [], []
    for draw in range(variations):
        batch = on_device(stacked([data.item(number, draw) for number in range(len(data))]), device)
        mean, _ = network.encode(batch)
        sizes = (batch["edges"] * batch["scale_nm"][:, None]).log()
        rows.append(torch.cat([mean, sizes], dim=1).cpu())
        chances.append(batch["weight"].double().cpu().numpy())
    weights = np.concatenate(chances)
    return torch.cat(rows), weights / weights.sum()
