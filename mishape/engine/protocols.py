"""What a component of each family promises. Nothing but the promises is here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.grid import Grid
from mishape.engine.types import Array, Emitters, Raster, Sample, Shape

if TYPE_CHECKING:
    from mishape.engine.dataset import Dataset

T = TypeVar("T")
R = TypeVar("R")
Task = TypeVar("Task", contravariant=True)
Result = TypeVar("Result", covariant=True)


@runtime_checkable
class ShapeSource(Protocol):
    """Gives shapes."""

    @property
    def kind(self) -> str: ...
    def keys(self) -> Mapping[str, str] | None:
        """Return shape id -> split key (its fold, else the id) of a finite source; None for a generator.

        A source may have a field `ids` that narrows what its objects take; the keys are those of all shapes, so that
        the same library is dealt to the splits in one way.
        """

    def sample(self, rng: Generator, id: str | None) -> Shape:
        """Return the shape of that id (a finite source), or a new one (a generator): its own frame, nm, centred.

        The shape of a finite source depends on the id alone: a dataset keeps one copy of it.
        """


@runtime_checkable
class Labeler(Protocol):
    """Puts emitters on or in a posed shape."""

    @property
    def kind(self) -> str: ...
    def label(self, shape: Shape, rng: Generator) -> Emitters:
        """Return emitters in the shape's frame, which is the world when the shape is posed."""


@runtime_checkable
class Microscope(Protocol):
    """Turns emitters into expected photons: deterministic, linear, without random numbers.

    A microscope may have ``image_many(batch, grid)``, which returns the (N, Z, Y, X) images of a sequence of emitters;
    devices are then given many at a time.
    """

    @property
    def kind(self) -> str: ...
    def image(self, emitters: Emitters, grid: Grid) -> Array:
        """Return (Z, Y, X) expected photons in the array library and on the device of the emitters' arrays."""


@runtime_checkable
class Noise(Protocol):
    """Turns expected photons into what a detector records.

    A noise may have ``check_size(rows, columns)``, which raises a `MishapeError` where an image of that size does not
    fit it; scenes are then refused before anything is made. And it may have ``detect_many(photons, rngs)``, which
    returns the (N, Z, Y, X) counts of as many images on any device, on the host; else `detect` is given host arrays.
    """

    @property
    def kind(self) -> str: ...
    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        """Return (Z, Y, X) counts."""


@runtime_checkable
class Truth(Protocol):
    """Ground truth of a sample, in the camera's frame."""

    @property
    def kind(self) -> str: ...
    def measure(self, sample: Sample, rng: Generator) -> Mapping[str, Raster | NDArray[Any]]:
        """Return rasters named ``view.kind``, or arrays with one row per item named ``kind``."""


@runtime_checkable
class ShapeTruth(Protocol):
    """Ground truth of a shape in its own frame, kept once per shape rather than once per sample."""

    @property
    def kind(self) -> str: ...
    def describe(self, shape: Shape, rng: Generator) -> Mapping[str, NDArray[Any]]:
        """Return arrays by name, each with one row per item."""


@runtime_checkable
class Exporter(Protocol):
    """Writes a dataset in another layout."""

    @property
    def kind(self) -> str: ...
    def export(self, dataset: Dataset, out: Path) -> None:
        """Write a dataset into a new folder."""


class Job(Protocol[Task, Result]):
    """A picklable pure function of a task."""

    def __call__(self, task: Task, /) -> Result: ...


@runtime_checkable
class Executor(Protocol):
    """Runs a job over tasks; results come in the tasks' order."""

    def imap(self, job: Job[T, R], tasks: Iterable[T]) -> Iterator[R]: ...
