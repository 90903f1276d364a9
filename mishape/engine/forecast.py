"""What a dataset will take, measured on a few of its samples."""

from __future__ import annotations

import math
import os
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mishape.engine.devices import find_device
from mishape.engine.licences import refuse_sources
from mishape.engine.manifest import manifest_of
from mishape.engine.shard import ShardJob
from mishape.engine.shard_files import shard_folder
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


def forecast(spec: Spec, device: str = "cpu", skip_errors: bool = False, commercial_ok: bool = False) -> Forecast:
    """Make a few samples in a temporary folder, and say from them what a whole dataset will take.

    Parameters
    ----------
    device, skip_errors, commercial_ok
        As for `generate`.

    Raises
    ------
    MishapeError
        If a sample cannot be made, or a shape may not be used.
    """
    if commercial_ok:
        refuse_sources(spec.shape_sources())
    made = partial(_made, spec, device, skip_errors, commercial_ok)
    first_s, _ = made(1, 0)
    again_s, _ = made(1, min(1, spec.samples - 1))
    count = max(1, min(spec.samples, MOST_SAMPLES, math.ceil(TRIAL_S / again_s)))
    made_s, size = made(count, 0)
    return Forecast(spec.samples, max(first_s - again_s, 0.0), made_s / count, size / count, count)


def _made(spec: Spec, device: str, skip_errors: bool, commercial_ok: bool, size: int, shard: int) -> tuple[float, int]:
    """Return the seconds that a shard of so many samples took, and its bytes."""
    trial = spec.with_values(samples=size * (shard + 1), shard_size=size)
    may_fail = range(trial.samples if skip_errors else 0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        job = ShardJob(trial, folder, manifest_of(trial, find_device(device)), device, may_fail, commercial_ok)
        begun = time.perf_counter()
        job(shard)
        took_s = time.perf_counter() - begun
        return took_s, sum(path.stat().st_size for path in shard_folder(folder, shard).rglob("*") if path.is_file())
