"""Which shapes a training learns from and which it is watched by, and what its weights say of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mishape.engine.errors import LibraryError
from mishape.engine.files import canonical
from mishape.engine.types import Mesh
from mishape.engine.wording import suggestion
from mishape.learn.networks import plain
from mishape.learn.origins import Origin, made
from mishape.learn.plan import LearnPlan
from mishape.learn.solids import Solid, of_folds

FEWEST = 8
"""Shapes that a training needs."""


@dataclass(frozen=True)
class Dealt:
    """The shapes of a training.

    Parameters
    ----------
    learned
        Those of libraries and datasets that are learned from.
    made
        Those of the plan's sources, which are learned from too.
    watched
        Whole ones by which it is validated.
    """

    learned: Sequence[Solid]
    made: Sequence[Solid]
    watched: Sequence[Solid]


def dealt(plan: LearnPlan, origins: Sequence[Origin]) -> Dealt:
    """Return the shapes of a training.

    Raises
    ------
    LibraryError
        If a fold that the plan names is not there, or there are too few shapes.
    """
    solids = [solid for one in origins for solid in one.solids]
    shapes = plan.shapes
    _check_folds((*shapes.held_out, *shapes.validation), {str(solid.fold) for solid in solids})
    learned = of_folds(solids, without=(*shapes.held_out, *shapes.validation))
    if len(learned) < FEWEST:
        raise LibraryError(
            f"{len(learned)} shape(s) to learn from, of {len(solids)}: at least {FEWEST} are needed; name fewer folds "
            "in held_out and validation, or more libraries"
        )
    if plan.prior is not None and not any(solid.is_whole for solid in learned):
        raise LibraryError(f"none of {len(learned)} shapes to learn from is whole: a prior is learned from whole ones")
    watched = [solid for solid in of_folds(solids, folds=shapes.validation) if solid.is_whole]
    if shapes.validation and not watched:
        raise LibraryError(f"no shape of the validation's folds {', '.join(shapes.validation)} is whole: name others")
    return Dealt(learned, made(plan.shapes.procedural, plan.seed), watched)


def _check_folds(named: Iterable[str], known: set[str]) -> None:
    for fold in named:
        if fold not in known:
            raise LibraryError(f"no shape is of fold {fold!r}: {suggestion(fold, known)}")


def about(plan: LearnPlan, origins: Sequence[Origin], shapes: Dealt) -> dict[str, Any]:
    """Return what weights say of the shapes that they were learned from."""
    parts = plan.shapes.procedural
    licences = {solid.licence for solid in (*shapes.learned, *shapes.made) if solid.licence}
    return {
        "libraries": [one.name for one in origins],
        "data_sha256": data_hash((solid.id, solid.mesh) for solid in shapes.learned),
        "shapes": len(shapes.learned),
        "whole_shapes": sum(solid.is_whole for solid in shapes.learned),
        "procedural": [{"count": part.count, "shape": plain(part.shape)} for part in parts],
        "folds": sorted({str(solid.fold) for solid in shapes.learned}),
        "held_out": [*plan.shapes.held_out],
        "validation_folds": [*plan.shapes.validation],
        "licences": sorted(licences),
        "sources": sorted({solid.source for solid in (*shapes.learned, *shapes.made) if solid.source}),
    }


def check_about(said: dict[str, Any]) -> None:
    """Raise a ValueError unless a file of weights says what `about` does, as far as it is read again."""
    for name in ("libraries", "folds", "held_out", "validation_folds", "licences", "sources"):
        if not isinstance(said.get(name), list) or not all(isinstance(one, str) for one in said[name]):
            raise ValueError(f"{name} is to be a list of names")
    for name in ("shapes", "whole_shapes", "data_sha256"):
        if not isinstance(said.get(name), int | str):
            raise ValueError(f"{name} is not said")


def data_hash(shapes: Iterable[tuple[str, Mesh]]) -> str:
    """Return the SHA-256 of all shapes' ids and surfaces."""
    every = [*shapes]
    digest = hashlib.sha256(canonical([id for id, _ in every]).encode())
    for _, mesh in every:
        digest.update(mesh.vertices_nm.astype("<f4").tobytes())
    return digest.hexdigest()
