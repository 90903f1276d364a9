"""The scene: one sample's spec with every draw made. Plain, validated, reproducible on its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails

from mishape.engine.component import Model, PluginField, Real, Whole
from mishape.engine.draws import LISTS
from mishape.engine.errors import MishapeError
from mishape.engine.grid import Grid
from mishape.engine.protocols import Labeler, Microscope, Noise, ShapeSource, ShapeTruth, Truth
from mishape.engine.types import Points
from mishape.engine.wording import problem, shown, suggestion

NAME = "^[A-Za-z][A-Za-z0-9_-]{0,63}$"


def _name(value: str) -> str:
    if not re.fullmatch(NAME, value):
        raise problem(f"{shown(value)} is not a name: give a letter, then letters, digits, _ or -, 64 at most")
    return value


Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME})]
"""A name that is also part of a file name."""
Place = Annotated[Real, Field(ge=-1e8, le=1e8)]
"""A coordinate within 10 cm of the origin, nm."""
Reach = Annotated[Real, Field(ge=0, le=1e8)]
"""A distance of up to 10 cm, nm."""
Rotation = str | tuple[float, float, float]
ROTATION_NAMES = ("uniform", "flat", *LISTS["perspectives"])


def _rotation(value: Any) -> Rotation:
    if value == 0 and not isinstance(value, bool | float):
        return "0"
    if isinstance(value, str):
        if value in ROTATION_NAMES:
            return value
        raise problem(f"{shown(value)} is not a rotation: {suggestion(value, ROTATION_NAMES)}, or three Euler angles")
    numbers = isinstance(value, list | tuple) and all(type(item) in (int, float) and abs(item) < 1e9 for item in value)
    if numbers and len(value) == 3:
        return (float(value[0]), float(value[1]), float(value[2]))
    raise problem(f"{shown(value)} is not a rotation: give [alpha, beta, gamma] in degrees, or a name")


ROTATION_SCHEMA = {
    "oneOf": [
        {"enum": [0, *ROTATION_NAMES]},
        {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
    ]
}


class PosePlan(Model):
    """How a shape lies in the world."""

    rotation: Annotated[Any, BeforeValidator(_rotation), WithJsonSchema(ROTATION_SCHEMA)] = "0"
    """``uniform`` over all rotations, ``flat`` (the long axis within `tilt_deg` of the image plane), one of the six
    perspectives 0, x90, x180, y90, y180, z90, or Euler angles [alpha, beta, gamma] in degrees, applied as
    Rz(gamma) Ry(beta) Rx(alpha); default 0."""
    tilt_deg: Real = Field(default=10.0, ge=0, le=90)
    """Largest angle between the long axis and the image plane for ``flat``, degrees; 0 to 90; default 10."""
    scale: Real = Field(default=1.0, ge=0.001, le=1000)
    """Factor on every length of the shape; 0.001 to 1000; default 1, its true size."""
    center_nm: tuple[Place, Place, Place] = (0.0, 0.0, 0.0)
    """Where the shape's origin comes to lie, xyz in nm; default the centre of the field."""
    scatter_nm: tuple[Reach, Reach, Reach] = (0.0, 0.0, 0.0)
    """How far from `center_nm` the shape may come to lie along x, y and z, nm, uniform; default 0: nowhere else."""
    gap_nm: Annotated[Real, Field(ge=0, le=1e6)] | None = None
    """Distance that its surface keeps from those of all objects before it, nm: places and random rotations are drawn
    until it does. Default none: shapes may overlap."""
    origin: Literal["own", "centroid", "surface", "box"] = "own"
    """Which point of the shape that is: the zero of its ``own`` frame (where its source centres it), the ``centroid``
    of the solid, that of its ``surface`` (where surface emitters centre), or the middle of its bounding ``box``;
    default own."""


class SceneObject(Model):
    """One shape in the scene: where it comes from, how it lies, how it is labelled."""

    shape: Annotated[ShapeSource, PluginField("shapes")]
    """Shape source."""
    pose: PosePlan = PosePlan()
    """Rotation and position."""
    labeler: Annotated[Labeler, PluginField("labelers")] = Field(default="surface", validate_default=True)
    """Labeler; default surface."""
    channel: Name = "main"
    """Colour; views choose which channels they see; default main."""
    shape_id: str | None = None
    """Which shape of a finite source; chosen by the engine."""
    path: str = "objects.0.0"
    """Key of the object's random streams; set by the engine."""
    group: Whole = Field(default=0, ge=0)
    """Number of the shape's random stream, shared by samples that repeat it; set by the engine."""
    tile: Whole = Field(default=0, ge=0)
    """Which field of a montage the object lies in; set by the engine."""


class View(Model):
    """One microscope with its pixels and its detector; several views see the same emitters."""

    grid: Grid
    """Pixels and planes."""
    microscope: Annotated[Microscope, PluginField("microscopes")]
    """Microscope."""
    noise: Annotated[Noise, PluginField("noises")] = Field(default="none", validate_default=True)
    """Detector; default none."""
    sees: dict[Name, Annotated[Real, Field(ge=0)]] | None = None
    """Channels that reach this view, with a weight each (bleed-through); default all at 1."""
    montage: tuple[Annotated[Whole, Field(ge=1, le=64)], Annotated[Whole, Field(ge=1, le=64)]] = (1, 1)
    """Rows and columns of independent fields that are tiled before noise; default [1, 1]."""
    optics_pool: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    """How many different microscopes the microscope's own draws make, taken in turn by the samples; 1 to 100000. Each
    is set up once (tens of milliseconds). Default none: every sample draws its own."""

    @model_validator(mode="after")
    def _detector_fits(self) -> Self:
        """Let a detector that has maps of its pixels say now that they do not fit the image."""
        check = getattr(self.noise, "check_size", None)
        if check is not None:
            _, rows, columns = self.grid.shape
            try:
                check(rows * self.montage[0], columns * self.montage[1])
            except MishapeError as error:
                line = InitErrorDetails(type=problem(str(error)), loc=("noise",), input=None)
                raise ValidationError.from_exception_data("View", [line]) from None
        return self

    def main_channels(self, channels: Iterable[str]) -> set[str]:
        """Return the channels that the view sees best: what it is for, as opposed to what bleeds through."""
        weights = {channel: self.weight(channel) for channel in channels}
        best = max(weights.values(), default=0.0)
        return {channel for channel, weight in weights.items() if weight == best and weight > 0}

    def weight(self, channel: str) -> float:
        """Return how much of a channel's light reaches the view."""
        return 1.0 if self.sees is None else self.sees.get(channel, 0.0)

    @property
    def sharp_grid(self) -> Grid:
        """The grid whose planes lie where the specimen is in focus: what 3D truths are sampled on."""
        return Grid(self.grid.shape, self.grid.pixel_nm, planes_nm=tuple(self.focus_in_sample_nm().tolist()))

    def focus_in_sample_nm(self) -> Points:
        """Return the world z that is in focus at each plane, (Z,) nm."""
        planes = self.grid.centers_nm()[0]
        convert = getattr(self.microscope, "focus_in_sample_nm", None)
        return planes if convert is None else np.asarray(convert(planes), np.float64)

    @property
    def tiles(self) -> int:
        """Number of fields in the montage."""
        return self.montage[0] * self.montage[1]


def _named_truths(value: Any) -> Any:
    """Turn ``{kind: parameters}`` into components' mappings."""
    if not isinstance(value, Mapping):
        return value
    return {kind: _named_truth(kind, given) for kind, given in value.items()}


def _named_truth(kind: str, given: Any) -> Any:
    if hasattr(given, "kind"):
        return given
    if not isinstance(given, Mapping | None):
        raise problem(f"{shown(given)} is not a mapping of parameters: write {kind}: {{}} for the defaults")
    if (given or {}).get("kind", kind) != kind:
        raise problem(f"{kind} is said to be of kind {shown((given or {})['kind'])}: leave out kind")
    return {**(given or {}), "kind": kind}


def _format(value: Any) -> Literal[1]:
    if type(value) is int and value > 1:
        raise problem(f"format {value} is newer than this mishape reads (1): upgrade mishape")
    if type(value) is not int or value != 1:
        raise problem(f"{shown(value)} is not a version of the format: write mishape: 1")
    return 1


Format = Annotated[Literal[1], BeforeValidator(_format)]


class Scene(Model):
    """One sample, fully determined: the same scene gives the same bytes."""

    mishape: Format = 1
    """Version of the spec format."""
    seed: Whole = Field(default=0, ge=0)
    """Seed of all random streams."""
    sample: Whole = Field(default=0, ge=0)
    """The sample's number."""
    split: str = "all"
    """The split that the sample's shapes come from."""
    objects: list[SceneObject] = Field(min_length=0)
    """The shapes."""
    views: dict[Name, View] = Field(min_length=1)
    """The views, by name."""
    truths: Annotated[
        dict[Name, Annotated[Truth | ShapeTruth, PluginField("truths")]], BeforeValidator(_named_truths)
    ] = Field(default={})
    """Ground truths, by kind."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        wrong = self._rescaled_photons()
        if wrong:
            raise ValidationError.from_exception_data("Scene", wrong)
        return self

    def _rescaled_photons(self) -> list[InitErrorDetails]:
        """A noise that scales by the image's own peak would silently undo brightness that a user set."""
        setters = [thing for thing in self.objects if "photons" in getattr(thing.labeler, "model_fields_set", ())]
        return [
            InitErrorDetails(
                type=problem(
                    "sbr scales the image by its own peak, so the photons that objects set would have no effect: "
                    "remove sbr, or remove photons from the labelers"
                ),
                loc=("views", name, "noise", "sbr"),
                input=None,
            )
            for name, view in self.views.items()
            if setters and getattr(view.noise, "rescales", False)
        ]
