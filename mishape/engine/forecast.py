"""What a dataset will take, measured on a few of its samples."""

from __future__ import annotations

import math
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from mishape.engine.devices import find_device
from mishape.engine.execute import one_thread
from mishape.engine.manifest import manifest_of
from mishape.engine.shard import ShardJob
from mishape.engine.shard_files import shard_folder
from mishape.engine.simulate import simulate
from mishape.engine.spec import Spec

TRIAL_S = 4.0
"""How long samples are made for a forecast, about."""
MOST_SAMPLES = 64


@dataclass(frozen=True)
class Forecast:
    """What a dataset will take.

    Parameters
    ----------
    samples
        How many it has.
    set_up_s
        Time of each worker until its first sample is made.
    sample_s
        Time of each sample from then on, by one worker.
    sample_bytes
        Size of each sample on disk.
    tried
        On how many samples these were measured.
    """

    samples: int
    set_up_s: float
    sample_s: float
    sample_bytes: float
    tried: int

    def seconds(self, workers: int) -> float:
        """Return how long so many workers take, as far as this machine's processors let them work at a time."""
        at_once = max(1, min(workers, os.cpu_count() or 1))
        return self.set_up_s + self.samples * self.sample_s / at_once

    @property
    def bytes(self) -> float:
        """Size of the dataset on disk, but for the copies of libraries."""
        return self.samples * self.sample_bytes


def forecast(spec: Spec, device: str = "cpu") -> Forecast:
    """Make a few samples in a temporary folder, and say from them what a whole dataset will take.

    Raises
    ------
    MishapeError
        If a sample cannot be made.
    """
    begun = time.perf_counter()
    one_thread(lambda n: simulate(spec.scene(n), describe=False, device=device), 0)
    first_s = time.perf_counter() - begun
    begun = time.perf_counter()
    last = min(1, spec.samples - 1)
    one_thread(lambda n: simulate(spec.scene(n), describe=False, device=device), last)
    again_s = time.perf_counter() - begun
    count = max(1, min(spec.samples, MOST_SAMPLES, math.ceil(TRIAL_S / again_s)))
    trial = spec.with_values(samples=count, shard_size=count)
    with tempfile.TemporaryDirectory() as scratch:
        job = ShardJob(trial, Path(scratch), manifest_of(trial, find_device(device)), device)
        begun = time.perf_counter()
        job(0)
        made_s = time.perf_counter() - begun
        size = sum(path.stat().st_size for path in shard_folder(Path(scratch), 0).rglob("*") if path.is_file())
    return Forecast(spec.samples, max(first_s - again_s, 0.0), made_s / count, size / count, count)
