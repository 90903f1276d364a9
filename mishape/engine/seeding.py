"""The only place where a random generator is made.

Every random decision has a stream of its own, keyed by (seed, sample number, stage, path), so that adding one
decision changes no other, and neither the order of work nor the number of workers can matter.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2b

import numpy as np


class Stage(IntEnum):
    """What a stream is for. The numbers are part of every dataset's bytes: append, never renumber."""

    SPLIT = 0
    DRAW = 1
    SHAPE = 2
    POSE = 3
    LABEL = 4
    NOISE = 5
    TRUTH = 6
    CAMERA = 7


def stream(seed: int, number: int, stage: Stage, path: str = "") -> np.random.Generator:
    """Return the generator of one random decision.

    Parameters
    ----------
    seed
        The spec's seed, any integer >= 0 (0 is a seed like any other).
    number
        The sample's number, or the group's where a decision is shared by ``repeat_each`` samples.
    stage
        What the stream is for.
    path
        Which decision of that stage, for example ``objects.0.pose``.
    """
    digest = int.from_bytes(blake2b(path.encode(), digest_size=16).digest(), "little")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, int(stage), digest)))
