"""All ways to find a shape without learning, and the markers beside them."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reconstruction.baseline import Baseline, Calibrated
from benchmarks.reconstruction.deconvolution import Deconvolution
from benchmarks.reconstruction.fitted import FittedTube, MomentEllipsoid
from benchmarks.reconstruction.known_shapes import MeanShape, NearestShape
from benchmarks.reconstruction.markers import FlipCeiling, OracleEllipsoid
from benchmarks.reconstruction.outlines import CircularInflation, ExtrudedSilhouette
from mishape.learn.lit import Lit
from mishape.learn.solids import Solid


def baselines(solids: Sequence[Solid], images: Sequence[Lit], size: float) -> list[Baseline]:
    """Return all of them, calibrated; those that see the truth come last.

    Parameters
    ----------
    solids
        The training shapes.
    images
        Of training shapes, in the view that is asked for: what has a number takes the best for these.
    size
        Shapes in images are so many times as large as training shapes.
    """
    calibrated: list[Calibrated] = [CircularInflation(), MomentEllipsoid(), FittedTube(), Deconvolution()]
    return [
        MeanShape.of(solids, size),
        ExtrudedSilhouette(),
        *(one.calibrated(images) for one in calibrated),
        NearestShape.of(solids, size),
        OracleEllipsoid(),
        FlipCeiling(),
    ]
