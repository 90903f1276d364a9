"""Which shape of a finite source each object of a scene takes: shapes are dealt to the splits, whole, once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mishape.engine.errors import MishapeError, SpecError
from mishape.engine.scene import SceneObject
from mishape.engine.seeding import Stage, stream
from mishape.engine.splits import Place, Ratios, deal
from mishape.engine.yaml_marks import Path, Source


@dataclass(frozen=True)
class ShapeChoice:
    """The deal of every source's shapes to the splits.

    Parameters
    ----------
    seed
        The spec's.
    ratios
        Names and shares of the splits.
    source
        The spec's text, for error messages.
    """

    seed: int
    ratios: Ratios
    source: Source
    _deals: dict[str, dict[str, list[str]]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _turns: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def in_turn(self, thing: SceneObject | None, group: int) -> Place:
        """Return where a group of samples belongs, if every shape is shown once before any is shown again.

        Parameters
        ----------
        thing
            The first object; None if the samples have none.
        """
        path: Path = ("dataset", "every_shape")
        if thing is None:
            raise SpecError(self.source.complaint(path, "a sample has no first object: give its count at least 1"))
        dealt = {split: self.of_split(thing, 0, split) or () for split, _ in self.ratios}
        if not any(dealt.values()):
            text = f"{thing.shape.kind} makes shapes without end: leave every_shape out, or take shapes of a library"
            raise SpecError(self.source.complaint(path, text))
        order = self._turn(dealt)
        turn, offset = divmod(group, len(order))
        split = order[offset]
        return Place(split, turn * len(dealt[split]) + order[:offset].count(split))

    def _turn(self, dealt: Mapping[str, Sequence[str]]) -> list[str]:
        """Return the splits of as many groups as there are shapes, each as often as it has shapes, in random order."""
        key = json.dumps({split: len(ids) for split, ids in dealt.items()})
        if key not in self._turns:
            splits = [split for split, ids in dealt.items() for _ in ids]
            order = stream(self.seed, 0, Stage.SPLIT, "every shape").permutation(len(splits))
            self._turns[key] = [splits[i] for i in order]
        return self._turns[key]

    def shape_id(self, thing: SceneObject, template: int, where: Place, walk: int | None) -> str | None:
        """Return which shape the object takes; None from a source that is not finite.

        Parameters
        ----------
        template
            Number of the spec's object that it is made from.
        where
            The sample's place in the splits.
        walk
            Which of the split's shapes in their order; others than the first object draw, and have None.
        """
        ids = self.of_split(thing, template, where.split)
        if ids is None:
            return None
        if walk is None:
            walk = int(stream(self.seed, thing.group, Stage.SPLIT, thing.path).integers(len(ids)))
        return ids[walk % len(ids)]

    def of_split(self, thing: SceneObject, template: int, split: str) -> list[str] | None:
        """Return which shapes the object may take in a split; None from a source that is not finite."""
        dealt = self._dealt(thing, template)
        if dealt is None:
            return None
        # The deal is of the whole source: else two objects that narrow it differently would deal it differently.
        wanted = getattr(thing.shape, "ids", None)
        ids = [shape_id for shape_id in dealt[split] if wanted is None or shape_id in wanted]
        if not ids:
            text = (
                f"split {split!r} holds none of these ids ({', '.join(dealt[split])}): give it one, or use fewer splits"
            )
            raise SpecError(self.source.complaint(("objects", template, "shape", "ids"), text))
        return ids

    def _dealt(self, thing: SceneObject, template: int) -> dict[str, list[str]] | None:
        digest = thing.shape.model_dump_json()  # type: ignore[attr-defined]
        if digest not in self._deals:
            keys = self._keys(thing, template)
            if keys is None:
                return None
            try:
                self._deals[digest] = deal(self.seed, keys, self.ratios, thing.shape.kind)
            except SpecError as error:
                raise SpecError(self.source.complaint(("dataset", "splits"), str(error))) from None
        return self._deals[digest]

    def _keys(self, thing: SceneObject, template: int) -> Mapping[str, str] | None:
        path: Path = ("objects", template, "shape")
        try:
            return thing.shape.keys()
        except MishapeError as error:
            raise SpecError(self.source.complaint(path, str(error))) from error
        except Exception as error:  # a stranger's source may fail in any way
            text = f"{thing.shape.kind} cannot list its shapes: {type(error).__name__}: {error}"
            raise SpecError(self.source.complaint(path, text)) from error
