"""The spec: a YAML document that may hold random draws, read, checked, and turned into scenes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import ValidationError

from mishape.engine import draws
from mishape.engine.component import Model
from mishape.engine.document import HEAD_KEYS, draw_faults, drawn, key_faults, layout_faults
from mishape.engine.errors import SpecError
from mishape.engine.expansion import Choose, ObjectPlan, expand, extreme, field_path, repeating, seeded, settled, tiles
from mishape.engine.head import Head
from mishape.engine.packaged import packaged_libraries
from mishape.engine.protocols import ShapeSource
from mishape.engine.scene import Scene, SceneObject
from mishape.engine.shape_check import ShapeCheck
from mishape.engine.shape_choice import ShapeChoice
from mishape.engine.splits import Place, place
from mishape.engine.yaml_marks import Path, Source, parse

M = TypeVar("M", bound=Model)
MAX_VARIANTS = 1000
LIBRARY_KEYS = ("library", "match")
"""Parameters of shape sources that name a library."""
MAX_OBJECTS = 65_535
"""Masks number the objects with 16 bits."""


@dataclass(frozen=True)
class Spec:
    """A scene document: draws and all.

    Parameters
    ----------
    document
        The YAML's data.
    source
        Its text and positions, for error messages.
    folder
        Where relative paths in the document start.
    """

    document: Mapping[str, Any]
    source: Source
    folder: FilePath = field(default_factory=FilePath.cwd)

    @cached_property
    def head(self) -> Head:
        """Seed, samples and dataset plan."""
        return self._validated(Head, {key: self.document[key] for key in HEAD_KEYS if key in self.document})

    @property
    def seed(self) -> int:
        """Seed of all random streams."""
        return self.head.seed

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.head.samples

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the document without `samples`: specs of one hash make the same sample i."""
        content = {key: value for key, value in self.document.items() if key != "samples"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def with_values(self, samples: int | None = None, seed: int | None = None, shard_size: int | None = None) -> Spec:
        """Return the spec with another number of samples, seed or shard size."""
        changed = {**self.document}
        changed.update({key: value for key, value in (("samples", samples), ("seed", seed)) if value is not None})
        if shard_size is not None:
            changed["dataset"] = {**(self.document.get("dataset") or {}), "shard_size": shard_size}
        spec = Spec(changed, self.source, self.folder)
        return spec if spec.head else self

    def with_view(self, name: str) -> Spec:
        """Return the spec with one of its views alone and without truths: that view's images are the same."""
        document = {key: value for key, value in self.document.items() if key != "truths"}
        return Spec({**document, "views": {name: self.document["views"][name]}}, self.source, self.folder)

    def with_library(self, library: str | FilePath) -> Spec:
        """Return the spec with this library, a packaged one's name or a path, wherever its objects name one.

        Raises
        ------
        SpecError
            If no object does.
        """
        place = str(library) if str(library) in packaged_libraries() else str(FilePath(library).resolve())
        named: list[Any] = []
        objects = _with_library(self.document["objects"], place, named)
        if not named:
            raise SpecError(f"{self.source.name}: no object takes its shape from a library: leave --library out")
        return Spec({**self.document, "objects": objects}, self.source, self.folder)

    def scene(self, number: int) -> Scene:
        """Return one sample's scene: every draw made, every shape chosen.

        Raises
        ------
        SpecError
            If the drawn values do not make a valid scene, with file, line and column.
        """
        return self._scene(number, self.document)

    def scenes(self, numbers: Iterable[int]) -> Iterator[Scene]:
        """Yield the scenes of many samples, the same as one by one: what no draw touches is validated once for all."""
        plans = [ObjectPlan() for _ in self.document["objects"]]
        data, templates = expand(self.document, [plans], extreme(0))
        ready = settled(self.document, self._validated(Scene, data, templates))
        # Not a generator: one scene that fails leaves the next ones to be asked for.
        return map(partial(self._scene, document=ready), numbers)

    def _scene(self, number: int, document: Mapping[str, Any]) -> Scene:
        if number < 0:
            raise SpecError(f"sample {number} does not exist: numbers start at 0")
        choose = seeded(self.seed, number)
        fields = [self._plans(choose, tile) for tile in range(tiles(self.document))]
        if (total := sum(plan.count for plans in fields for plan in plans)) > MAX_OBJECTS:
            text = f"{total} objects in {len(fields)} field(s) are too many: at most {MAX_OBJECTS} in a sample"
            raise SpecError(self.source.complaint(("objects",), text))
        data, templates = expand(document, fields, choose, number)
        scene = self._validated(Scene, {**data, "seed": self.seed, "sample": number}, templates)
        first = next((thing for thing, template in zip(scene.objects, templates, strict=True) if template == 0), None)
        where, walk = self._place(number, [plan.repeat_each for plan in fields[0]], first)
        chosen = []
        for thing, template in zip(scene.objects, templates, strict=True):
            shape_id = self._choice.shape_id(thing, template, where, walk if thing is first else None)
            chosen.append(thing.model_copy(update={"shape_id": shape_id}))
        return scene.model_copy(update={"objects": chosen, "split": where.split})

    def _place(self, number: int, repeats: Sequence[int], first: SceneObject | None) -> tuple[Place, int]:
        """Return where a sample belongs, and which of its split's shapes the first object takes, in their order."""
        cycle, own = math.lcm(*repeats), repeats[0] if repeats else 1
        plan, group = self.head.dataset, number // cycle
        if not plan.every_shape:
            where = place(self.seed, group, plan.ratios)
            return where, where.number * (cycle // own) + number % cycle // own
        if cycle > own:
            text = f"the objects' repeat_each ({', '.join(map(str, repeats))}) must divide that of the first"
            raise SpecError(self.source.complaint(("dataset", "every_shape"), text))
        where = self._choice.in_turn(first, group)
        return where, where.number

    def check(self) -> None:
        """Validate everything that needs no simulation: keys, values, both ends of every draw, splits.

        Raises
        ------
        SpecError
            With every complaint, each with file, line and column.
        """
        self._raise(layout_faults(self.document))
        self._raise(draw_faults(self.document))
        problems = dict.fromkeys(self.source.complaint(*fault) for fault in key_faults(self.document))
        count = max(draws.variants(self.document[key]) for key in ("objects", "views"))
        shapes = ShapeCheck()
        steps: list[Callable[[], object]] = [lambda: self.head]
        steps += [partial(self._check_variant, extreme(number), shapes) for number in range(min(count, MAX_VARIANTS))]
        for step in steps:
            try:
                step()
            except SpecError as error:
                problems.update(dict.fromkeys(error.problems))
        if problems:
            raise SpecError(list(problems))
        self.scene(0)

    def shape_sources(self) -> list[ShapeSource]:
        """Return every shape source that the objects may have, at the ends of all draws."""
        found: dict[str, ShapeSource] = {}
        for number in range(min(draws.variants(self.document["objects"]), MAX_VARIANTS)):
            for thing in self._variant(extreme(number))[0]:
                found.setdefault(thing.shape.model_dump_json(), thing.shape)  # type: ignore[attr-defined]
        return list(found.values())

    @cached_property
    def _choice(self) -> ShapeChoice:
        return ShapeChoice(self.seed, self.head.dataset.ratios, self.source)

    def _variant(self, choose: Choose) -> tuple[list[SceneObject], list[int]]:
        """Return one instance of each object, whatever its count, in one field, and the numbers of their templates."""
        plans = [ObjectPlan() for _ in self._plans(choose)]
        data, templates = expand(self.document, [plans], choose)
        return self._validated(Scene, data, templates).objects, templates

    def _check_variant(self, choose: Choose, shapes: ShapeCheck) -> None:
        """Validate one instance of each object."""
        things, templates = self._variant(choose)
        for thing, template in zip(things, templates, strict=True):
            for split, _ in self.head.dataset.ratios:
                self._choice.of_split(thing, template, split)
        found = ((("objects", template, "shape"), shapes.fault(thing.shape)) for template, thing in enumerate(things))
        self._raise((path, fault) for path, fault in found if fault)

    def _plans(self, choose: Choose, tile: int = 0) -> list[ObjectPlan]:
        plans = []
        for number, template in enumerate(self.document["objects"]):
            given = {key: template[key] for key in ObjectPlan.model_fields if key in template}
            if "count" in given:
                path = (*field_path(tile), number, "count")
                given["count"] = draws.resolve(given["count"], path, repeating(choose, 1))
            plans.append(self._validated(ObjectPlan, given, prefix=("objects", number)))
        return plans

    def _raise(self, faults: Iterator[tuple[Path, str]]) -> None:
        complaints = [self.source.complaint(path, text) for path, text in faults]
        if complaints:
            raise SpecError(complaints)

    def _validated(self, model: type[M], data: Any, templates: Sequence[int] = (), prefix: Path = ()) -> M:
        try:
            return model.model_validate(data, context={"folder": self.folder})
        except ValidationError as error:
            complaints = dict.fromkeys(
                self._complaint(line, templates, prefix) for line in error.errors(include_url=False)
            )
            raise SpecError(list(complaints)) from None

    def _complaint(self, line: Any, templates: Sequence[int], prefix: Path) -> str:
        path: Path = (*prefix, *(part for part in line["loc"] if part != "[key]"))
        if templates and len(path) > 1 and path[0] == "objects" and isinstance(path[1], int):
            path = ("objects", templates[path[1]], *path[2:])
        return self.source.complaint(path, drawn(self.document, path, line["msg"]))


def _with_library(value: Any, place: str, named: list[Any]) -> Any:
    """Return a part of the document with another library; those that it named are added to the list."""
    if isinstance(value, list):
        return [_with_library(item, place, named) for item in value]
    if not isinstance(value, Mapping):
        return value
    named += [item for key, item in value.items() if key in LIBRARY_KEYS]
    return {key: place if key in LIBRARY_KEYS else _with_library(item, place, named) for key, item in value.items()}


def load_spec(scene: str | FilePath | Mapping[str, Any]) -> Spec:
    """Read and check a scene.

    Parameters
    ----------
    scene
        Path of a YAML file, or its data as a mapping.

    Raises
    ------
    SpecError
        With every complaint: ``file:line:column: path: what is wrong``.
    """
    if isinstance(scene, Mapping):
        spec = Spec(_plain(scene), Source("scene", ""))
    else:
        path = FilePath(scene)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise SpecError(f"scene file {str(path)!r} does not exist: give the path of a YAML file") from None
        except (OSError, ValueError) as error:
            raise SpecError(f"scene file {str(path)!r} cannot be read: {error}") from None
        document, source = parse(text, str(path))
        spec = Spec(document, source, path.resolve().parent)
    spec.check()
    return spec


def _plain(scene: Mapping[str, Any]) -> Any:
    """Hold a mapping to the rules of a file: JSON is YAML."""
    try:
        text = json.dumps(dict(scene), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"the scene is not plain data: {error}") from None
    return parse(text, "scene")[0]
