"""What a training on images is asked for: a YAML file of datasets, model and steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Protocol, Self

from pydantic import Field, model_validator

from mishape.engine.component import Model, PluginField, Real, Whole
from mishape.engine.dataset import Dataset, open_dataset
from mishape.engine.scene import Format
from mishape.engine.wording import problem
from mishape.learn.crops import PictureAugmentation
from mishape.learn.plan import StepsPlan, read_training, validated


class PictureModel(Protocol):
    """A model that tells foreground from background: a component of the family ``models``."""

    @property
    def kind(self) -> str: ...
    @property
    def step_px(self) -> int:
        """Edges of the pictures that it is given are multiples of it."""
        ...

    def network(self) -> Any:
        """Return a torch module with new weights: (B, H, W) normalised pictures -> logarithms of odds."""
        ...


class ImagesPlan(Model):
    """Which images are learned from, and how."""

    datasets: tuple[str, ...] = Field(min_length=1)
    """Folders of datasets; relative paths start at the file's folder. Pixels of several sizes teach those between."""
    view: str | None = None
    """The view whose images are learned from; default the only one that has masks."""
    masks: str = "masks_2d"
    """The truth that is learned; default masks_2d."""
    train: tuple[str, ...] = ("train",)
    """Splits that are learned from; default train."""
    validation: tuple[str, ...] = ("val",)
    """Splits that stopping and choosing are judged by; default val; none if it is empty: the last step counts."""
    validated: Whole = Field(default=64, ge=1)
    """Pictures that a validation takes, evenly along those splits; default 64."""
    crop_px: Whole = Field(default=128, ge=16, le=4096)
    """Edge of the crops that are learned from; 16 to 4096, default 128."""
    foreground: Real = Field(default=0.5, ge=0, le=1)
    """Share of the crops that are centred on foreground; default 0.5."""
    augmentation: PictureAugmentation = PictureAugmentation()
    """How crops are varied."""


class ImagePlan(Model):
    """What a training on images is asked for."""

    mishape: Format
    """Version of the format; 1."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Of weights, order and variations; default 0."""
    images: ImagesPlan
    """What is learned."""
    model: Annotated[PictureModel, PluginField("models")]
    """The network, by its kind."""
    training: StepsPlan = StepsPlan(learning_rate=2e-3)
    """How long; `points` has no meaning here."""

    @model_validator(mode="after")
    def _model_is_of_pictures(self) -> Self:
        if not hasattr(self.model, "step_px"):
            raise problem(f"kind {self.model.kind!r} is no model of pictures: model takes one that segments, as unet")
        if self.images.crop_px % self.model.step_px:
            raise problem(
                f"crop_px {self.images.crop_px}: model {self.model.kind!r} takes multiples of {self.model.step_px}"
            )
        return self


def is_of_images(path: Path) -> bool:
    """Tell whether a training's YAML file is one on images."""
    document, _ = read_training(path)
    return isinstance(document, dict) and "images" in document


def load_image_plan(path: Path) -> tuple[ImagePlan, list[Dataset]]:
    """Read a training's YAML file and open its datasets.

    Raises
    ------
    SpecError
        With file, line and column of every complaint.
    DatasetError
        If a folder is no dataset.
    """
    document, source = read_training(path)
    plan = validated(ImagePlan, document, source, path)
    return plan, [open_dataset(path.resolve().parent / name) for name in plan.images.datasets]
