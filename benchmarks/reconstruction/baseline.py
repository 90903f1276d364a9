"""What ways to find a shape have in common: what they are given, and what they answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mishape.engine.sampled import SampledField
from mishape.engine.scene import View
from mishape.learn.lit import Lit, Posed
from mishape.learn.place_scores import iou_of

PLACES = 50_000
"""At which answers are compared while a number is chosen."""
Counts = NDArray[Any]
"""(P, H, W), as the detector gave them."""


class Baseline(ABC):
    """A way to find a shape."""

    sees_truth: ClassVar[bool] = False
    """Whether it is shown the answer: then it is a marker, no way to find anything."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What tables call it."""

    @abstractmethod
    def __call__(self, counts: Counts, view: View, posed: Posed | None = None) -> SampledField | None:
        """Return a solid of the world, nm, or None where nothing is found.

        Parameters
        ----------
        counts
            (P, H, W), as the detector gave them.
        view
            How they were made.
        posed
            The truth, for those that see it.

        Raises
        ------
        ValueError
            If the truth is needed and not given.
        """

    def truth(self, posed: Posed | None) -> Posed:
        """Return the truth, which must be given."""
        if posed is None:
            raise ValueError(f"{self.name} is made from the truth: give it as posed")
        return posed


@dataclass(frozen=True)
class Calibrated(Baseline):
    """A way to find a shape that has one number, chosen on images of other shapes.

    Parameters
    ----------
    amount
        The number.
    """

    amounts: ClassVar[tuple[float, ...]]
    """Those that are tried."""
    amount: float

    def __call__(self, counts: Counts, view: View, posed: Posed | None = None) -> SampledField | None:
        return self.solid(self.seen(counts, view), view)

    @abstractmethod
    def seen(self, counts: Counts, view: View) -> Any:
        """Return what is seen in an image, whatever the number."""

    @abstractmethod
    def solid(self, seen: Any, view: View) -> SampledField | None:
        """Return the solid that this number makes of it."""

    def calibrated(self, images: Iterable[Lit]) -> Self:
        """Return this way with the number, of those that are tried, that has the highest mean overlap on images."""
        tried = [replace(self, amount=amount) for amount in self.amounts]
        overlaps = np.zeros(len(tried))
        for lit in images:
            seen = self.seen(lit.counts, lit.view)
            overlaps += [iou_of(lit.posed, one.solid(seen, lit.view), PLACES) for one in tried]
        return tried[int(overlaps.argmax())]
