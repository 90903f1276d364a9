"""Networks as files of weights hold them: a component's parameters, and tensors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from mishape.engine import registry
from mishape.engine.errors import PluginError
from mishape.learn.tensors import WeightsError


def component(plan: dict[str, Any]) -> Any:
    """Return the model of a file's parameters."""
    return registry.load("models", plan["kind"])(**plan)


def filled(network: Any, weights: dict[str, Tensor]) -> Any:
    """Return a network with weights, in evaluation mode."""
    network.load_state_dict(weights)
    if odd := [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ValueError(f"{odd[0]} is not finite")
    return network.eval().requires_grad_(False)


@contextmanager
def fitting(path: Path, wanted: str) -> Iterator[None]:
    """Turn whatever does not fit in a file of weights into a `WeightsError` that says what was wanted."""
    try:
        yield
    except PluginError as error:
        raise WeightsError(f"weights {str(path)!r}: {error}") from None
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise WeightsError(f"weights {str(path)!r} are of something else than {wanted}: {reason}") from None
