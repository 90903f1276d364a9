"""Templates -> objects: counts and montages multiplied out, every draw made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import Field

from mishape.engine.component import Model, Whole
from mishape.engine.document import OBJECT_KEYS, draws_in
from mishape.engine.draws import Law, Pick, resolve, variant_pick
from mishape.engine.scene import Scene
from mishape.engine.seeding import Stage, stream
from mishape.engine.yaml_marks import Path

Group = Callable[[int], int]
"""A sample's number -> the number of the group of samples that share a value."""
Choose = Callable[[Law, Any, Path, Group], Any]
"""(law, arguments, path, which samples share the value) -> value."""


class ObjectPlan(Model):
    """What an object's template says beside the object itself."""

    count: Whole = Field(default=1, ge=0, le=10_000)
    """How many instances, each with draws of its own; 0 to 10000; default 1."""
    repeat_each: Whole = Field(default=1, ge=1, le=100_000)
    """For how many consecutive samples the shape stays the same; default 1."""


def seeded(seed: int, number: int) -> Choose:
    """Return the choices of one sample; a value that samples share is keyed by their group's number."""

    def choose(law: Law, args: Any, path: Path, group: Group) -> Any:
        ours = group(number)
        return law.pick(args, stream(seed, ours, Stage.DRAW, ".".join(map(str, path))), ours)

    return choose


def extreme(variant: int) -> Choose:
    """Return choices at the ends of every draw, by the variant's number."""
    pick = variant_pick(variant)
    return lambda law, args, path, group: pick(law, args, path)


def repeating(choose: Choose, samples: int) -> Pick:
    """Return the choices of values that stay the same for so many samples."""
    return lambda law, args, path: choose(law, args, path, lambda number: number // samples)


def pooled(choose: Choose, members: int) -> Pick:
    """Return the choices of values of which there are so many, taken in turn."""
    return lambda law, args, path: choose(law, args, path, lambda number: number % members)


def expand(
    document: Mapping[str, Any], fields: Sequence[Sequence[ObjectPlan]], choose: Choose, number: int = 0
) -> tuple[dict[str, Any], list[int]]:
    """Return the data of a `Scene` and, for each of its objects, the number of its template.

    Parameters
    ----------
    fields
        For each independent field, one plan per template.
    number
        The sample's number.
    """
    objects, templates = [], []
    for tile, plans in enumerate(fields):
        for template, plan in enumerate(plans):
            for instance in range(plan.count):
                path = (*field_path(tile), template, instance)
                ours = {"path": ".".join(map(str, path)), "group": number // plan.repeat_each, "tile": tile}
                objects.append({**_drawn(document["objects"][template], plan, choose, path), **ours})
                templates.append(template)
    views = {name: _view(view, choose, ("views", name)) for name, view in document["views"].items()}
    data = {"views": views, "objects": objects}
    for key in ("mishape", "truths"):
        if key in document:
            data[key] = document[key]
    return data, templates


def settled(document: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
    """Return the document with the components of a scene in place of what holds no draw: to `expand` it is the same.

    Parameters
    ----------
    scene
        A scene of the document with one object of each template.
    """
    objects = [
        {key: _settled(value, getattr(thing, key)) if key in OBJECT_KEYS else value for key, value in template.items()}
        for template, thing in zip(document["objects"], scene.objects, strict=True)
    ]
    views = {name: _settled(value, scene.views[name]) for name, value in document["views"].items()}
    truths = {"truths": scene.truths} if "truths" in document else {}
    return {**document, "objects": objects, "views": views, **truths}


def _settled(node: Any, component: Any) -> Any:
    return node if any(True for _ in draws_in(node)) else component


def field_path(tile: int) -> Path:
    """Return the key of the random streams of one field's objects."""
    return (*((f"tile{tile}",) if tile else ()), "objects")


def _view(view: Any, choose: Choose, path: Path) -> Any:
    """Return a view with its draws made: those of its microscope from a pool, if it has one."""
    resolved = resolve(view, path, repeating(choose, 1))
    members = view.get("optics_pool") if isinstance(view, Mapping) else None
    if isinstance(members, int) and members > 0 and "microscope" in view:
        resolved["microscope"] = resolve(view["microscope"], (*path, "microscope"), pooled(choose, members))
    return resolved


def _drawn(template: Mapping[str, Any], plan: ObjectPlan, choose: Choose, path: Path) -> dict[str, Any]:
    repeats = {"shape": plan.repeat_each}
    return {
        key: resolve(value, (*path, key), repeating(choose, repeats.get(key, 1)))
        for key, value in template.items()
        if key in OBJECT_KEYS
    }


def tiles(document: Mapping[str, Any]) -> int:
    """Return how many independent fields the largest montage needs; what is not a montage is left to validation."""
    counts = [1]
    for view in document["views"].values():
        montage = view.get("montage") if isinstance(view, Mapping) else None
        if isinstance(montage, list) and len(montage) == 2 and all(isinstance(n, int) and 0 < n <= 64 for n in montage):
            counts.append(montage[0] * montage[1])
    return max(counts)
