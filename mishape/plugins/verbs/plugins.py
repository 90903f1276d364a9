"""``mishape plugins``: what is installed, and what it can be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

INDENT = "  "
BOUNDS = (("exclusiveMinimum", ">"), ("minimum", ">="), ("exclusiveMaximum", "<"), ("maximum", "<="))


@dataclass(frozen=True)
class Entry:
    """A parameter, or one of the named things that it can be: a preset, or a kind of mapping.

    Parameters
    ----------
    name, text
        Its name, and what is known of it.
    inside
        A mapping's own parameters; a parameter's presets and kinds of mapping.
    chosen_by
        The key that chooses it, ``preset`` or ``kind``; empty for a parameter.
    """

    name: str
    text: str
    inside: tuple[Entry, ...] = ()
    chosen_by: str = ""


Names = tuple[str, ...]
Json = dict[str, Any]


def plugins(
    name: Annotated[str | None, typer.Argument(help="Explain the kind, preset or parameter of this name.")] = None,
) -> None:
    """List every plugin by family, or explain a kind, a preset or a parameter: units, ranges, choices and defaults."""
    from mishape.engine import registry

    found = [offer for family in registry.VERBS for offer in registry.offers(family)]
    if name is None:
        for offer in found:
            print(f"{offer.family:12} {offer.kind:20} {offer.distribution} {offer.version}")
        return
    matching = [explanation(offer.family, offer.kind) for offer in found if offer.kind == name]
    print("\n".join(matching or _places(name)))


def explanation(family: str, kind: str) -> str:
    """Return a plugin's documentation and its parameters."""
    import inspect

    from mishape.engine import registry

    cls = registry.load(family, kind)
    entries = [line for entry in parameters(cls) for line in lines_of(entry, INDENT)]
    return "\n".join([f"{family} {kind}", "", inspect.getdoc(cls) or "", "", *entries])


def lines_of(entry: Entry, indent: str = "") -> Iterator[str]:
    """Yield an entry and all inside it, one line each."""
    named = f"{entry.chosen_by} {entry.name}".lstrip()
    yield f"{indent}{named}: {entry.text}".rstrip()
    for inner in entry.inside:
        yield from lines_of(inner, indent + INDENT)


def _places(name: str) -> list[str]:
    """Return where presets, kinds of mapping and parameters of a name belong: those that are alike together.

    Raises
    ------
    PluginError
        If nothing has this name.
    """
    known: set[str] = set()
    alike: dict[tuple[Names, Entry], list[str]] = {}
    for kind, entries in _usable():
        known.add(kind)
        for above, entry in _below(entries):
            if entry.chosen_by:
                known.add(entry.name)
            if entry.name == name:
                alike.setdefault((above, entry), []).append(kind)
    if not alike:
        from mishape.engine.errors import PluginError
        from mishape.engine.wording import suggestion

        raise PluginError(f"nothing is named {name!r}: {suggestion(name, known)}")
    return [_place(above, entry, kinds) for (above, entry), kinds in alike.items()]


def _usable() -> Iterator[tuple[str, list[Entry]]]:
    """Yield every plugin that is not broken, and its parameters."""
    from mishape.engine import registry
    from mishape.engine.errors import PluginError

    for family in registry.VERBS:
        for kind in registry.kinds(family):
            try:
                yield kind, parameters(registry.load(family, kind))
            except PluginError:
                continue


def _below(entries: Iterable[Entry], above: Names = ()) -> Iterator[tuple[Names, Entry]]:
    """Yield all entries at any depth, each with the names of those that it stands in."""
    for entry in entries:
        yield above, entry
        yield from _below(entry.inside, (*above, entry.name))


def _place(above: Names, entry: Entry, kinds: list[str]) -> str:
    role = entry.chosen_by or "parameter"
    of = " of ".join([*(name for name in reversed(above) if name != role), ", ".join(kinds)])
    head = f"{entry.name} is a {role} of {of}: {entry.text.rstrip('.')}; see `mishape plugins {kinds[0]}`"
    return "\n".join([head, *(line for inner in entry.inside for line in lines_of(inner, INDENT))])


def parameters(cls: Any) -> list[Entry]:
    """Return a plugin's parameters; none of a class that has no model."""
    if not hasattr(cls, "model_json_schema"):
        return []
    from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

    class Lenient(GenerateJsonSchema):
        """A stranger's parameter may be of any type: one that JSON does not know has a description and nothing else."""

        def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
            pass

        def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Json:
            return {}

    schema = cls.model_json_schema(schema_generator=Lenient)
    return list(_entries(schema, schema.get("$defs", {}), getattr(cls, "presets", {})))


def _entries(model: Json, definitions: Json, presets: Mapping[str, Mapping[str, Any]]) -> Iterator[Entry]:
    """Yield the parameters in a model's schema; `kind` says what it is."""
    for name, schema in model.get("properties", {}).items():
        if name == "kind":
            continue
        forms = [_resolved(form, definitions) for form in schema.get("anyOf", [schema])]
        inside = [entry for form in forms for entry in _mapping(form, definitions)]
        if name == "preset":
            inside += [Entry(preset, _values(given), chosen_by="preset") for preset, given in presets.items()]
        about = " ".join(schema.get("description", "").split())
        limits = _limits(schema, forms, name in model.get("required", ()))
        yield Entry(name, " ".join(filter(None, (about, limits))), tuple(inside))


def _resolved(schema: Json, definitions: Json) -> Json:
    return definitions[schema["$ref"].removeprefix("#/$defs/")] if "$ref" in schema else schema


def _mapping(form: Json, definitions: Json) -> list[Entry]:
    """Return what a form of a value has inside: a mapping's parameters, below its kind if it has one."""
    entries = list(_entries(form, definitions, {}))
    kind = form.get("properties", {}).get("kind", {}).get("const")
    if kind is None:
        return entries
    about = form.get("description", "").partition("\n\n")[0]
    return [Entry(kind, " ".join(about.split()), tuple(entries), chosen_by="kind")]


def _limits(schema: Json, forms: list[Json], required: bool) -> str:
    """Return bounds, choices and default in brackets."""
    bounds = [f"{sign} {form[key]:g}" for form in forms for key, sign in BOUNDS if key in form]
    choices = [_shown(one) for form in forms for one in form.get("enum", [form["const"]] if "const" in form else [])]
    parts = [", ".join(bounds)] if bounds else []
    parts += [f"one of: {', '.join(choices)}"] if choices else []
    parts += ["required"] if required else []
    parts += [f"default {_shown(schema['default'])}"] if "default" in schema else []
    return f"[{'; '.join(parts)}]" if parts else ""


def _values(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_shown(value)}" for name, value in given.items())


def _shown(value: Any) -> str:
    """Return a value as a scene has it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
