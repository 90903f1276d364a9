"""Loading the shapes that a scene names, before any work begins: a bad mesh is then found at its line of the scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mishape.engine.errors import MishapeError
from mishape.engine.seeding import Stage, stream

SMALL, FEW = 200, 5
"""Of a source with more than SMALL shapes only the first FEW are loaded: a check must not take minutes."""


@dataclass
class ShapeCheck:
    """Loads the shapes of finite sources, those of each source once."""

    found: dict[str, str | None] = field(default_factory=dict)

    def fault(self, source: Any) -> str | None:
        """Return what is wrong with a source's first bad shape and how many more are bad; None if all are right."""
        digest = source.model_dump_json()
        if digest not in self.found:
            ids = list(getattr(source, "ids", None) or source.keys() or ())
            faults = list(_faults(source, ids if len(ids) <= SMALL else ids[:FEW]))
            more = f" (and {len(faults) - 1} more of its shapes cannot be used)" if len(faults) > 1 else ""
            self.found[digest] = faults[0] + more if faults else None
        return self.found[digest]


def _faults(source: Any, ids: Sequence[str]) -> Iterator[str]:
    for id in ids:
        try:
            source.sample(stream(0, 0, Stage.SHAPE), id)
        except MishapeError as error:
            yield str(error)
        except Exception as error:  # a stranger's source may fail in any way
            yield f"{source.kind} cannot give shape {id!r}: {type(error).__name__}: {error}"
