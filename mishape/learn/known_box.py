"""What models of Occupancy Networks' protocol are told of the truth: where a shape's box lies, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mishape.engine.occupancy import UnitBox
from mishape.engine.types import Points
from mishape.learn.lit import Posed

Told = Literal["world", "camera", "canonical"]
"""In which frame a model tells solids: in the world's, for which it is told nothing; in units of a shape's box along
the world's axes, so that the solid turns with the view; or in units of its box in its own frame, however it lies."""


@dataclass(frozen=True)
class KnownBox:
    """A shape's box: a model that is told it finds what shape there is, not where it lies and how large it is.

    Parameters
    ----------
    turn
        (3, 3), world's axes -> the box's axes: its rows are the axes.
    box
        Centre along the box's axes, counted from the world's origin, and longest edge, nm.
    """

    turn: Points
    box: UnitBox

    def world_nm(self, places: Points) -> Points:
        """Return (n, 3) places, in units of the longest edge about the box's centre, in the world, nm."""
        return np.asarray(self.box.own(places) @ self.turn)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return arrays for a batch: ``box_um`` (4,), the centre and the edge, um; ``turn`` (3, 3)."""
        box_nm = np.array([*self.box.loc, self.box.scale])
        return {"box_um": np.asarray(box_nm / 1000, np.float32), "turn": np.asarray(self.turn, np.float32)}


def known_box(posed: Posed, told: Told) -> KnownBox | None:
    """Return what a model is told of a solid; None if it is told nothing."""
    if told == "world":
        return None
    if told == "camera":
        return KnownBox(np.eye(3), UnitBox.about(posed.vertices_nm))
    own, pose = UnitBox.about(posed.solid.mesh.vertices_nm), posed.pose
    centre_nm = pose.offset_nm @ pose.rotation + pose.scale * own.loc
    return KnownBox(pose.rotation.T, UnitBox(centre_nm, pose.scale * own.scale))
