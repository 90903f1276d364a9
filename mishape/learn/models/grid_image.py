"""Single images to shapes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mishape.engine.component import Whole
from mishape.learn.models.grid_stack import GridLight


class GridImage(GridLight):
    """Shapes of single images; in focus and in matched media, an image does not tell a shape from its mirror image."""

    MOST, LEAST = 1, 1

    kind: Literal["grid_image"] = "grid_image"
    answers: Whole = Field(default=8, ge=0, le=256)
    """Numbers that choose among the solids that an image leaves open; 0 to 256, default 8."""
