"""Jobs on a Dask cluster: one on this machine, or any that a scheduler's address or a client leads to."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mishape.engine import registry
from mishape.engine.errors import DatasetError
from mishape.engine.needs import needs
from mishape.engine.protocols import Job

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
"""Tasks per thread of the cluster that are handed over before their turn."""
CONNECT_S = 30
"""How long a scheduler may take to answer."""

_alone = threading.Lock()
"""A worker's threads take turns: how many threads sums use is a setting of the whole process."""


class Dask:
    """Runs tasks on a Dask cluster whose workers see the same files at the same paths.

    A task whose worker dies is given to another one. Workers should have one thread each (``--nthreads 1``): the
    threads of one worker take turns.

    Parameters
    ----------
    workers
        Number of processes of a cluster on this machine; not used with the other two.
    scheduler
        Address of a scheduler, as tcp://host:8786.
    client
        A `distributed.Client` that is connected already; it stays open.
    """

    def __init__(self, workers: int = 1, scheduler: str | None = None, client: Client | None = None) -> None:
        needs("distributed", "dask")
        self.workers, self.scheduler, self.client = workers, scheduler, client

    def imap(self, job: Job[T, R], tasks: Iterable[T]) -> Iterator[R]:
        """Yield the job's results; after an error, what has not begun is given up."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError

        remote, waiting = _Remote(job, tuple(registry.files())), iter(tasks)
        with self._connected() as client:
            threads = sum(client.nthreads().values())
            handed = deque(self._submitted(client, remote, islice(waiting, AHEAD * max(threads, 1))))
            try:
                while handed:
                    yield handed[0].result()
                    handed.popleft()
                    handed.extend(self._submitted(client, remote, islice(waiting, 1)))
            except KilledWorker as error:
                raise DatasetError(
                    f"a task brought down one worker after the other: {error}. Workers are killed when memory is "
                    "short, or from outside. What is finished is intact: give the same command again to go on"
                ) from None
            except (FutureCancelledError, CommClosedError) as error:
                raise DatasetError(
                    f"the connection to the Dask cluster was lost: {error}. What is finished is intact: give the same "
                    "command again to go on"
                ) from None
            finally:
                client.cancel(list(handed))

    def _submitted(self, client: Client, remote: _Remote, tasks: Iterable[Any]) -> list[Any]:
        return [client.submit(remote, task, pure=False) for task in tasks]

    @contextmanager
    def _connected(self) -> Iterator[Client]:
        from distributed import Client, LocalCluster

        if self.client is not None:
            yield self.client
            return
        if self.scheduler is not None:
            try:
                client = Client(self.scheduler, timeout=CONNECT_S)
            except (OSError, ValueError) as error:
                raise DatasetError(
                    f"no Dask scheduler answers at {self.scheduler!r} ({error}): give its address as tcp://host:8786"
                ) from None
            with client:
                yield client
            return
        with (
            LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                dashboard_address=":0",
                silence_logs=logging.ERROR,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


@dataclass(frozen=True)
class _Remote:
    """A job with what its worker must know first."""

    job: Job[Any, Any]
    plugin_files: tuple[Path, ...]

    def __call__(self, task: Any) -> Any:
        with _alone:
            for path in self.plugin_files:
                registry.add_file(path)
            return self.job(task)
