"""JSON Schema (draft 7, which editors read) of scene files and of dataset.json, made from the models."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from mishape.engine import registry
from mishape.engine.document import FIXED_IN_VIEW, OBJECT_KEYS
from mishape.engine.draws import LAWS, LISTS
from mishape.engine.errors import PluginError
from mishape.engine.expansion import ObjectPlan
from mishape.engine.head import Head
from mishape.engine.manifest import Manifest
from mishape.engine.record import HoleRecord, Record
from mishape.engine.scene import NAME, SceneObject, View
from mishape.engine.seals import ShardSeal
from mishape.engine.sources import LibrarySeal

Json = dict[str, Any]
Model = tuple[Json, Json]
"""A model's schema, and the definitions that it refers to."""
DRAFT = "http://json-schema.org/draft-07/schema#"
OURS = "mishape"
"""The distribution whose plugins are built in."""
FAMILIES = ("shapes", "labelers", "microscopes", "noises")
"""Families that a scene chooses from by `kind`; truths are chosen by key."""

_PAIR = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_OPTIONS = {"anyOf": [{"type": "array", "minItems": 1}, {"enum": list(LISTS)}]}
_ARGUMENTS: Mapping[str, Json] = {
    "$uniform": _PAIR,
    "$loguniform": _PAIR | {"items": {"type": "number", "exclusiveMinimum": 0}},
    "$normal": _PAIR,
    "$integer": _PAIR | {"items": {"type": "integer"}},
    "$choice": _OPTIONS,
    "$cycle": _OPTIONS,
}
_DRAWN = {
    "drawn_number": tuple(LAWS),
    "drawn_whole": ("$integer", "$choice", "$cycle"),
    "drawn_value": ("$choice", "$cycle"),
}
"""Definition -> the laws that can give such a value."""


def scene_schema(installed: bool = False) -> Json:
    """Return the schema of scene files.

    Parameters
    ----------
    installed
        Include the plugins of every installed distribution, not only the built-in ones; broken ones are left out.
    """
    head, definitions = _model(Head)
    thing, thing_parts = _model(SceneObject, drawn=True)
    view, view_parts = _mixed(View, FIXED_IN_VIEW)
    plan, _ = _mixed(ObjectPlan, ("repeat_each",))
    thing["properties"] = plan["properties"] | {key: thing["properties"][key] for key in OBJECT_KEYS}
    definitions |= thing_parts | view_parts | {"object": thing, "view": view} | _draws()
    for family in FAMILIES:
        definitions |= _family(family, _kinds(family, installed))
    truths, truth_parts = _truths(_kinds("truths", installed))
    views = {"minProperties": 1, "patternProperties": {NAME: _ref("view")}}
    properties = head["properties"] | {
        "objects": {"description": "The shapes.", "type": "array", "items": _ref("object")},
        "views": _closed("Microscopes with their pixels and detectors, by name.") | views,
        "truths": _closed("Ground truths, by kind.", truths),
    }
    scene = _closed("A mishape scene.", properties) | {"required": ["mishape", "objects", "views"]}
    return {"$schema": DRAFT, "title": "mishape scene", **scene, "definitions": definitions | truth_parts}


def dataset_schema() -> Json:
    """Return the schema of dataset.json; its definitions hold those of a dataset's other JSON files and lines."""
    content, definitions = _model(Manifest)
    for name, model in (("shard", ShardSeal), ("library", LibrarySeal), ("sample", Record), ("hole", HoleRecord)):
        own, parts = _model(model)
        definitions |= {**parts, name: own}
    definitions["record"] = {"description": "A line of samples.jsonl.", "oneOf": [_ref("sample"), _ref("hole")]}
    return {"$schema": DRAFT, "title": "mishape dataset", **content, "definitions": definitions}


def _kinds(family: str, installed: bool) -> list[str]:
    return sorted({offer.kind for offer in registry.offers(family) if installed or offer.distribution == OURS})


def _ref(name: str) -> Json:
    return {"$ref": f"#/definitions/{name}"}


def _closed(about: str, properties: Json | None = None) -> Json:
    return {"description": about, "type": "object", "properties": properties or {}, "additionalProperties": False}


def _draws() -> Json:
    laws = {
        name: _closed(law.usage, {name: {"description": law.usage, **_ARGUMENTS[name]}}) | {"required": [name]}
        for name, law in LAWS.items()
    }
    return {name: {"oneOf": [laws[law] for law in given_by]} for name, given_by in _DRAWN.items()}


def _family(family: str, kinds: Iterable[str]) -> Json:
    """Return the definitions of a family and of its components: one of them, or its bare name."""
    definitions: Json = {}
    usable = []
    for kind in kinds:
        if (component := _component(family, kind, drawn=True)) is not None:
            definitions |= component[1] | {f"{family}.{kind}": component[0]}
            usable.append(kind)
    bare = {"description": "The kind alone, all else by default.", "enum": usable}
    drawn_kind = {"type": "object", "required": ["kind"], "properties": {"kind": _ref("drawn_value")}}
    return definitions | {family: {"oneOf": [*(_ref(f"{family}.{kind}") for kind in usable), bare, drawn_kind]}}


def _truths(kinds: Iterable[str]) -> Model:
    """Return the schema of each truth's parameters, and their definitions: the key says the kind."""
    truths: Json = {}
    definitions: Json = {}
    for kind in kinds:
        if (component := _component("truths", kind)) is not None:
            content, parts = component
            content["required"].remove("kind")
            truths[kind] = content | {"type": ["object", "null"]}
            definitions |= parts
    return truths, definitions


def _component(family: str, kind: str, drawn: bool = False) -> Model | None:
    """Return a component's schema and its definitions; None if it is broken."""
    try:
        cls = registry.load(family, kind)
    except PluginError:
        return None
    content = cls.model_json_schema()
    content["properties"]["kind"] = {"const": kind}
    required = [key for key in content.get("required", []) if key != "kind"]
    content["required"] = ["kind", *required]
    if presets := getattr(cls, "presets", None):
        about = content["properties"]["preset"].get("description", "")
        content["properties"]["preset"] = {"description": about, "enum": sorted(presets)}
        content["required"] = ["kind"]
        content["anyOf"] = [{"required": ["preset"]}, {"required": required}]
    return _converted(content, drawn, f"{family}.{kind}.")


def _mixed(cls: Any, fixed: Container[str]) -> Model:
    """Return a model in which some keys take no draws, nor does anything in its definitions."""
    content, definitions = _model(cls)
    drawn = _model(cls, drawn=True)[0]["properties"]
    content["properties"] |= {key: value for key, value in drawn.items() if key not in fixed}
    return content, definitions


def _model(cls: Any, drawn: bool = False) -> Model:
    return _converted(cls.model_json_schema(), drawn, "")


def _converted(schema: Json, drawn: bool, prefix: str) -> Model:
    """Turn pydantic's draft 2020-12 into draft 7; definitions get names that begin with the prefix."""
    parts = schema.pop("$defs", {})
    return _node(schema, drawn, prefix), {prefix + name: _node(part, drawn, prefix) for name, part in parts.items()}


def _node(schema: Json, drawn: bool, prefix: str) -> Json:
    """Convert a schema and all below it; what stands at keys and in lists takes draws if `drawn`."""
    if "x-mishape-family" in schema:
        family = schema["x-mishape-family"]
        return {key: schema[key] for key in ("description", "default") if key in schema} | _ref(family)
    converted: Json = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            converted[key] = {name: _value(item, drawn, prefix) for name, item in value.items()}
        elif key == "prefixItems":
            converted |= {"items": [_value(item, drawn, prefix) for item in value], "additionalItems": False}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            converted[key] = _value(value, drawn, prefix)
        elif key in ("anyOf", "oneOf", "allOf"):
            converted[key] = [_node(item, drawn, prefix) for item in value]
        elif key == "$ref":
            converted |= _ref(prefix + value.removeprefix("#/$defs/"))
        elif key != "title":
            converted[key] = value
    if "patternProperties" in converted:
        converted["additionalProperties"] = False
    return converted


def _value(schema: Json, drawn: bool, prefix: str) -> Json:
    """Convert the schema of a value, and let a draw stand in its place if `drawn`."""
    plain = _node(schema, drawn, prefix)
    about = {key: plain.pop(key) for key in ("description", "default") if key in plain}
    options = plain["anyOf"] if set(plain) == {"anyOf"} else [plain]
    if drawn and "const" not in plain:
        options = [*options, _ref(_drawn_as(options))]
    if len(options) > 1:
        return about | {"anyOf": options}
    # Beside a $ref, draft 7 reads nothing else.
    return about | ({"allOf": options} if about and "$ref" in plain else plain)


def _drawn_as(options: Iterable[Json]) -> str:
    types = {option.get("type") for option in options}
    return "drawn_number" if "number" in types else "drawn_whole" if "integer" in types else "drawn_value"
