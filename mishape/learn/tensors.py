"""Files of tensors: safetensors with a JSON text in their head, whole or not there; reading them runs no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mishape.engine.errors import MishapeError
from mishape.engine.files import TEMPORARY, canonical, disk_errors, sync
from mishape.engine.needs import needs

if TYPE_CHECKING:
    from torch import Tensor

ABOUT = "mishape"


class WeightsError(MishapeError):
    """A file of weights cannot be used."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and what is said of them; the file appears whole or not at all."""
    from safetensors.torch import save

    temporary = path.with_name(path.name + TEMPORARY)
    with disk_errors(path):
        temporary.write_bytes(
            save({name: value.contiguous() for name, value in tensors.items()}, {ABOUT: canonical(about)})
        )
        sync(temporary)
        temporary.replace(path)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and what is said of them.

    Raises
    ------
    WeightsError
        If the file is missing, truncated, no safetensors file, or not one of ours.
    """
    needs("torch", "learn")
    needs("safetensors", "learn")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[ABOUT])
            return {name: file.get_tensor(name) for name in file.keys()}, dict(about)  # noqa: SIM118 -- no mapping
    except FileNotFoundError:
        raise WeightsError(f"weights {str(path)!r} do not exist: give the path of a .safetensors file") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"weights {str(path)!r} are damaged or no safetensors file: {error}") from None
    except (KeyError, ValueError, TypeError):
        raise WeightsError(f"weights {str(path)!r} do not say what they are of: mishape did not write them") from None
