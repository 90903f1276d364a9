"""How well a model's numbers hold a shape: the solid that comes back, beside the one that went in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mishape.engine.types import Points
from mishape.learn.batches import stacked
from mishape.learn.frames import lattice
from mishape.learn.models.layers import ACTIVE
from mishape.learn.networks import distances_at, on_device
from mishape.learn.shape_data import Lattice, ShapeDataset

SCORED = 65_536
"""Places at which solids are compared, about: on a lattice whose cells are as nearly cubes as the sampling's."""


@dataclass(frozen=True)
class Reconstruction:
    """One shape and what came back.

    Parameters
    ----------
    id
        Of the shape.
    overlap
        Intersection over union of the two solids, at the places of a lattice over the box.
    apart_nm
        (n,) unsigned distances from places of the returned surface to the true one, nm.
    """

    id: str
    overlap: float
    apart_nm: Points

    @property
    def error_nm(self) -> float:
        """Median distance from the returned surface to the true one."""
        return float(np.median(self.apart_nm))


def score(network: Any, data: ShapeDataset, device: str = "cpu") -> float:
    """Return the mean intersection over union of shapes and what comes back."""
    return float(np.mean([one.overlap for one in reconstructions(network, data, device)]))


@torch.no_grad()
def reconstructions(network: Any, data: ShapeDataset, device: str = "cpu") -> list[Reconstruction]:
    """Return what a network makes of each shape of a data set, as it is held by the means of its latent numbers."""
    network.eval()
    found = [_reconstruction(network, data, number, device) for number in range(len(data))]
    network.train()
    return found


def _reconstruction(network: Any, data: ShapeDataset, number: int, device: str) -> Reconstruction:
    target, item = data.target(number), on_device(stacked([data[number]]), device)
    scale_nm = float(item["scale_nm"])
    shape = _scored(target.box.half_nm)
    places = lattice(shape)
    true_nm = target.distance_nm(places)
    mean, _ = network.encode(item)
    made_nm = distances_at(network, network.features(mean, item["edges"]), item["edges"], places) * scale_nm
    inside, back = true_nm < 0, made_nm < 0
    overlap = float((inside & back).sum() / max((inside | back).sum(), 1))
    step_nm = 2 * target.box.half_nm / (np.array(shape) - 1)
    surface = _crossings(made_nm.reshape(shape)) / (np.array(shape) - 1) * 2 - 1
    apart_nm = np.abs(target.distance_nm(surface)) if len(surface) else np.full(1, float(step_nm.max()) * max(shape))
    return Reconstruction(target.solid.id, overlap, apart_nm)


def _scored(half_nm: Points) -> Lattice:
    """Return a lattice of about so many corners whose cells are nearly cubes."""
    step_nm = float(2 * (half_nm.prod() / SCORED) ** (1 / 3))
    x, y, z = np.maximum(np.rint(2 * half_nm / step_nm), 12).astype(int).tolist()
    return x, y, z


def _crossings(values: NDArray[np.floating]) -> Points:
    """Return where a field of (nx, ny, nz) corners is zero along the lattice's edges, (n, 3) in steps."""
    found = []
    for axis in range(3):
        low = np.moveaxis(values, axis, 0)[:-1]
        high = np.moveaxis(values, axis, 0)[1:]
        crossed = np.stack(np.nonzero((low < 0) != (high < 0)), axis=1).astype(np.float64)
        first, second = low[(low < 0) != (high < 0)], high[(low < 0) != (high < 0)]
        crossed[:, 0] += first / (first - second)
        order = [1, 2]
        order.insert(axis, 0)
        found.append(crossed[:, order])
    return np.concatenate(found)


@dataclass(frozen=True)
class Activity:
    """How much of a model's latent numbers is used.

    Parameters
    ----------
    divergence
        Kullback-Leibler divergence from a normal distribution, nats, the mean over shapes.
    active
        Numbers whose mean varies over shapes with a variance above 0.01 (Burda et al., ICLR 2016).
    of
        Numbers in all.
    """

    divergence: float
    active: int
    of: int


@torch.no_grad()
def activity(network: Any, data: ShapeDataset, device: str = "cpu") -> Activity:
    """Return how much of its latent numbers a network uses for the shapes of a data set."""
    network.eval()
    batches = (on_device(stacked([data[number]]), device) for number in range(len(data)))
    coded = [network.encode(batch) for batch in batches]
    network.train()
    means, logs = (torch.cat([one[part] for one in coded]).double() for part in (0, 1))
    divergence = 0.5 * (means**2 + logs.exp() - 1 - logs).sum(dim=1).mean()
    active = int((means.var(dim=0) > ACTIVE).sum())
    return Activity(float(divergence), active, means.shape[1])
