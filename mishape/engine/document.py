"""What must be right in a spec's document before its values can be validated: layout, and how draws are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mishape.engine import draws
from mishape.engine.wording import shown, suggestion
from mishape.engine.yaml_marks import Path

HEAD_KEYS = ("mishape", "seed", "samples", "dataset")
TOP_KEYS = (*HEAD_KEYS, "objects", "views", "truths")
PLAN_KEYS = ("count", "repeat_each")
OBJECT_KEYS = ("shape", "pose", "labeler", "channel")
FIXED_IN_VIEW = ("grid", "montage", "sees", "optics_pool")
"""A view's arrays have one size and one meaning in all samples."""

Fault = tuple[Path, str]


def layout_faults(document: Any) -> Iterator[Fault]:
    """Yield what keeps draws from being looked for."""
    if not isinstance(document, Mapping):
        yield (), f"{shown(document)} is not a scene: expected a mapping with mishape, objects and views"
        return
    yield from _missing_faults(document)
    for key, kind, name in (("objects", list, "a list"), ("views", Mapping, "a mapping of names to views")):
        if key in document and not isinstance(document[key], kind):
            yield (key,), f"{shown(document[key])} is not {name}"
    yield from _template_faults(document)
    yield from _fixed_faults(document)


def _missing_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    missing = [key for key in ("objects", "views", "mishape") if key not in document]
    for key in missing:
        hint = ": begin the file with mishape: 1" if key == "mishape" else ""
        yield (), f"required key {key!r} is missing{hint}"
    if missing:
        # A key that is missing is often one that was misspelt.
        yield from _unknown_faults(document)


def _unknown_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    for key in document:
        if key not in TOP_KEYS:
            yield (key,), f"unknown key {key!r}: {suggestion(key, TOP_KEYS)}"


def _template_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    objects = document.get("objects")
    for number, template in enumerate(objects if isinstance(objects, list) else ()):
        if not isinstance(template, Mapping):
            yield ("objects", number), f"{shown(template)} is not an object: expected a mapping with 'shape'"
        elif draws.is_draw(template):
            yield ("objects", number), "an object is not drawn as a whole: draw its shape, or its count from 0"
        elif draws.is_draw(template.get("repeat_each")):
            yield ("objects", number, "repeat_each"), "repeat_each is the same for all samples: no draw here"


def _fixed_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    views = document.get("views")
    names = views if isinstance(views, Mapping) else ()
    fixed: list[Path] = [(key,) for key in (*HEAD_KEYS, "truths")]
    fixed += [("views", name, key) for name in names for key in FIXED_IN_VIEW]
    for path in [("views",), *(("views", name) for name in names)]:
        if draws.is_draw(at(document, path)):
            yield path, "views are the same for all samples: draw inside a microscope or a noise"
    for path in fixed:
        for where in draws_in(at(document, path), path):
            yield where, f"{path[-1]} is the same for all samples: no draw here"


def key_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the keys that are not known, and the channels that no object has."""
    yield from _unknown_faults(document)
    for number, template in enumerate(document["objects"]):
        for key in template:
            if key not in (*PLAN_KEYS, *OBJECT_KEYS):
                text = f"unknown key {key!r}: {suggestion(key, (*PLAN_KEYS, *OBJECT_KEYS))}"
                yield ("objects", number, key), text
    channels = {str(name) for thing in document["objects"] for name in draws.options(thing.get("channel", "main"))}
    for name in document["views"] if channels else ():
        sees = at(document, ("views", name, "sees"))
        for channel in sees if isinstance(sees, Mapping) else ():
            if channel not in channels:
                yield ("views", name, "sees", channel), f"no object has this channel: {suggestion(channel, channels)}"


def draw_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield every draw that is written wrongly."""
    for key in ("objects", "views"):
        for where in draws_in(document[key], (key,)):
            try:
                draws.law_of(at(document, where), where)
            except draws.DrawError as error:
                yield error.path, str(error)


def drawn(document: Mapping[str, Any], path: Path, text: str) -> str:
    """Return a complaint with a hint if the value at its path comes from draws: there, above it or below it."""
    nodes = (at(document, path[:length]) for length in range(1, len(path) + 1))
    above = [f" (the draw {next(iter(node))} can give this)" for node in nodes if draws.is_draw(node)]
    below = any(draws_in(at(document, path), path)) and not text.startswith("required key")
    return text + ("".join(above) or (" (a draw below can give this)" if below else ""))


def draws_in(node: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all draws, those inside draws too."""
    if draws.is_draw(node):
        yield path
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from draws_in(value, (*path, key))


def at(node: Any, path: Path) -> Any:
    """Return the node at a path, or None."""
    for part in path:
        inside = isinstance(node, Mapping) and part in node
        inside = inside or (isinstance(node, list) and isinstance(part, int) and part < len(node))
        if not inside:
            return None
        node = node[part]
    return node
