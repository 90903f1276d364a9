"""What is done with any network: new weights, batches on its device, distances at many places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mishape.engine.types import Points

AT_ONCE = 1 << 16
"""Places that a network is asked at once."""


def new(seed: int, make: Callable[[], Any]) -> Any:
    """Return a network with weights drawn by a seed, and torch's own generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def plain(component: Any) -> Any:
    """Return a component's parameters, defaults too: what they are in another version does not matter then."""
    return component.model_dump(mode="json")


def on_device(batch: dict[str, Tensor], device: Any) -> dict[str, Tensor]:
    """Return a batch's tensors on a device."""
    return {name: value.to(device) for name, value in batch.items()}


def distances_at(network: Any, features: Tensor, edges: Tensor, places: Points) -> NDArray[np.float32]:
    """Return what a network tells of (n, 3) places of one box: distances, (n,) in units of its longest edge.

    `features` are the network's own, and `edges`, (1, 3), the box's; places are asked in parts, to spare memory.
    """
    asked = torch.from_numpy(places.astype(np.float32))[None].to(edges.device)
    starts = range(0, len(places), AT_ONCE)
    found = [network.distance(features, asked[:, start : start + AT_ONCE], edges)[0] for start in starts]
    return np.asarray(torch.cat(found).cpu().numpy())


@contextmanager
def telling(network: Any) -> Iterator[None]:
    """Let a network, in training or not, tell what it knows by now: layers that act otherwise in training do not."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work with one thread: the number of threads changes the last bits of sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
