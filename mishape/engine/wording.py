"""Validation errors in a user's words: what was given, what was expected, what to do."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sized
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

OURS = "mishape"
_TYPES = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of keys to values",
    "model": "a mapping of keys to values",
    "dataclass": "a mapping of keys to values",
}
_WRONG_TYPE = ("_type", "_parsing", "_from_float", "_unicode")
_BOUNDS = {
    "less_than": ("too large", "below", "lt"),
    "less_than_equal": ("too large", "at most", "le"),
    "greater_than": ("too small", "above", "gt"),
    "greater_than_equal": ("too small", "at least", "ge"),
}


def problem(text: str) -> PydanticCustomError:
    """Return a validation error with exactly this text."""
    return PydanticCustomError(OURS, "{text}", {"text": text})


def suggestion(given: object, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'? `` if something near is known, and the list of what is."""
    known = sorted(known)
    near = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}(known: {', '.join(known)})"


def shown(value: object, limit: int = 60) -> str:
    """Return a value as a message shows it: short, text in quotes, null and true as YAML has them."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def reword(line: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> PydanticCustomError:
    """Return one of pydantic's error lines in our words; lines that are ours already stay as they are."""
    code, given = line["type"], line["input"]
    if code == OURS:
        return problem(line["ctx"]["text"])
    info, siblings = _field(line["loc"], fields)
    return problem(_text(code, given, line, list(siblings), _about(info)))


def _field(loc: tuple[int | str, ...], fields: Mapping[str, FieldInfo]) -> tuple[FieldInfo | None, Mapping[str, Any]]:
    """Return the innermost field that a place names, looking into dataclasses, and the fields beside it."""
    info = fields.get(str(loc[0])) if loc else None
    inside = getattr(info and info.annotation, "__pydantic_fields__", None)
    return _field(loc[1:], inside) if inside and loc[1:] else (info, fields)


def _about(info: FieldInfo | None) -> str:
    """Return the field's description up to its first stop, in brackets."""
    if info is None or not info.description:
        return ""
    first = " ".join(re.split(r"\.(?:\s|$)|;", info.description)[0].split())
    plain = first[1:2].islower() or first[1:2] == " "
    return f" ({first[0].lower() + first[1:] if plain else first})"


def _text(code: str, given: object, line: Mapping[str, Any], names: list[str], about: str) -> str:
    context = line.get("ctx", {})
    if code in _BOUNDS:
        verdict, relation, key = _BOUNDS[code]
        return f"{shown(given)} is {verdict}: must be {relation} {context[key]:g}{about}"
    if code in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key {str(line['loc'][-1])!r}: {suggestion(line['loc'][-1], names)}"
    if code in ("missing", "missing_argument"):
        last = line["loc"][-1]
        return f"item {last + 1} is missing{about}" if isinstance(last, int) else f"required key is missing{about}"
    if code == "literal_error":
        allowed = [item.strip(" '") for item in context["expected"].replace(" or ", ", ").split(", ")]
        return f"{shown(given)} is not known: {suggestion(given, allowed)}"
    if code == "finite_number":
        return f"{shown(given)} is not a finite number{about}"
    if code in ("too_short", "too_long"):
        limit = f"at least {context['min_length']}" if code == "too_short" else f"at most {context['max_length']}"
        return f"{len(given) if isinstance(given, Sized) else 'too many'} items given{about}: expected {limit}"
    if code == "value_error":
        return str(line["msg"]).removeprefix("Value error, ")
    return _type_text(code, given, line, about)


def _type_text(code: str, given: object, line: Mapping[str, Any], about: str) -> str:
    expected = _TYPES.get(code.split("_")[0])
    if expected is None or not code.endswith(_WRONG_TYPE):
        return f"{shown(given)}: {line['msg']}{about}"
    return f"{shown(given)} is not {expected}{about}"
