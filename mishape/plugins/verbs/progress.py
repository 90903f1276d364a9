"""Progress of long runs: a bar on a terminal, a plain line every half minute in a log, JSON lines, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, int, int], None]
"""Called with a step's name, how much of it is done, and how much there is."""
LOG_EVERY_S = 30.0


@contextmanager
def shown(style: str) -> Iterator[Report]:
    """Give a function to be called with (step, done, total); everything is written to standard error."""
    if style == "auto":
        style = "bar" if sys.stderr.isatty() else "log"
    if style == "bar":
        with _bar() as report:
            yield report
    else:
        yield {"log": _log(), "json": _json, "none": _nothing}[style]


@contextmanager
def _bar() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done, total=total)

        yield report


def _log() -> Report:
    last = time.monotonic() - LOG_EVERY_S

    def report(step: str, done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last >= LOG_EVERY_S:
            last = time.monotonic()
            print(f"{done} of {total} {step}", file=sys.stderr, flush=True)

    return report


def _json(step: str, done: int, total: int) -> None:
    print(json.dumps({"step": step, "done": done, "total": total}), file=sys.stderr, flush=True)


def _nothing(step: str, done: int, total: int) -> None:
    pass
