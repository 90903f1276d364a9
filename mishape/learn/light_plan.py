"""What a training from images to shapes is asked for: a YAML file of scenes and datasets, model and steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Protocol, Self

from pydantic import Field, model_validator

from mishape.engine.component import Model, PluginField, Real, Whole
from mishape.engine.dataset import Dataset
from mishape.engine.manifest import NAME
from mishape.engine.scene import Format
from mishape.engine.spec import load_spec
from mishape.engine.wording import problem
from mishape.learn.known_box import Told
from mishape.learn.lit import Images
from mishape.learn.lit_live import LiveImages
from mishape.learn.lit_shapes import Part
from mishape.learn.lit_stored import StoredImages
from mishape.learn.plan import StepsPlan, check_uses, read_training, validated


class LightModel(Protocol):
    """A model that finds shapes in images: a component of the family ``models``."""

    LEAST: int
    MOST: int

    @property
    def kind(self) -> str: ...
    @property
    def frame(self) -> Told:
        """In which frame it tells solids, and so what of the truth it is told."""
        ...

    @property
    def step_px(self) -> int:
        """Edges of the images that it learns from are multiples of it."""
        ...

    def network(self) -> Any:
        """Return a torch module with new weights."""
        ...


class ImagesOf(Model):
    """Images of one kind."""

    images: str
    """A scene file, whose images are made as they are asked for, or the folder of a dataset; relative paths start at
    the training file's folder. Samples are of one object each."""
    view: str | None = None
    """The view whose images are learned from; default the only one."""
    share: Real = Field(default=1.0, gt=0, le=1e6)
    """How often they are shown, beside the other kinds; default 1."""


class LightOf(Model):
    """Which images are learned from."""

    parts: tuple[ImagesOf, ...] = Field(min_length=1)
    """The kinds of images, mixed in every step; all of as many rows and columns."""
    held_out: tuple[str, ...] = ()
    """Folds of shapes that nothing is learned of; default none."""
    validation: tuple[str, ...] = ()
    """Folds that stopping and choosing are judged by, and nothing is learned of. Default none: the last step counts."""
    height_known: Real = Field(default=0.5, ge=0, le=1)
    """Share of the images of which a network is told how high the shape's centre lies, which one image cannot show;
    default 0.5. Models that are told a box know it always."""
    validated: Whole = Field(default=24, ge=1, le=10_000)
    """Images that a validation takes; default 24."""

    @model_validator(mode="after")
    def _folds_have_one_use(self) -> Self:
        check_uses(self.held_out, self.validation)
        return self


class LightPlan(Model):
    """What a training from images to shapes is asked for."""

    mishape: Format
    """Version of the format; 1."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Of weights, order and places; default 0."""
    light: LightOf
    """What is learned from."""
    model: Annotated[LightModel, PluginField("models")]
    """The network, by its kind."""
    training: StepsPlan = StepsPlan(steps=6000, learning_rate=2e-3)
    """How long."""

    @model_validator(mode="after")
    def _model_reads_light(self) -> Self:
        if not hasattr(self.model, "MOST"):
            raise problem(
                f"kind {self.model.kind!r} finds no shapes in images: model takes one that does, as grid_stack"
            )
        return self


def is_of_light(path: Path) -> bool:
    """Tell whether a training's YAML file is one from images to shapes."""
    document, _ = read_training(path)
    return isinstance(document, dict) and "light" in document


def load_light_plan(path: Path) -> tuple[LightPlan, list[Part]]:
    """Read a training's YAML file, its scenes, and open its datasets.

    Raises
    ------
    MishapeError
        With file, line and column of every complaint, or if a dataset is damaged.
    """
    document, source = read_training(path)
    plan = validated(LightPlan, document, source, path)
    return plan, [Part(_opened(path.resolve().parent / one.images, one.view), one.share) for one in plan.light.parts]


def _opened(place: Path, view: str | None) -> Images:
    if (place / NAME).is_file():
        return StoredImages(Dataset(place), view)
    return LiveImages(load_spec(place), view)
