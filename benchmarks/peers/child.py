"""One way of imaging in a process of its own: python -m benchmarks.peers.child MODULE WAY TASK RESULT

Runs in any environment that holds numpy and what the way needs. It ends with `ABSENT` where the package is missing.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks.peers.task import Task, timed

ABSENT = 3
"""The exit status that says that a package is not installed."""

PACKAGES = ("microsim", "deeptrack", "numpy", "scipy", "numba")


def main(module: str, name: str, given: str, result: str) -> None:
    task = Task.load(Path(given))
    warnings.simplefilter("ignore")  # what other packages warn of is theirs
    try:
        ways = import_module(f"benchmarks.peers.{module}")
        for needed in ways.NEEDS:  # what importing takes is no part of the set-up
            import_module(needed)
        image, times, set_up = timed(ways.WAYS[task.modality][name], task)
    except ModuleNotFoundError as error:
        print(error.name)
        sys.exit(ABSENT)
    np.savez(result, image=image, cpu_s=times, set_up_s=set_up, versions=_versions())


def _versions() -> list[str]:
    from importlib.metadata import distributions

    loaded = {name.partition(".")[0] for name in sys.modules}
    found = {dist.name.replace("_", "-").lower(): dist.version for dist in distributions()}
    return [f"{name} {found[name]}" for name in PACKAGES if name in loaded & {*found}]


if __name__ == "__main__":
    main(*sys.argv[1:])
