"""Background light: the same everywhere, rising across the field, or a smooth random field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, core_schema

from mishape.engine.component import Model, Real

WAVES = 256
"""Plane waves that a smooth field is made of: its values are Gaussian but for a kurtosis of -1.5 / WAVES."""

Map = NDArray[np.float64]
Mean = Annotated[Real, Field(ge=0, le=1e6)]


class Gradient(Model):
    """Background that rises evenly in one direction."""

    kind: Literal["gradient"]
    """Always gradient."""
    mean: Mean
    """Mean over the field, in the unit and the limits of the detector's background; it is exact; no default."""
    relative_range: Real = Field(default=0.5, ge=0, le=2)
    """Highest less lowest pixel over the mean, 0 to 2. Default 0.5, assumed: from 75 % to 125 % of the mean."""
    direction_deg: Real = Field(default=0.0, ge=-360, le=360)
    """Where it rises, degrees from +x (further columns) towards +y (further rows); -360 to 360. Default 0."""

    def light(self, rows: int, columns: int, rng: Generator | None) -> Map:
        """Return (Y, X) background; no random number is drawn."""
        angle = np.deg2rad(self.direction_deg)
        across, down = np.cos(angle), np.sin(angle)
        extent = abs(across) * (columns - 1) + abs(down) * (rows - 1)
        along = down * _centered(rows)[:, None] + across * _centered(columns)
        return np.asarray(self.mean * (1 + self.relative_range * along / max(extent, 1.0)))


class Smooth(Model):
    """Background that varies at random and smoothly, anew in every sample; all planes of a stack share it.

    The logarithm is a Gaussian random field with the correlation ``exp(-(d / correlation_px)**2)`` at distance d, made
    of plane waves of random direction (Shinozuka and Jan 1972, J. Sound Vib. 25:111); so no pixel is negative.
    """

    kind: Literal["smooth"]
    """Always smooth."""
    mean: Mean
    """Mean over the image's pixels, in the unit and the limits of the detector's background; exact in every image; no
    default."""
    relative_sd: Real = Field(default=0.2, gt=0, le=1)
    """Standard deviation over the mean in a field much wider than `correlation_px`, above 0 and at most 1; less is left
    in a narrower one. Default 0.2, assumed."""
    correlation_px: Real = Field(default=50.0, ge=1, le=1e5)
    """Distance in pixels at which the correlation of the field's logarithm has fallen to 1/e, 1 to 100000. Default 50,
    assumed: a few micrometres, as out-of-focus parts of a cell."""

    def light(self, rows: int, columns: int, rng: Generator | None) -> Map:
        """Return (Y, X) background drawn from `rng`; without one the mean, which is its expectation."""
        if rng is None:
            return np.full((rows, columns), self.mean)
        deviation = np.sqrt(np.log1p(self.relative_sd**2))
        field = np.exp(deviation * _gaussian_field(rows, columns, self.correlation_px, rng))
        return np.asarray(self.mean * (field / field.mean()))


Background = float | Gradient | Smooth
_KINDS: Mapping[str, type[Gradient | Smooth]] = {"gradient": Gradient, "smooth": Smooth}


class _Kind(Model):
    """The one key that says what the others are."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["gradient", "smooth"]
    """``gradient`` or ``smooth``."""


def mean_of(background: Background) -> float:
    """Return the mean of the background over the field."""
    return background.mean if isinstance(background, Gradient | Smooth) else background


def light_of(background: Background, rows: int, columns: int, rng: Generator | None) -> float | Map:
    """Return the background of each pixel: one number, or (Y, X)."""
    if isinstance(background, Gradient | Smooth):
        return background.light(rows, columns, rng)
    return background


def _centered(count: int) -> Map:
    return np.arange(count, dtype=np.float64) - (count - 1) / 2


def _gaussian_field(rows: int, columns: int, correlation_px: float, rng: Generator) -> Map:
    """Return a random field of mean 0 and variance 1 with a Gaussian correlation, (rows, columns)."""
    down, across = np.sqrt(2) / correlation_px * rng.standard_normal((2, WAVES))
    phase = rng.uniform(0, 2 * np.pi, WAVES)
    by_row = np.exp(1j * (np.outer(_centered(rows), down) + phase))
    by_column = np.exp(1j * np.outer(across, _centered(columns)))
    return np.asarray(np.sqrt(2 / WAVES) * (by_row @ by_column).real)


class BackgroundField:
    """Annotates a background: a number from 0 to `most`, or a mapping with a `kind` whose mean has the same limits.

    It is told apart by its form before it is validated, so that errors speak of the form that was given.
    """

    def __init__(self, most: float) -> None:
        self.most = most

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            _validated,
            handler.generate_schema(Annotated[Real, Field(ge=0, le=self.most)]),
            serialization=core_schema.plain_serializer_function_ser_schema(_plain, info_arg=True),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        mappings = [handler(kind.__pydantic_core_schema__) for kind in _KINDS.values()]
        return {"anyOf": [handler(schema), *mappings]}


def _validated(given: Any, number: Callable[[Any], float]) -> Background:
    if isinstance(given, Gradient | Smooth):
        field = given
    elif isinstance(given, Mapping):
        field = _KINDS[_Kind.model_validate(dict(given)).kind].model_validate(dict(given))
    else:
        return number(given)
    number(field.mean)
    return field


def _plain(background: Background, info: SerializationInfo) -> Any:
    if isinstance(background, Gradient | Smooth):
        return background.model_dump(mode=info.mode, exclude_unset=info.exclude_unset)
    return background
