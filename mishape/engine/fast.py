"""Which code makes the images: the core's, or that compiled by numba (the extra `fast`).

Both draw from the same distributions and compute the same light, but not the same bytes; so the path is chosen once per
process, never changes while it runs, and stands in every dataset.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal, TypeVar, cast

from mishape.engine.errors import MishapeError

CodePath = Literal["core", "fast"]
SWITCH = "MISHAPE_FAST"
"""Environment variable: 0 asks for the core's code, 1 for the compiled one."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


@cache
def code_path() -> CodePath:
    """Return which code this process runs: ``fast`` where numba is installed, unless MISHAPE_FAST is 0.

    The answer is the same for as long as the process lives, and worker processes inherit the variable. Nothing is
    imported, so the call is cheap. Nothing falls back in silence: where ``fast`` is chosen and numba does not work,
    `compiled` says so.

    Raises
    ------
    MishapeError
        If MISHAPE_FAST is neither 0 nor 1, or is 1 without numba.
    """
    wish, installed = os.environ.get(SWITCH, ""), find_spec("numba") is not None
    if wish not in ("", "0", "1"):
        raise MishapeError(f"{SWITCH} is {wish!r}: set it to 0 (core) or 1 (fast), or leave it out")
    if wish == "1" and not installed:
        raise MishapeError(f"{SWITCH} is 1, but numba is not installed: pip install 'mishape[fast]', or set it to 0")
    return "fast" if installed and wish != "0" else "core"


def compiler() -> dict[str, str]:
    """Return numba and its version, which the bytes of the ``fast`` path belong to; nothing on the other path."""
    return {"numba": version("numba")} if code_path() == "fast" else {}


def compiled(kernel: Kernel) -> Kernel:
    """Compile a function of numbers and arrays on its first call (a decorator; imports numba).

    The machine code is kept beside the module, or in the user's cache folder, where one of them can be written, so that
    later processes start at once. The kernel holds no lock of Python's, keeps IEEE 754's order of operations, and
    divides by zero as NumPy does.

    Raises
    ------
    MishapeError
        If numba cannot be imported.
    """
    try:
        from numba import njit
    except Exception as error:
        raise MishapeError(
            f"numba is installed but cannot be imported ({error}): install another version of it, or set {SWITCH}=0 "
            "to run without"
        ) from error
    try:
        made: Any = njit(cache=True, nogil=True, error_model="numpy")(kernel)
    except RuntimeError:  # no folder for the machine code can be written
        made = njit(nogil=True, error_model="numpy")(kernel)
    return cast(Kernel, made)
