"""What a training is asked for: a YAML file of data, model and steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from mishape.engine.component import Flag, Model, PluginField, Real, Whole
from mishape.engine.errors import SpecError
from mishape.engine.packaged import packaged_libraries
from mishape.engine.scene import Format
from mishape.engine.wording import problem
from mishape.engine.yaml_marks import Source, parse
from mishape.learn.augment import Augmentation
from mishape.learn.origins import Origin, Procedural, origin

if TYPE_CHECKING:
    from mishape.learn.shape_data import Sampling


Plan = TypeVar("Plan", bound=Model)


def check_uses(held_out: Sequence[str], validation: Sequence[str]) -> None:
    """Refuse folds that are both held out and validated with."""
    if both := sorted({*held_out} & {*validation}):
        raise problem(f"fold(s) {', '.join(both)} are in held_out and validation: what chooses weights cannot judge")


class ShapeModel(Protocol):
    """A model of shapes: a component of the family ``models``."""

    @property
    def kind(self) -> str: ...
    def sampling(self, points: int) -> Sampling:
        """Return how shapes are shown to it, by so many points."""
        ...

    @property
    def numbers(self) -> int:
        """How many latent numbers a shape has."""
        ...

    def network(self) -> Any:
        """Return a torch module with new weights."""
        ...


class Distribution(Protocol):
    """A model of the latent numbers of shapes: a component of the family ``models``."""

    @property
    def kind(self) -> str: ...
    def network(self, numbers: int) -> Any:
        """Return a torch module for so many numbers, with new weights."""
        ...


class ShapesPlan(Model):
    """Which shapes are learned."""

    libraries: tuple[str, ...] = Field(min_length=1)
    """Libraries, packaged or folders, and folders of datasets; relative paths start at the file's folder."""
    procedural: tuple[Procedural, ...] = ()
    """Shapes that are made, to be learned from beside those of the libraries; default none. They teach the model, not
    the distribution of shapes: none is drawn for them."""
    held_out: tuple[str, ...] = ()
    """Folds that nothing is learned of; default none. Those of a dataset are its splits."""
    validation: tuple[str, ...] = ()
    """Folds that stopping and choosing are judged by, and nothing is learned of. Default none: the last step counts."""
    augmentation: Augmentation = Augmentation()
    """How shapes are varied."""

    @model_validator(mode="after")
    def _folds_have_one_use(self) -> Self:
        check_uses(self.held_out, self.validation)
        return self


class StepsPlan(Model):
    """How long and how fast is learned."""

    steps: Whole = Field(default=4000, ge=1, le=10_000_000)
    """Steps of the optimiser; default 4000."""
    batch: Whole = Field(default=16, ge=1, le=4096)
    """Shapes in a step, over all processes; default 16."""
    points: Whole = Field(default=1024, ge=16, le=1_000_000)
    """Points of each shape in a step; default 1024."""
    learning_rate: Real = Field(default=1.5e-3, gt=0, le=1)
    """Highest rate; default 0.0015."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the rate goes: ``cosine``, the default, rises over the first steps and falls by half a cosine."""
    weight_decay: Real = Field(default=1e-4, ge=0, le=1)
    """Of the optimiser, AdamW; at 0 it is Adam. Default 0.0001."""
    largest_gradient: Real | None = Field(default=1.0, gt=0)
    """Norm to which a larger gradient is cut; null for none. Default 1."""
    bfloat16: Flag | None = None
    """Compute in numbers of 16 bits where that is enough: by default on a GPU alone. Processors with AMX can be quicker
    with it."""
    check_every: Whole = Field(default=250, ge=1)
    """Steps between checkpoints, each with its validation; default 250."""
    patience: Whole = Field(default=0, ge=0)
    """Stop after so many validations without a better one; 0, the default, never."""


class PriorPlan(Model):
    """How the distribution of shapes is learned, once a model of shapes is there."""

    model: Annotated[Distribution, PluginField("models")]
    """The distribution, by its kind."""
    variations: Whole = Field(default=64, ge=1, le=100_000)
    """How often each whole shape is varied and encoded; default 64."""
    training: StepsPlan = StepsPlan(steps=8000, batch=256, learning_rate=1e-3, check_every=2000)
    """How long; `points` has no meaning here."""

    @model_validator(mode="after")
    def _model_is_a_distribution(self) -> Self:
        if hasattr(self.model, "sampling"):
            raise problem(f"kind {self.model.kind!r} is a model of shapes: prior.model takes a distribution, as flow")
        return self


class LearnPlan(Model):
    """What a training is asked for."""

    mishape: Format
    """Version of the format; 1."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Of weights, order and variations; default 0."""
    shapes: ShapesPlan
    """What is learned."""
    model: Annotated[ShapeModel, PluginField("models")]
    """The network, by its kind."""
    training: StepsPlan = StepsPlan()
    """How long."""
    prior: PriorPlan | None = None
    """The distribution of what the model makes of shapes; default none: shapes are reconstructed, not drawn."""

    @model_validator(mode="after")
    def _model_is_of_shapes(self) -> Self:
        if not hasattr(self.model, "sampling"):
            raise problem(f"kind {self.model.kind!r} is a distribution: model takes a model of shapes, as grid_vae")
        return self


def load_plan(path: Path, libraries: Sequence[str] = ()) -> tuple[LearnPlan, list[Origin]]:
    """Read a training's YAML file and its shapes.

    Parameters
    ----------
    libraries
        Names or paths that stand in for those of the file.

    Raises
    ------
    SpecError
        With file, line and column of every complaint.
    LibraryError
        If a library is damaged.
    """
    document, source = read_training(path)
    plan = validated(LearnPlan, document, source, path)
    if libraries:
        return plan, [origin(name) for name in libraries]
    return plan, [_opened(name, number, source, path) for number, name in enumerate(plan.shapes.libraries)]


def read_training(path: Path) -> tuple[Any, Source]:
    """Return what a training's YAML file holds, and where it stands in it.

    Raises
    ------
    SpecError
        If it cannot be read.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise SpecError(f"training file {str(path)!r} does not exist: give the path of a YAML file") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"training file {str(path)!r} cannot be read: {error}") from None


def validated(kind: type[Plan], document: Any, source: Source, path: Path) -> Plan:
    """Return a training's plan.

    Raises
    ------
    SpecError
        With file, line and column of every complaint.
    """
    try:
        return kind.model_validate(document, context={"folder": path.resolve().parent})
    except ValidationError as error:
        lines = error.errors(include_url=False)
        places = [(tuple(part for part in line["loc"] if part != "[key]"), line["msg"]) for line in lines]
        raise SpecError([source.complaint(place, text) for place, text in places]) from None


def _opened(name: str, number: int, source: Source, path: Path) -> Origin:
    place = name if name in packaged_libraries() else path.resolve().parent / name
    if place != name and not Path(place).is_dir():
        text = f"library {name!r} is neither packaged nor a folder: {str(place)!r} does not exist"
        raise SpecError(source.complaint(("shapes", "libraries", number), text))
    return origin(place)
