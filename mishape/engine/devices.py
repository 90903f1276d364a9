"""Where images are computed: on the host by NumPy, or where a run says; never chosen, nor given up, in silence.

The name of a device is an option of a run and no part of a scene. Labels and truths are made on the host.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, cast

import numpy as np

from mishape.engine.errors import MishapeError
from mishape.engine.types import Emitters

Kind = Literal["cpu", "cuda", "torch:cpu", "torch:cuda"]
NAMES = re.compile(r"(cpu|torch:cpu|(?:torch:)?cuda(?=$|:))(?::(\d{1,4}))?")
INSTALL = {
    "cupy": "pip install 'mishape[gpu12]' for CUDA 12, or 'mishape[gpu13]' for CUDA 13 (nvidia-smi says which)",
    "torch": "pip install 'mishape[learn]'",
}
COLUMNS = (("xyz_nm", np.float64), ("photons", np.float32), ("owner", np.int64))
"""Of emitters, with the precision that they have on a device. Positions stay double: single would round them to 0.06 nm
at a millimetre from the origin, and little is computed from them; images follow the precision of the photons."""


@dataclass(frozen=True)
class Device:
    """Where images are computed.

    Parameters
    ----------
    kind
        ``cpu``: NumPy on the host; ``cuda``: CuPy; ``torch:cpu`` and ``torch:cuda``: torch.
    index
        Which GPU, from 0.
    """

    kind: Kind
    index: int = 0

    @property
    def library(self) -> str:
        """The array library."""
        return {"cpu": "numpy", "cuda": "cupy"}.get(self.kind, "torch")

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU, whose sums are of no fixed order: light is the same but for single precision's rounding.

        On the others, which work on one sample at a time, the same sample has the same bytes.
        """
        return self.kind.endswith("cuda")

    @property
    def versions(self) -> dict[str, str]:
        """The library and its version, where it is not NumPy."""
        return {} if self.kind == "cpu" else {self.library: str(import_module(self.library).__version__)}

    def active(self) -> AbstractContextManager[Any]:
        """Return a context in which CuPy makes its arrays on this GPU; the others look at the arrays themselves."""
        return import_module("cupy").cuda.Device(self.index) if self.kind == "cuda" else nullcontext()

    def sent(self, batch: Sequence[Emitters]) -> list[Emitters]:
        """Return sets of emitters in the device's arrays, moved there together; on the host as they are."""
        if self.kind == "cpu" or not batch:
            return list(batch)
        columns = [
            self._moved(np.concatenate([getattr(emitters, name) for emitters in batch]).astype(dtype))
            for name, dtype in COLUMNS
        ]
        ends = np.cumsum([len(emitters) for emitters in batch]).tolist()
        return [
            Emitters(*(column[start:end, ...] for column in columns))
            for start, end in zip([0, *ends], ends, strict=False)
        ]

    def _moved(self, host: np.ndarray[Any, Any]) -> Any:
        library = import_module(self.library)
        if self.library == "cupy":
            return library.asarray(host)
        return library.asarray(host, device=f"cuda:{self.index}" if self.is_gpu else "cpu")


HOST = Device("cpu")


def find_device(name: str) -> Device:
    """Return the device of a name.

    Parameters
    ----------
    name
        ``cpu``, ``cuda`` or ``cuda:N`` (CuPy), ``torch:cpu``, ``torch:cuda`` or ``torch:cuda:N``; without N it is 0.

    Raises
    ------
    MishapeError
        If there is no such name, its library is not installed or broken, or there is no such GPU.
    """
    found = NAMES.fullmatch(name)
    if found is None or (found[2] and found[1].endswith("cpu")):
        raise MishapeError(f"device {name!r}: expected cpu, cuda, cuda:N, torch:cpu, torch:cuda or torch:cuda:N")
    device = Device(cast(Kind, found[1]), int(found[2] or 0))
    if device.kind != "cpu":
        _check_library(name, device.library)
    if device.is_gpu:
        _check_gpu(name, device)
    return device


def _check_library(name: str, library: str) -> None:
    if find_spec(library) is None:
        raise MishapeError(f"device {name!r} needs {library}, which is not installed: {INSTALL[library]}")
    try:
        import_module(library)
    except Exception as error:
        raise MishapeError(
            f"device {name!r}: {library} is installed but cannot be imported ({error}): install it anew, "
            f"{INSTALL[library]}"
        ) from error


def _check_gpu(name: str, device: Device) -> None:
    try:
        cuda = import_module(device.library).cuda
        count = cuda.runtime.getDeviceCount() if device.library == "cupy" else cuda.device_count()
        reason = ""
    except Exception as error:  # CuPy's, where there is no driver
        count, reason = 0, f" ({error})"
    if count == 0:
        raise MishapeError(
            f"device {name!r}: {device.library} finds no GPU{reason}: check that nvidia-smi lists one and that "
            f"{device.library} is built for its CUDA, or use cpu"
        )
    if device.index >= count:
        known = f"{device.kind}:0" if count == 1 else f"{device.kind}:0 to {device.kind}:{count - 1}"
        raise MishapeError(f"device {name!r}: {device.library} finds {count} GPU(s): choose {known}, or cpu")
