"""Progress of long runs: a bar on a terminal, a plain line every half minute in a log, JSON lines, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, int], None]
LOG_EVERY_S = 30.0


@contextmanager
def shown(style: str, total: int) -> Iterator[Report]:
    """Give a function to be called with (done, total); everything is written to standard error."""
    if style == "auto":
        style = "bar" if sys.stderr.isatty() else "log"
    if style == "bar":
        with _bar(total) as report:
            yield report
    else:
        yield {"log": _log(), "json": _json, "none": _nothing}[style]


@contextmanager
def _bar(total: int) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("samples", total=total)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _log() -> Report:
    last = time.monotonic() - LOG_EVERY_S

    def report(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last >= LOG_EVERY_S:
            last = time.monotonic()
            print(f"{done} of {total} samples", file=sys.stderr, flush=True)

    return report


def _json(done: int, total: int) -> None:
    print(json.dumps({"done": done, "total": total}), file=sys.stderr, flush=True)


def _nothing(done: int, total: int) -> None:
    pass
