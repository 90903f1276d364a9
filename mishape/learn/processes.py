"""Several processes that train one network, as ``torchrun`` starts them; one alone needs nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed
from torch.nn import Parameter

from mishape.engine.devices import find_device
from mishape.engine.errors import MishapeError


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
def joined(device: str) -> Iterator[tuple[Processes, str]]:
    """Join the processes that ``torchrun`` started, if it did; gives this one's place and device.

    Raises
    ------
    MishapeError
        If there is no such device.
    """
    _check(device)
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
