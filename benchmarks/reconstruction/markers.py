"""Answers that are made from the truth: what some kinds of answer can reach at best."""

from __future__ import annotations

import numpy as np

from benchmarks.reconstruction.baseline import Baseline, Counts
from benchmarks.reconstruction.fields import ellipsoid, moments, solid
from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.engine.types import Points
from mishape.learn.lit import Posed
from mishape.learn.shape_scores import mirror_plane_nm


class OracleEllipsoid(Baseline):
    """The ellipsoid of the true solid's second moments."""

    name, sees_truth = "oracle ellipsoid", True

    def __call__(self, counts: Counts, view: View, posed: Posed | None = None) -> SampledField | None:
        return ellipsoid(*moments(self.truth(posed)), 5**0.5)


class FlipCeiling(Baseline):
    """The best single answer to a shape T that is known up to its mirror image T' in the focal plane.

    Both are as likely, and what counts is the mean of the overlaps (intersection over union) with either. Of all
    answers their union has the highest, ``|T| / |T or T'|``, and either of them has it too. For let S hold the shares b
    of ``T less T'`` and c of ``T' less T``, each d large, and all of the intersection, i large; twice the mean is
    ``(i + b) / (t + c) + (i + c) / (t + b)`` with ``t = |T| = i + d``. That is convex in b and in c, so highest where
    each is 0 or d: ``2 i / t`` for the intersection, ``2 t / (t + d)`` for the others, which is never less. The answer
    is the union: its overlap with the truth alone is this mean.
    """

    name, sees_truth = "flip ceiling", True

    def __call__(self, counts: Counts, view: View, posed: Posed | None = None) -> SampledField | None:
        true, twice_nm = self.truth(posed), np.array([0.0, 0.0, 2 * mirror_plane_nm(view)])

        def told(places_nm: Points) -> Points:
            return np.minimum(true.distance_nm(places_nm), true.distance_nm(twice_nm + places_nm * (1, 1, -1)))

        vertices_nm = true.vertices_nm
        both_nm = np.concatenate([vertices_nm, twice_nm + vertices_nm * (1, 1, -1)])
        return solid(told, both_nm.min(axis=0), both_nm.max(axis=0))
