"""The spec: a YAML document that may hold random draws, read, checked, and turned into scenes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import Field, ValidationError, field_validator

from mishape.engine import draws
from mishape.engine.component import Flag, Model, Real, Whole
from mishape.engine.document import HEAD_KEYS, at, draw_faults, layout_faults
from mishape.engine.errors import SpecError
from mishape.engine.expansion import Choose, ObjectPlan, expand, extreme, seeded
from mishape.engine.scene import Name, Scene, SceneObject
from mishape.engine.seeding import Stage, stream
from mishape.engine.splits import Place, Ratios, deal, place
from mishape.engine.wording import problem, shown
from mishape.engine.yaml_marks import Path, Source, parse

M = TypeVar("M", bound=Model)
MAX_VARIANTS = 1000


class DatasetPlan(Model):
    """How samples are laid out on disk."""

    shard_size: Whole = Field(default=64, ge=1, le=100_000)
    """Samples per shard, the unit of work and of resuming; 1 to 100000; default 64."""
    splits: dict[Name, Real] = Field(default_factory=lambda: {"all": 1.0})
    """Share of each split, for example {train: 0.7, val: 0.1, test: 0.2}; default one split named all."""
    copy_library: Flag = True
    """Copy each finite library that is used into the dataset; default true."""

    @field_validator("splits")
    @classmethod
    def _some_share(cls, value: dict[str, float]) -> dict[str, float]:
        if any(share < 0 for share in value.values()) or sum(value.values()) <= 0:
            raise problem(f"{shown(value)} has no positive share: give each split a share >= 0, at least one above 0")
        return value

    @property
    def ratios(self) -> Ratios:
        """The splits of positive share."""
        return tuple((name, share) for name, share in self.splits.items() if share > 0)


class Head(Model):
    """The parts of a spec that are the same for every sample."""

    mishape: Whole
    """Version of the spec format; 1."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of all random streams; any whole number from 0; default 0."""
    samples: Whole = Field(default=1, ge=1, le=100_000_000)
    """Number of samples; default 1."""
    dataset: DatasetPlan = DatasetPlan()
    """Shards and splits."""


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

    def scene(self, number: int) -> Scene:
        """Return one sample's scene: every draw made, every shape chosen.

        Raises
        ------
        SpecError
            If the drawn values do not make a valid scene, with file, line and column.
        """
        if number < 0:
            raise SpecError(f"sample {number} does not exist: numbers start at 0")
        choose = seeded(self.seed, number)
        plans = self._plans(choose)
        data, templates = expand(self.document, plans, choose, number)
        cycle = math.lcm(*(plan.repeat_each for plan in plans))
        where = place(self.seed, number // cycle, self.head.dataset.ratios)
        data.update(seed=self.seed, sample=number, split=where.split)
        scene = self._validated(Scene, data, templates)
        walk = 0
        if plans:
            walk = where.number * (cycle // plans[0].repeat_each) + number % cycle // plans[0].repeat_each
        chosen = [
            thing.model_copy(update={"shape_id": self._shape_id(thing, where, walk if position == 0 else None)})
            for position, thing in enumerate(scene.objects)
        ]
        return scene.model_copy(update={"objects": chosen})

    def check(self) -> None:
        """Validate everything that needs no simulation: keys, values, both ends of every draw, splits.

        Raises
        ------
        SpecError
            With every complaint, each with file, line and column.
        """
        self._raise(layout_faults(self.document))
        self._raise(draw_faults(self.document))
        assert self.head
        problems: dict[str, None] = {}
        count = max(draws.variants(self.document[key]) for key in ("objects", "views"))
        for variant in range(min(count, MAX_VARIANTS)):
            try:
                self._check_variant(extreme(variant))
            except SpecError as error:
                problems.update(dict.fromkeys(error.problems))
        if problems:
            raise SpecError(list(problems))
        self.scene(0)

    def _check_variant(self, choose: Choose) -> None:
        plans = [ObjectPlan(count=min(plan.count, 1), repeat_each=1) for plan in self._plans(choose)]
        data, templates = expand(self.document, plans, choose)
        self._validated(Scene, data, templates)

    def _plans(self, choose: Choose) -> list[ObjectPlan]:
        plans = []
        for number, template in enumerate(self.document["objects"]):
            given = {key: template[key] for key in ObjectPlan.model_fields if key in template}
            if "count" in given:
                path: Path = ("objects", number, "count")
                given["count"] = draws.resolve(given["count"], path, lambda law, args, at: choose(law, args, at, 1))
            plans.append(self._validated(ObjectPlan, given, prefix=("objects", number)))
        return plans

    def _shape_id(self, thing: SceneObject, where: Place, walk: int | None) -> str | None:
        """Return which shape of a finite source the object takes: the first object walks its split, others draw."""
        dealt = self._dealt(thing)
        if dealt is None:
            return None
        if thing.shape_id is not None:
            return thing.shape_id
        ids = dealt[where.split]
        if walk is None:
            walk = int(stream(self.seed, thing.group, Stage.SPLIT, thing.path).integers(len(ids)))
        return ids[walk % len(ids)]

    @cached_property
    def _deals(self) -> dict[str, dict[str, list[str]] | None]:
        return {}

    def _dealt(self, thing: SceneObject) -> dict[str, list[str]] | None:
        digest = thing.shape.model_dump_json()  # type: ignore[attr-defined]
        if digest not in self._deals:
            keys = thing.shape.keys()
            try:
                dealt = None if keys is None else deal(self.seed, keys, self.head.dataset.ratios, thing.shape.kind)
            except SpecError as error:
                raise SpecError(self.source.complaint(("dataset", "splits"), str(error))) from None
            self._deals[digest] = dealt
        return self._deals[digest]

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
        text = line["msg"]
        node = at(self.document, path)
        if draws.is_draw(node):
            text += f" (the draw {next(iter(node))} can give this)"
        return self.source.complaint(path, text)


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
        spec = Spec(scene, Source("scene", ""))
    else:
        path = FilePath(scene)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise SpecError(f"scene file {str(path)!r} does not exist: give the path of a YAML file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"scene file {str(path)!r} cannot be read: {error}") from None
        document, source = parse(text, str(path))
        spec = Spec(document, source, path.resolve().parent)
    spec.check()
    return spec
