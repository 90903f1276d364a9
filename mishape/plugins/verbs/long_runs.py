"""What commands that run for long share: an interruption loses nothing, and who runs the workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mishape.engine.protocols import Executor


@contextmanager
def resumable() -> Iterator[None]:
    """Leave with status 130 on an interruption, and say that the same command goes on."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("interrupted: what is finished is kept; the same command goes on", err=True)
        raise typer.Exit(130) from None


def runner(executor: str | None, scheduler: str | None, workers: int) -> Executor | str | None:
    """Return who runs the workers; a scheduler's address alone means Dask."""
    from mishape.engine.execute import named_executor

    return executor if scheduler is None else named_executor(executor or "dask", workers, scheduler)
