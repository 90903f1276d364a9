"""New networks, and those of files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def new(seed: int, make: Callable[[], Any]) -> Any:
    """Return a network with weights drawn by a seed, and torch's own generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def plain(component: Any) -> Any:
    """Return a component's parameters, defaults too: what they are in another version does not matter then."""
    return component.model_dump(mode="json")
