"""How far labelled pictures of another microscope bring a network that learned from simulations of this one.

The target is a simulator with other parameters, and called that: other optics, pixels, labels, camera and shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import mishape
from benchmarks.results import markdown
from benchmarks.segmentation.models import learned, masks, plan
from benchmarks.segmentation.scores import Scores, interval, kept_scores
from benchmarks.segmentation.sets import Sets, pairs_of
from mishape.engine.dataset import Dataset
from mishape.learn.batches import Drawn, Varied
from mishape.learn.crops import CropDataset
from mishape.learn.image_plan import ImagePlan
from mishape.learn.networks import new, plain
from mishape.learn.pairs import DatasetPairs, Pair, Pairs
from mishape.learn.segmenting import Network, load_network
from mishape.learn.train import WEIGHTS, Trainer

LABELLED = (5, 20, 80, 320)
SEEDS = (1, 2, 3)
ROWS = ("target only", "pretrain + TL", "mixed")
TARGET_NM = 109.0
SHARE = 10
"""Steps of every row: those of the pretraining over this."""


def target(library: str, count: int, seed: int) -> dict[str, Any]:
    """Return the scene of the differently parameterised simulator."""
    tube = {"kind": "tube", "length_nm": {"$loguniform": [600, 4000]}, "radius_nm": {"$uniform": [120, 320]}}
    real = {"kind": "em_mesh", "library": library}
    label = {"kind": "volume", "density_per_um3": 3000}
    pose = {"rotation": "uniform", "scatter_nm": [8000, 8000, 500], "scale": 1.6}
    return {
        "mishape": 1,
        "seed": seed,
        "samples": count,
        "objects": [
            {"count": 2, "shape": tube, "pose": {**pose, "scale": 1.0}, "labeler": label},
            {"count": 2, "shape": real, "pose": pose, "labeler": label},
        ],
        "views": {
            "epi1": {
                "grid": {"shape": [1, 128, 128], "pixel_nm": TARGET_NM},
                "microscope": {"kind": "epi", "preset": "epi1"},
                "noise": {"kind": "poisson", "background": 30, "sbr": {"$uniform": [1, 3]}},
            }
        },
        "truths": {"masks_2d": {"definition": "blur"}},
        "dataset": {"shard_size": 80},
    }


def lines(sets: Sets, runs: Path) -> list[str]:
    """Return the table."""
    labelled = [count for count in LABELLED if count <= sets.sizes.train]
    pictures = _generated(sets, "target-train", target(sets.shapes.train, max(labelled), 31))
    tested = pairs_of(_generated(sets, "target-test", target(sets.shapes.test, 2 * sets.sizes.test, 32)))
    steps, rng = max(1, sets.sizes.steps // SHARE), np.random.default_rng(3)
    rows = []
    for count in labelled:
        for row in ROWS:
            trials = [Trial(sets, runs, row, count, seed, steps) for seed in SEEDS]
            scores = [kept_scores(one.file, partial(one.scores, pictures, tested)) for one in trials]
            each = np.mean([one.dice for one in scores], axis=0)
            low, high = interval(each, rng)
            seeds = ", ".join(f"{one.dice.mean():.3f}" for one in scores)
            rows.append([str(count), row, f"{each.mean():.3f}", f"{low:.3f} to {high:.3f}", seeds])
    heads = ["labelled pictures", "", "Dice, mean of seeds", "95 % of its mean over pictures", "seeds"]
    return ["## Transfer to a differently parameterised simulator", "", ABOUT.format(steps), "", *markdown(heads, rows)]


ABOUT = (
    "The target: epi1, pixels of 109 nm, labels in the volume, tubes and larger EM shapes, background 30, SBR 1 to 3, "
    "masks by `blur`. `target only` starts from nothing, `pretrain + TL` from the network that learned from EM shapes, "
    "`mixed` from nothing with half of each batch from those simulations; {} steps each."
)


def _generated(sets: Sets, name: str, document: dict[str, Any]) -> Dataset:
    return mishape.generate(mishape.load_spec(document), sets.folder / name, workers=sets.sizes.workers)


class _Mixed:
    """Crops of the target in even places, and of the simulations in odd ones."""

    def __init__(self, target: CropDataset, simulated: CropDataset) -> None:
        self.parts, self.seed = (target, simulated), target.seed

    def __len__(self) -> int:
        return 2 * max(map(len, self.parts))

    def item(self, number: int, draw: int) -> dict[str, Any]:
        part = self.parts[number % 2]
        return part.item(number // 2 % len(part), draw)


class _First:
    """The first pairs of a set."""

    def __init__(self, pairs: DatasetPairs, count: int) -> None:
        self.pairs, self.count = pairs, count

    def __len__(self) -> int:
        return min(self.count, len(self.pairs))

    def __getitem__(self, number: int) -> Pair:
        return self.pairs[number]


@dataclass(frozen=True)
class Trial:
    """One training for the target."""

    sets: Sets
    runs: Path
    row: str
    count: int
    seed: int
    steps: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"TL-{self.row}-{self.count}-{self.seed}"

    @property
    def file(self) -> Path:
        """Of its scores."""
        return self.runs / "scores" / f"{self.name}.json"

    def scores(self, pictures: Dataset, tested: Sequence[Pair]) -> Scores:
        """Train, and return the scores of what is found."""
        asked = ImagePlan.model_validate(plan(["target"], self.steps, self.seed))
        network = new(self.seed, asked.model.network)
        if self.row == "pretrain + TL":
            network.load_state_dict(self._pretrained().network.state_dict())
        folder = self.runs / "networks" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        about = {"kind": "segmenter", "model": plain(asked.model), "pixel_nm": [TARGET_NM, TARGET_NM]}
        drawn = Drawn(self._data(asked, pictures), asked.training.batch)
        Trainer(network, asked.training, self.seed, self.name, folder, drawn, None, about).run()
        return Scores.of(masks(load_network(folder / WEIGHTS, 0), tested, TARGET_NM), tested)

    def _pretrained(self) -> Network:
        return learned(self.sets, self.runs, "em", "blur")

    def _data(self, asked: ImagePlan, pictures: Dataset) -> Varied:
        def crops(pairs: Pairs) -> CropDataset:
            given = asked.images
            return CropDataset(pairs, given.crop_px, given.augmentation, given.foreground, self.seed)

        found = crops(_First(DatasetPairs(pictures), self.count))
        if self.row != "mixed":
            return found
        (simulations,) = self.sets.training("em", "blur")
        return _Mixed(found, crops(DatasetPairs(simulations)))
