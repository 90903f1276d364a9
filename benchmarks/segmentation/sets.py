"""Training and test sets by recipe: shapes of several origins under one microscope, and pictures of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

import mishape
from mishape.engine.dataset import Dataset
from mishape.learn.folder_pairs import FolderPairs
from mishape.learn.pairs import DatasetPairs, Pair

SCENES = Path(__file__).parents[1] / "scenes"
DEFINITIONS = ("projection", "blur")
SBRS = (2.0, 4.0)
ORIGINS = ("em", "tubes", "tube-matched", "prior")
MIXTURE = "mixture"
THEIRS = "emitters"
"""The definition of masks that Sekh et al. have; sets of it have noise as theirs too."""
PIXEL_NM = 80.0
"""Of all sets; assumed for the pictures of Sekh et al., which do not say theirs: with the 42 nm of their script, their
blur and their tubes of 200 to 600 nm would be twice as many pixels wide as they look."""
GROWN = {"$loguniform": [0.8, 2.0]}
"""Factor on the size of all shapes but those of sekh2021, which are 200 to 600 nm thick where found ones are 290: form
is compared, not thickness. A network that learned thin shapes alone takes the dark middle of a thick one for a hole."""
LEARNED, TESTED = {"train": 0.9, "val": 0.1}, {"test": 1.0}
"""Splits of sets: what may be watched while it is learned from the others, and what is tested with."""


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Parameters
    ----------
    train, test
        Pictures in a training set, and in a test set of one signal-to-background ratio.
    networks
        Large fields of networks.
    steps
        Of a training.
    method_steps
        Of a training of another method's network.
    slow
        Pictures at most for methods that take seconds for each.
    workers
        Processes that make sets.
    """

    train: int = 400
    test: int = 40
    networks: int = 4
    steps: int = 4000
    method_steps: int = 1000
    slow: int = 20
    workers: int = 2


QUICK = Sizes(train=8, test=2, networks=0, steps=4, method_steps=4, slow=1, workers=1)


@dataclass(frozen=True)
class Shapes:
    """Where shapes come from: whole mitochondria to learn from, and others to test with.

    Parameters
    ----------
    train, test
        Folders of libraries.
    prior
        Weights that were learned without any of the second; a name or a file.
    """

    train: str
    test: str
    prior: str = "urocell"

    def source(self, origin: str, library: str) -> dict[str, Any]:
        """Return a scene's shape of an origin."""
        return {
            "em": {"kind": "em_mesh", "library": library},
            "tubes": {"kind": "tube", "preset": "sekh2021"},
            "tube-matched": {"kind": "tube", "match": library},
            "prior": {"kind": "mishape", "weights": self.prior},
        }[origin]


@dataclass(frozen=True)
class Sets:
    """Sets in a folder, made as they are asked for; those that are there are not made again.

    Parameters
    ----------
    folder
        Where they are.
    shapes
        What they show.
    sizes
        How many pictures they have.
    """

    folder: Path
    shapes: Shapes
    sizes: Sizes

    def training(self, origin: str, definition: str) -> list[Dataset]:
        """Return the training set of an origin, as many pictures of each; of the mixture a fourth of each origin."""
        parts = ORIGINS if origin == MIXTURE else (origin,)
        count = self.sizes.train // len(parts)
        return [
            self._made(f"train-{origin}-{part}-{definition}", definition, count, 11 + number, part)
            for number, part in enumerate(parts)
        ]

    def tested(self, origin: str, definition: str, sbr: float) -> list[Pair]:
        """Return the test set of an origin at one signal-to-background ratio."""
        name = f"test-{origin}-{definition}-{sbr:g}"
        seed = 1000 + ORIGINS.index(origin)
        return pairs_of(self._made(name, definition, self.sizes.test, seed, origin, sbr))

    def networks(self, definition: str) -> list[Pair]:
        """Return large fields of long and branched mitochondria."""
        if not self.sizes.networks:
            return []
        document = yaml.safe_load((SCENES / "mitonetwork.yaml").read_text(encoding="utf-8"))
        document["objects"][1]["shape"]["library"] = self.shapes.test
        changes = {"samples": self.sizes.networks, "truths": {"masks_2d": {"definition": definition}}}
        return pairs_of(self._generated(f"test-networks-{definition}", {**document, **changes}, TESTED))

    def _made(
        self, name: str, definition: str, count: int, seed: int, origin: str, sbr: float | None = None
    ) -> Dataset:
        document = yaml.safe_load((SCENES / "mitoseg.yaml").read_text(encoding="utf-8"))
        library = self.shapes.train if sbr is None else self.shapes.test
        thing = document["objects"][0]
        thing["shape"] = self.shapes.source(origin, library)
        if origin != "tubes":
            thing["pose"]["scale"] = GROWN
        if definition == THEIRS:
            document = _as_theirs(document)
        if sbr is not None:
            document["views"]["epi2"]["noise"]["sbr"] = sbr
        document |= {"samples": count, "seed": seed, "truths": {"masks_2d": {"definition": definition}}}
        return self._generated(name, document, LEARNED if sbr is None else TESTED)

    def _generated(self, name: str, document: dict[str, Any], splits: dict[str, float]) -> Dataset:
        spec = mishape.load_spec({**document, "dataset": {"shard_size": 50, "splits": splits}})
        return mishape.generate(spec, self.folder / name, workers=self.sizes.workers)


def _as_theirs(document: dict[str, Any]) -> dict[str, Any]:
    """Return a scene with labels as dense as those of Sekh et al., and a range of noise round theirs.

    Theirs have about 4 counts of background and 200 to 240 at the brightest pixel.
    """
    thing, view = document["objects"][0], document["views"]["epi2"]
    labeler = thing["labeler"] | {"density_per_um2": 2000}
    noise = {"kind": "poisson", "background": {"$loguniform": [3, 100]}, "sbr": {"$loguniform": [2, 80]}}
    return document | {"objects": [thing | {"labeler": labeler}], "views": {"epi2": view | {"noise": noise}}}


def pairs_of(dataset: Dataset) -> list[Pair]:
    """Return all pairs of a dataset."""
    found = DatasetPairs(dataset)
    return [found[number] for number in range(len(found))]


def simulated(data: Path, count: int | None = None) -> list[Pair]:
    """Return pairs that Sekh et al. simulated, evenly along all."""
    return _evenly(FolderPairs(data / "physeg_sim/physeg_sim_pairs.zip", PIXEL_NM), count)


def annotated(place: Path, pixel_nm: float, part: str | None, subset: bool) -> list[Pair]:
    """Return the pairs that Sekh et al. annotated by hand (Zenodo record 5017066), of a folder or zip that has them.

    The subset stands for that of the MiShape paper's Table S2, which leaves out of 144 pictures those with very small
    masks, on which one method failed, and scores 107: here that share of those with the largest masks.
    """
    every = _evenly(FolderPairs(place, pixel_nm, part), None)
    if not subset:
        return every
    kept = sorted(every, key=lambda pair: -int(pair.mask.sum()))[: max(1, round(len(every) * 107 / 144))]
    names = {pair.name for pair in kept}
    return [pair for pair in every if pair.name in names]


def _evenly(pairs: FolderPairs, count: int | None) -> list[Pair]:
    step = 1 if count is None else max(1, len(pairs) // count)
    return [pairs[number] for number in range(0, len(pairs), step)][:count]


def fields(pairs: Sequence[Pair], edge: int = 128) -> list[Pair]:
    """Return the fields of montages, each a pair of its own."""
    return [
        replace(pair, name=f"{pair.name}.{row}.{column}", picture=pair.picture[cut], mask=pair.mask[cut])
        for pair in pairs
        for row in range(0, pair.mask.shape[0], edge)
        for column in range(0, pair.mask.shape[1], edge)
        if (cut := (slice(row, row + edge), slice(column, column + edge)))
    ]
