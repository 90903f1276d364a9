"""Several processes that train one network, as ``torchrun`` starts them; one alone needs nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed
from torch.nn import Parameter

from mishape.engine.devices import find_device
from mishape.engine.errors import MishapeError
from mishape.engine.files import disk_errors
from mishape.engine.lock import locked


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this one writes the files."""
        return self.rank == 0

    def average(self, parameters: Iterable[Parameter]) -> None:
        """Replace each gradient by its mean over all processes."""
        if self.count > 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    distributed.all_reduce(parameter.grad)
                    parameter.grad /= self.count


@contextmanager
def training_in(folder: Path, device: str) -> Iterator[tuple[Processes, str]]:
    """Hold a training's folder, and join the processes that ``torchrun`` started; gives this one's place and device.

    Raises
    ------
    MishapeError
        If there is no such device, another training holds the folder, or nothing can be written there.
    """
    _check(device)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with joined(device) as (processes, own_device), locked(folder) if processes.is_first else nullcontext():
        yield processes, own_device


@contextmanager
def joined(device: str) -> Iterator[tuple[Processes, str]]:
    """Join the processes that ``torchrun`` started, if it did; gives this one's place and device."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(), device
        return
    rank = int(os.environ["RANK"])
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Processes(rank, count), device
    finally:
        distributed.destroy_process_group()


def _check(device: str) -> None:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise MishapeError(f"device {device!r}: expected cpu, cuda or cuda:N")
    find_device(f"torch:{device}")
