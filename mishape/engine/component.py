"""The base of everything that a scene file can name: parameters, schema, docs and behaviour in one class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    Strict,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, core_schema

from mishape.engine import registry
from mishape.engine.errors import PluginError
from mishape.engine.inputs import input_hash
from mishape.engine.wording import problem, reword, shown, suggestion

Real = Annotated[float, Strict()]
"""A finite number; text such as ``"3"`` is refused rather than converted."""
Whole = Annotated[int, Strict()]
"""An integer; ``true`` and ``3.0`` are refused."""
Flag = Annotated[bool, Strict()]
"""``true`` or ``false``."""


class Model(BaseModel):
    """A frozen, strict model: unknown keys are refused with a suggestion, errors are worded for users."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="wrap")
    @classmethod
    def _in_our_words(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            lines = [
                InitErrorDetails(type=reword(line, cls.model_fields), loc=line["loc"], input=line["input"])
                for line in error.errors(include_url=False)
            ]
            raise ValidationError.from_exception_data(cls.__name__, lines) from None


class Component(Model):
    """A plugin's base: subclass it, give ``kind`` as a `Literal` and the verb of its family.

    `presets` maps a preset's name to parameter values; they fill what the user leaves out.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    kind: str

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        name = data.get("preset") if isinstance(data, Mapping) else None
        if name is None or not cls.presets:
            return data
        if not isinstance(name, str) or name not in cls.presets:
            text = f"{shown(name)} is not known: {suggestion(name, cls.presets)}"
            raise _at("preset", text, name)
        return {**cls.presets[name], **data}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; one with other parameters is validated anew, so its digest and its files are its own.

        Relative paths of files then start at the working folder: the scene's is no longer known.
        """
        if not update:
            return super().model_copy(deep=deep)
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate({**given, **update})

    def input_files(self) -> Mapping[str, Path]:
        """Return the files that the component reads, by parameter: what is in them is part of its digest."""
        return {}

    def distributions(self) -> tuple[str, ...]:
        """Return distributions beside the component's own whose versions decide what it makes: datasets keep them."""
        return ()

    @cached_property
    def digest(self) -> str:
        """A hash of the canonical JSON of all parameters and of the files that they name: the key of every cache."""
        content = "".join(f"{name} {input_hash(path)}" for name, path in self.input_files().items())
        return blake2b((self.model_dump_json() + content).encode(), digest_size=16).hexdigest()

    @property
    def file_name(self) -> str:
        """A short name for files about this component: its kind and the beginning of its digest."""
        return f"{self.kind}-{self.digest[:12]}"


@dataclass(frozen=True)
class Keyed:
    """A component as the key of a cache: equal to others of its class with its digest."""

    cls: type
    digest: str
    component: Any = field(compare=False, repr=False)

    @classmethod
    def of(cls, component: Any) -> Keyed:
        """Return the key of a component."""
        return cls(type(component), component.digest, component)


class PluginField:
    """Annotates a field that holds a component of one family, chosen by ``kind``.

    ``Annotated[Microscope, PluginField("microscopes")]`` reads ``kind``, loads that one class and validates its own
    parameters; a bare text is short for ``{kind: text}``.
    """

    def __init__(self, family: str) -> None:
        self.family = family

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(_as_plain),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"x-mishape-family": self.family}

    def _validate(self, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping):
            return registry.checked(self.family, value)
        if "kind" not in value:
            raise problem(f"required key 'kind' is missing: choose one of {', '.join(registry.kinds(self.family))}")
        if not isinstance(value["kind"], str):
            raise problem(f"kind {shown(value['kind'])} is not text")
        try:
            cls = registry.load(self.family, value["kind"])
        except PluginError as error:
            raise _at("kind", str(error), value["kind"]) from None
        try:
            return cls.model_validate(dict(value), context=info.context)
        except ValidationError:
            raise
        except Exception as error:  # a stranger's component may fail in any way
            raise problem(f"{value['kind']} cannot be made: {type(error).__name__}: {error}") from None


def _at(key: str, text: str, given: object) -> ValidationError:
    """Return an error about one key of a component."""
    line = InitErrorDetails(type=problem(text), loc=(key,), input=given)
    return ValidationError.from_exception_data(key, [line])


def _as_plain(component: Any) -> Any:
    """Return what was given (a preset's values included) and the kind; what was left to defaults stays left out."""
    return {"kind": component.kind, **component.model_dump(mode="json", exclude_unset=True)}
