"""Other poses, labels, planes and media than those of the paper's table, each beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reconstruction.cases import CONFOCAL, DEPTH_NM, EPI, NOISE, VIEWS, Cases
from mishape.engine.scene import View
from mishape.engine.seeding import Stage, stream
from mishape.engine.simulate import simulate
from mishape.engine.types import Emitters
from mishape.learn.lit import Lit

PLANES: dict[int, Sequence[float]] = {
    1: (0.0,),
    3: (-DEPTH_NM / 2, 0.0, DEPTH_NM / 2),
    5: tuple(np.linspace(-DEPTH_NM, DEPTH_NM, 5).tolist()),
    9: tuple(np.linspace(-DEPTH_NM, DEPTH_NM, 9).tolist()),
    17: tuple(np.linspace(-2 * DEPTH_NM, 2 * DEPTH_NM, 17).tolist()),
}
"""Where the planes lie, nm, by their number."""
OFF_FOCUS_NM = 225.0


def stack(microscope: dict[str, Any], planes: int) -> dict[str, Any]:
    """Return a view of so many planes, all of them with the light of three."""
    side, pixel_nm = (72, 70) if microscope is CONFOCAL else (48, 109)
    grid = {"shape": [planes, side, side], "pixel_nm": pixel_nm, "planes_nm": [*PLANES[planes]]}
    dose = {**NOISE, "background": NOISE["background"] * 3 / planes}
    return {"grid": grid, "microscope": microscope, "noise": dose}


@dataclass(frozen=True)
class Variant:
    """What is not as in the paper's table.

    Parameters
    ----------
    changes
        As `Cases` takes them.
    views
        Of which views it is asked.
    flattened
        Whether all light comes from the shape's middle plane: nothing is out of focus, so nothing tells depth.
    """

    changes: Mapping[str, Any]
    views: Sequence[str] = tuple(VIEWS)
    flattened: bool = False

    def images(self, cases: Cases) -> Iterator[Lit]:
        """Yield the images of cases with these changes."""
        images = cases.images()
        for number in range(len(images)):
            lit = images.lit(number)
            yield lit if not self.flattened else Lit(lit.name, self._flat(cases, number), lit.view, lit.posed)

    def _flat(self, cases: Cases, number: int) -> NDArray[np.uint16]:
        images = cases.images()
        sample = simulate(images.spec.scene(number), describe=False)
        view: View = sample.scene.views[images.view]
        light, middle_nm = sample.emitters, sample.poses[0].offset_nm[2]
        flat = np.column_stack([light.xyz_nm[:, :2], np.full(len(light.xyz_nm), middle_nm)])
        photons = view.microscope.image(Emitters(flat, light.photons), view.grid)
        return view.noise.detect(photons, stream(cases.seed, number, Stage.NOISE, "flattened"))


IMAGES = ("epi image", "confocal image")
VARIANTS: dict[str, Variant] = {
    "as in the table": Variant({}),
    "poses within 10 degrees of the image plane": Variant({"rotation": "flat"}),
    "30 labels per um2": Variant({"labeler": {"kind": "surface", "density_per_um2": 30}}),
    "300 labels per um2": Variant({"labeler": {"kind": "surface", "density_per_um2": 300}}),
    "labels in the volume": Variant({"labeler": {"kind": "volume", "density_per_um3": 20000}}),
    "all light from the middle plane": Variant({}, IMAGES, flattened=True),
    "focus 225 nm above the centre": Variant(
        {"view": {"grid": VIEWS["epi image"]["grid"] | {"planes_nm": [OFF_FOCUS_NM]}}}, ("epi image",)
    ),
    "in water, 2 um deep": Variant(
        {"view": {"microscope": EPI | {"sample_index": 1.33, "depth_nm": 2000}}}, ("epi image",)
    ),
    **{f"{planes} plane(s), epi": Variant({"view": stack(EPI, planes)}, ("epi stack",)) for planes in PLANES},
    **{f"{planes} plane(s), confocal": Variant({"view": stack(CONFOCAL, planes)}, ("epi stack",)) for planes in PLANES},
}
"""By what is said of them."""
