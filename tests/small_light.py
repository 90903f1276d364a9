"""Images of one solid that is no mirror image of itself, and scenes, for tests of what reads shapes in images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mishape.engine.geometry import rotation_matrix
from mishape.engine.grid import Grid
from mishape.engine.scene import View
from mishape.engine.types import Mesh, Points, Pose
from mishape.learn.lit import Facts, Lit, Posed
from mishape.learn.solids import Solid, everywhere

BALLS = ((np.array([200.0, 0.0, 0.0]), 100.0), (np.array([0.0, 120.0, -60.0]), 50.0))
"""Centre and radius, nm, of the two balls that the solid is."""


def two_balls(points_nm: Points) -> Points:
    """Signed distances to the solid in its own frame, nm."""
    return np.min([np.linalg.norm(points_nm - centre, axis=1) - radius for centre, radius in BALLS], axis=0)


def view_of(planes: int, pixels: int = 64, kind: str = "epi", **microscope: Any) -> View:
    grid = {"shape": [planes, pixels, pixels], "pixel_nm": 100, **({"z_step_nm": 250} if planes > 1 else {})}
    return View.model_validate({"grid": grid, "microscope": {"kind": kind, "preset": f"{kind[:3]}1", **microscope}})


@dataclass(frozen=True)
class OneImage:
    """Images, as networks learn from, that are all the same."""

    pose: Pose
    planes: int = 1
    shift: int = 0

    @property
    def grid(self) -> Grid:
        return view_of(self.planes).grid

    @property
    def facts(self) -> Facts:
        return Facts("one", "0" * 64, frozenset(), frozenset())

    def __len__(self) -> int:
        return 3

    def fold(self, number: int) -> str | None:
        return None

    @property
    def posed(self) -> Posed:
        tips = [centre + radius * sign * axis for centre, radius in BALLS for axis in np.eye(3) for sign in (-1, 1)]
        mesh = Mesh(np.array(tips), np.array([[0, 1, 2]]))
        return Posed(Solid("two", None, mesh, two_balls, everywhere(), 1.0), self.pose)

    def lit(self, number: int) -> Lit:
        counts = np.random.default_rng(number).poisson(100, self.grid.shape)
        counts[:, 12 + self.shift : 28, 10 : 34 + self.shift] += 200 * np.arange(1, self.planes + 1)[:, None, None]
        return Lit("one", counts, view_of(self.planes), self.posed)


def turned(*degrees: float) -> Pose:
    """A pose with a scale and an offset."""
    return Pose(rotation_matrix(*degrees), np.array([400.0, -300.0, 200.0]), 1.5)


SMALL: dict[str, Any] = {"encoder_width": 4, "condition": 6, "hidden": 8}
FINE: dict[str, Any] = {"widths": (8, 16), "features": 8, "hidden": 16}
"""Parameters of models of occupancy networks, and of grids, that are whole and tiny."""
POSES = (turned(30.0, 40.0, 50.0), turned(-70.0, 10.0, 120.0))


def batch(planes: int = 1, frame: Any = "camera", room: int = 0, points: int = 64) -> dict[str, Any]:
    """Two images, each with its own pose and padded planes, as torch's tensors."""
    from mishape.learn.batches import stacked
    from mishape.learn.lit_shapes import LitShapes, Part

    data = [
        LitShapes([Part(OneImage(pose, planes, 9 * place))], points, planes + room, frame=frame)
        for place, pose in enumerate(POSES)
    ]
    return stacked([one.item(0, draw) for draw, one in enumerate(data)])


def stirred(network: Any) -> Any:
    """A network in which nothing is 0 any more."""
    import torch

    generator = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for value in network.parameters():
            value += 0.1 * torch.randn(value.shape, generator=generator)
    return network
