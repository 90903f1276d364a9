"""What shapes may be used for, as far as their licences say it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mishape.engine.errors import ShapeError
from mishape.engine.protocols import ShapeSource
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Shape

NON_COMMERCIAL = re.compile(
    r"\bnc\b|\bnon-?commercial|\b(no|non|not|without)\b[\w\s-]{0,20}\bcommercial|\bacademic\b|"
    r"\bresearch (use|purposes)\b",
    re.IGNORECASE,
)
"""In the text of a licence, as in CC-BY-NC-SA-4.0."""


def refuse_non_commercial(shapes: Iterable[Shape]) -> None:
    """Raise unless all shapes may be used commercially; a shape that says nothing of a licence may, if it was made.

    Raises
    ------
    ShapeError
        Naming the shape and its licence.
    """
    for shape in shapes:
        if NON_COMMERCIAL.search(shape.licence):
            raise ShapeError(
                f"shape {shape.id!r} ({shape.source or 'of unknown source'}) may not be used commercially: its licence "
                f"is {shape.licence}. Use another source, or leave out --commercial-ok"
            )


def refuse_sources(sources: Iterable[ShapeSource]) -> None:
    """Raise unless all shapes of finite sources may be used commercially, and say so.

    Raises
    ------
    ShapeError
        Naming the first shape that may not, or that does not say what its licence is.
    """
    ids = ((source, id) for source in sources for id in sorted(getattr(source, "ids", None) or source.keys() or ()))
    for source, id in ids:
        shape = source.sample(stream(0, 0, Stage.SHAPE, id), id)
        if not shape.licence:
            raise ShapeError(
                f"shape {shape.id!r} ({shape.source or 'of unknown source'}) does not say what its licence is: give "
                "its source a licence in the scene, or leave out --commercial-ok"
            )
        refuse_non_commercial([shape])
