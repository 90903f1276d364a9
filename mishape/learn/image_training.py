"""Training of models that segment pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mishape.engine.dataset import Dataset
from mishape.engine.files import canonical
from mishape.learn.batches import Drawn
from mishape.learn.crops import CropDataset
from mishape.learn.image_plan import ImagePlan
from mishape.learn.networks import new, plain
from mishape.learn.overlap import dice
from mishape.learn.pairs import DatasetPairs, Pair, Together
from mishape.learn.processes import training_in
from mishape.learn.segmenting import Network
from mishape.learn.train import WEIGHTS, Report, Trainer, TrainingError

KIND = "segmenter"


def train_pictures(
    plan: ImagePlan, datasets: Sequence[Dataset], folder: Path, device: str = "cpu", report: Report = lambda *_: None
) -> Path:
    """Train a model that segments pictures, or go on with it.

    Returns
    -------
    Path
        The file of the weights.

    Raises
    ------
    DatasetError
        If a view, truth or split is not there.
    MishapeError
        If there is no such device.
    TrainingError
        If the loss is no number any more, or the folder holds another training.
    """
    asked = plan.images
    learned = _pairs(plan, datasets, asked.train)
    watched = _chosen(_pairs(plan, datasets, asked.validation), asked.validated) if asked.validation else []
    data = CropDataset(Together(learned), asked.crop_px, asked.augmentation, asked.foreground, plan.seed)
    said = about(plan, datasets, learned)
    with training_in(folder, device) as (processes, own_device):
        if plan.training.batch < processes.count:
            raise TrainingError(f"batch is {plan.training.batch}: {processes.count} processes need a crop each")

        def validate(network: Any) -> float:
            reader = Network(network, plan.model.step_px, said["pixel_nm"], own_device)
            return float(np.mean([dice(reader.chances(pair.picture) > 0.5, pair.mask) for pair in watched]))

        drawn = Drawn(data, plan.training.batch, processes.rank, processes.count)
        identity = canonical(json.loads(plan.model_dump_json()) | {"data": said["data_sha256"]})
        steps = plan.training, plan.seed, identity, folder
        network = new(plan.seed, plan.model.network)
        Trainer(network, *steps, drawn, validate if watched else None, said, own_device, processes).run(report)
        return folder / WEIGHTS


def _pairs(plan: ImagePlan, datasets: Sequence[Dataset], splits: Sequence[str]) -> list[DatasetPairs]:
    return [DatasetPairs(dataset, splits, plan.images.view, plan.images.masks) for dataset in datasets]


def _chosen(parts: Sequence[DatasetPairs], count: int) -> list[Pair]:
    """Return so many pairs, evenly along all."""
    pairs = Together(parts)
    return [pairs[number] for number in np.unique(np.linspace(0, len(pairs) - 1, count).astype(int)).tolist()]


def about(plan: ImagePlan, datasets: Sequence[Dataset], learned: Sequence[DatasetPairs]) -> dict[str, Any]:
    """Return what weights say of the pictures that they were learned from."""
    sizes, scale = [part.pixel_nm for part in learned], plan.images.augmentation.scale
    licences = {thing["licence"] for one in datasets for record in one.records() for thing in record["objects"]}
    seals = [one.shard(number).seal.model_dump_json() for one in datasets for number in range(one.manifest.shards)]
    return {
        "kind": KIND,
        "model": plain(plan.model),
        "pixel_nm": [min(sizes) / scale, max(sizes) * scale],
        "datasets": [one.folder.resolve().name for one in datasets],
        "data_sha256": hashlib.sha256(canonical(seals).encode()).hexdigest(),
        "pictures": sum(map(len, learned)),
        "truth": plan.images.masks,
        "truths": [one.manifest.spec.get("truths", {}) for one in datasets],
        "licences": sorted(licence for licence in licences if licence),
    }
