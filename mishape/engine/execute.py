"""Running jobs: in this process, or in spawned ones. Results come in the tasks' order, whoever made them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from inspect import signature
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TypeVar

from mishape.engine import registry
from mishape.engine.errors import DatasetError, PluginError
from mishape.engine.protocols import Executor, Job

T = TypeVar("T")
R = TypeVar("R")

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of glibc's mallopt: freed memory at the heap's end that is kept, and the size from which on a piece of memory
is the system's own, which is never kept."""


class Inline:
    """Runs every task in this process.

    Parameters
    ----------
    workers
        Not used: every executor is made with a number of workers.
    """

    def __init__(self, workers: int = 1) -> None:
        del workers

    def imap(self, job: Job[T, R], tasks: Iterable[T]) -> Iterator[R]:
        """Yield the job's results."""
        for task in tasks:
            yield job(task)


class Processes:
    """Runs tasks in spawned worker processes.

    Parameters
    ----------
    workers
        Number of processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def imap(self, job: Job[T, R], tasks: Iterable[T]) -> Iterator[R]:
        """Yield the job's results; after an error, what has not begun is given up."""
        from concurrent.futures import ProcessPoolExecutor
        from concurrent.futures.process import BrokenProcessPool

        pool = ProcessPoolExecutor(self.workers, get_context("spawn"), _start_worker, (registry.files(),))
        try:
            futures = [pool.submit(job, task) for task in tasks]
            for future in futures:
                yield future.result()
        except BrokenProcessPool:
            raise DatasetError(
                "a worker process died: killed from outside, by lack of memory, or because a script calls generate "
                'with several workers outside of `if __name__ == "__main__":`. What is finished is intact: give the '
                "same command again to go on, with fewer workers if memory is short"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def one_thread(job: Job[T, R], task: T) -> R:
    """Run one task with one BLAS thread: the number of threads changes the last bits of sums."""
    import scipy.linalg  # noqa: F401 - it brings a BLAS of its own, and only what is loaded can be limited
    from threadpoolctl import threadpool_limits

    _keep_freed_memory()
    with threadpool_limits(1):
        return job(task)


@cache
def _keep_freed_memory() -> None:
    """Ask the C library to keep up to 256 MB of freed memory for the next sample.

    Else arrays of a few hundred kilobytes go back to the system after each use and come back as zeroed pages: a third
    of an image's time. Of the libraries in use glibc has this choice; elsewhere nothing is done.
    """
    import ctypes

    change = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if change is not None:
        change(MMAP_THRESHOLD, 1 << 25)
        change(TRIM_THRESHOLD, 1 << 28)


def _start_worker(plugin_files: list[Path]) -> None:
    """Give a worker the parent's plugin files, and end it when the parent dies."""
    for path in plugin_files:
        registry.add_file(path)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def named_executor(name: str, workers: int, scheduler: str | None = None) -> Executor:
    """Return an installed executor, made with a number of workers, or with the address of their scheduler.

    Raises
    ------
    PluginError
        If there is none of that name (with a suggestion), it is broken, or knows no schedulers.
    """
    make = registry.load("executors", name)
    if scheduler is not None and "scheduler" not in signature(make).parameters:
        raise PluginError(f"executor {name!r} has no scheduler: leave --scheduler out, or give --executor dask")
    executor: Executor = make(workers) if scheduler is None else make(workers, scheduler=scheduler)
    return executor
