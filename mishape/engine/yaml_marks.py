"""YAML 1.2 text -> plain data, with the line and column of every node.

PyYAML reads YAML 1.1, where ``no`` is False, ``1e-1`` is text and ``010`` is 8. Its parser is used for the grammar;
scalars follow the core schema of YAML 1.2.2 (section 10.3.2), duplicate keys, tags and oversized documents are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from mishape.engine.errors import SpecError

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_NODES = 100_000
MAX_DIGITS = 250
"""Whole numbers stay within the range of a float."""

Path = tuple[str | int, ...]
Event = Any
"""An event of PyYAML's parser; its stubs leave out what events hold."""
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_WHOLE = re.compile(f"{_INT.pattern}|{_BASED.pattern}")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
}


@dataclass
class Source:
    """A text with its name and the position of each node; positions count from 1."""

    name: str
    text: str
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def complaint(self, path: Path, text: str) -> str:
        """Return ``name:line:column: path: text`` with the source line below, at the nearest node that exists."""
        known = path
        while known and known not in self.marks:
            known = known[:-1]
        dotted = ".".join(str(part) if str(part).isprintable() else repr(part) for part in path)
        text = f"{dotted}: {text}" if dotted else text
        return self.complaint_at(*self.marks[known], text) if known in self.marks else f"{self.name}: {text}"

    def complaint_at(self, line: int, column: int, text: str) -> str:
        """Return ``name:line:column: text`` with the source line below."""
        lines = self.text.splitlines()
        shown = f"\n    {lines[line - 1].rstrip()[:200]}" if 0 < line <= len(lines) else ""
        return f"{self.name}:{line}:{column}: {text}{shown}"


def parse(text: str, name: str) -> tuple[Any, Source]:
    """Read one YAML document.

    Returns
    -------
    The data (dict, list, str, int, float, bool, None) and its `Source`.

    Raises
    ------
    SpecError
        With file, line and column: not YAML, a duplicate key, a tag, more than one document, more than 1 MiB, more
        than 40 levels, or more than 100 000 nodes after aliases are expanded.
    """
    if (size := len(text.encode(errors="surrogatepass"))) > MAX_BYTES:
        raise SpecError(f"{name}: {size} bytes given: a scene file may hold at most {MAX_BYTES}")
    source = Source(name, text)
    try:
        return _Reader(source).document(), source
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        what = f"this is not YAML: {error.problem or error.context}"
        raise SpecError(source.complaint_at(mark.line + 1, mark.column + 1, what) if mark else what) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position].splitlines() or [""]
        what = f"this is not YAML: character {chr(error.character)!r} is not allowed"
        raise SpecError(source.complaint_at(len(before), len(before[-1]) + 1, what)) from None


class _Reader:
    """Builds data from the parser's events; its own depth stays within MAX_DEPTH."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.events: Iterator[Event] = iter(yaml.parse(source.text, Loader=yaml.SafeLoader))
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0

    def document(self) -> Any:
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise SpecError(f"{self.source.name}: the file is empty: a scene needs mishape, objects and views")
        data = self.value(next(self.events), ())
        next(self.events)
        end = next(self.events)
        if not isinstance(end, yaml.StreamEndEvent):
            self.refuse(end, "a second document starts here: a scene file holds one")
        return data

    def refuse(self, event: Event, text: str) -> None:
        raise SpecError(self.source.complaint_at(event.start_mark.line + 1, event.start_mark.column + 1, text))

    def value(self, event: Event, path: Path) -> Any:
        self.source.marks.setdefault(path, (event.start_mark.line + 1, event.start_mark.column + 1))
        before = self.nodes
        self.count(event, 1)
        if len(path) > MAX_DEPTH:
            self.refuse(event, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        self.no_tag(event)
        data = self.content(event, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = (data, self.nodes - before)
        return data

    def no_tag(self, event: Event) -> None:
        if event.tag not in (None, "!"):
            self.refuse(event, f"tag {event.tag!r} is not allowed: scene files hold plain data")

    def count(self, event: Event, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self.refuse(event, f"more than {MAX_NODES} values once aliases are expanded: make the file smaller")

    def alias(self, event: Event) -> Any:
        if event.anchor not in self.anchors:
            self.refuse(event, f"alias *{event.anchor} has no finished anchor &{event.anchor} before it")
        data, nodes = self.anchors[event.anchor]
        self.count(event, nodes)
        return data

    def content(self, event: Event, path: Path) -> Any:
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(path)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(path)
        if event.implicit[0] and len(event.value) > MAX_DIGITS and _WHOLE.fullmatch(event.value):
            self.refuse(event, f"a whole number of more than {MAX_DIGITS} digits is too large")
        return scalar(event.value) if event.implicit[0] else event.value

    def sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.value(event, (*path, len(items))))
        return items

    def mapping(self, path: Path) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.refuse(event, "a key must be text")
            self.no_tag(event)
            if event.value == "<<" and event.implicit[0]:
                self.refuse(event, "merge keys (<<) are not part of YAML 1.2: write the keys out")
            if event.value in items:
                first = self.source.marks[*path, event.value][0]
                self.refuse(event, f"duplicate key {event.value!r}: it stands in line {first} already")
            self.source.marks[*path, event.value] = (event.start_mark.line + 1, event.start_mark.column + 1)
            items[event.value] = self.value(next(self.events), (*path, event.value))
        return items


def scalar(text: str) -> Any:
    """Return a plain scalar's value by the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    return float(text) if _FLOAT.fullmatch(text) else text
