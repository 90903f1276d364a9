"""One shard: a finished folder of samples, a pure function of the spec and its number."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mishape.engine import hooks
from mishape.engine.arrays import is_out_of_memory
from mishape.engine.devices import find_device
from mishape.engine.errors import MishapeError, PluginError
from mishape.engine.execute import one_thread
from mishape.engine.files import disk_errors, whole_folder
from mishape.engine.licences import refuse_non_commercial
from mishape.engine.manifest import Manifest
from mishape.engine.scene import Scene
from mishape.engine.shard_files import shard_folder
from mishape.engine.shard_writing import Hole, ShardWriter
from mishape.engine.simulate import simulate_many
from mishape.engine.sources import copies_in
from mishape.engine.spec import Spec
from mishape.engine.types import Sample
from mishape.engine.versions import check_maker

T = TypeVar("T")
GO_ON = "To go on without the samples that fail: --skip-errors"
BATCH_SAMPLES = 64
"""Samples that a GPU works on together, at most: the host holds them all, with their truths."""
BATCH_PIXELS = 1 << 24
"""... and pixels of all their views."""


@dataclass(frozen=True)
class Made:
    """What comes back from making a shard.

    Parameters
    ----------
    samples
        How many samples it holds.
    failures
        Hook plugins that failed at one of them, and why they did so first: a worker's own ledger is lost with it.
    """

    samples: int
    failures: dict[str, str]


@dataclass(frozen=True)
class ShardJob:
    """Makes one shard: call it with the shard's number, in any process.

    Parameters
    ----------
    device
        Where images are computed.
    may_fail
        Samples that are left out if they fail, where else the first that does ends the run.
    commercial_ok
        Fail at samples of shapes that may not be used commercially.
    copies
        Folder of the copies that stand in for finite sources.
    """

    spec: Spec
    folder: Path
    manifest: Manifest
    device: str = "cpu"
    may_fail: Container[int] = ()
    commercial_ok: bool = False
    copies: Path | None = None

    def __call__(self, shard: int) -> Made:
        """Write the shard, with one BLAS thread whoever the executor is."""
        find_device(self.device)  # what it loads must be there to be limited
        return one_thread(self._make, shard)

    def _make(self, shard: int) -> Made:
        check_maker(self.manifest)
        numbers = self.manifest.shard_samples(shard)
        target = shard_folder(self.folder, shard)
        failures: dict[str, str] = {}
        with ExitStack() as stack:
            stack.enter_context(disk_errors(target))
            if self.copies is not None:
                stack.enter_context(copies_in(self.copies))
            part = stack.enter_context(whole_folder(target, replace=True))
            identity = f"{self.manifest.spec_hash}/{self.manifest.shard_size}/{shard}"
            writer = ShardWriter(part, identity, len(numbers), stack.enter_context(ExitStack()))
            for row, sample in enumerate(self._samples(numbers)):
                if isinstance(sample, Hole):
                    writer.leave_out(sample)
                    continue
                failures = {**hooks.call("mishape_sample_done", sample=sample), **failures}
                writer.add(row, sample)
            writer.finish()
        return Made(len(numbers), failures)

    def _samples(self, numbers: range) -> Iterator[Sample | Hole]:
        """Make the samples in their order, as many at a time as the device is quicker with."""
        scenes, step = self.spec.scenes(numbers), self._batch_size()
        for first in range(0, len(numbers), step):
            made: dict[int, Sample | Hole] = {}
            batch = []
            for number in numbers[first : first + step]:
                drawn = self._tried(number, lambda: next(scenes))
                if isinstance(drawn, Hole):
                    made[number] = drawn
                else:
                    batch.append(drawn)
            made.update(zip((scene.sample for scene in batch), self._together(batch), strict=True))
            yield from (made[number] for number in sorted(made))

    def _batch_size(self) -> int:
        if not find_device(self.device).is_gpu:
            return 1
        views = self.manifest.views.values()
        pixels: int = sum(math.prod(view["grid"]["shape"]) * math.prod(view["montage"]) for view in views)
        return max(1, min(BATCH_SAMPLES, BATCH_PIXELS // pixels))

    def _together(self, scenes: Sequence[Scene]) -> list[Sample | Hole]:
        """Make a batch; one that fails is halved until the sample that fails is alone, and can be named."""
        if not scenes:
            return []
        if len(scenes) == 1:
            return [self._tried(scenes[0].sample, lambda: self._simulated(scenes)[0])]
        try:
            return [*self._simulated(scenes)]
        except Exception:
            half = len(scenes) // 2
            return [*self._together(scenes[:half]), *self._together(scenes[half:])]

    def _simulated(self, scenes: Sequence[Scene]) -> list[Sample]:
        samples = simulate_many(scenes, describe=False, device=self.device)
        if self.commercial_ok:
            for sample in samples:
                refuse_non_commercial(sample.sources.values())
        return samples

    def _tried(self, number: int, make: Callable[[], T]) -> T | Hole:
        """Make what belongs to a sample, or leave the sample out, if that was asked for."""
        try:
            with self._named(number):
                return make()
        except MishapeError as error:
            if number not in self.may_fail or _is_of_the_machine(error):
                raise
            # Places in memory differ from run to run.
            return Hole(number, re.sub(r"0x[0-9a-fA-F]+", "0x...", str(error)))

    @contextmanager
    def _named(self, number: int) -> Iterator[None]:
        """Say of every error which sample it was."""
        option = "" if self.device == "cpu" else f" --device {self.device}"
        alone = f"mishape render SCENE --sample {number}{option}"
        try:
            yield
        except MishapeError as error:
            error.add_note(f"This was sample {number}; to see it alone: {alone}")
            error.add_note(GO_ON)
            raise
        except Exception as error:  # a stranger's component may fail in any way
            failed = PluginError(f"sample {number} failed: {type(error).__name__}: {error}. To see it alone: {alone}")
            failed.add_note(GO_ON)
            raise failed from error


def _is_of_the_machine(error: BaseException | None) -> bool:
    """Tell whether an error comes of files, the disk or memory: no fault of the sample's."""
    while error is not None:
        if isinstance(error, OSError | MemoryError) or (isinstance(error, Exception) and is_out_of_memory(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
