"""Unsupervised segmentation by back-propagation: a small network learns from its own answers on one image.

A. Kanezaki, ICASSP 2018, doi 10.1109/ICASSP.2018.8462533. Each pixel's cluster is the largest of the network's outputs;
each superpixel (SLIC, Achanta et al. 2012, doi 10.1109/TPAMI.2012.120) takes its most frequent cluster, and the network
learns that, until few clusters are left. Rate, momentum, layers and superpixels are those of the published program.

Ours differs: one channel goes in, not three; superpixels are as many for each pixel as 10 000 are on 256 x 256, where
the program has 10 000 on any image, and are found in grey levels, not in a space of colours; the network is narrower
than the published 100 channels, and iterations are fewer than the 1000 of the comparison, for time's sake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.segmentation import slic
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.methods.method import Image, Mask, Oracle, Segmenter, unit_range
from benchmarks.methods.otsu import otsu
from mishape.learn.networks import new, one_thread

Labels = NDArray[np.int64]
RATE, MOMENTUM = 0.1, 0.9
COMPACTNESS = 1.0
"""Of superpixels, for grey levels from 0 to 1: 100 for those from 0 to 100 of the published program."""


@dataclass(frozen=True)
class Clustering:
    """How an image is parted into clusters.

    Parameters
    ----------
    iterations
        Steps at most.
    least_clusters
        Training ends when as few are left.
    channels
        Of the network, and clusters at the start. Time goes by their square: an image of 256 x 256 takes seconds with
        16, and minutes with 100.
    superpixel_px
        Pixels of a superpixel.
    seed
        Of the network's first weights.
    """

    iterations: int = 300
    least_clusters: int = 2
    channels: int = 16
    superpixel_px: float = 6.5
    seed: int = 0

    def clusters(self, unit: Image) -> Labels:
        """Return the cluster of each pixel, (H, W), from 0 on without gaps."""
        count = max(1, round(unit.size / self.superpixel_px))
        superpixels = slic(unit, count, COMPACTNESS, channel_axis=None, start_label=0)
        with one_thread():
            found = self._learned(torch.from_numpy(unit), torch.from_numpy(superpixels.ravel()))
        return np.unique(found.numpy(), return_inverse=True)[1].reshape(unit.shape)

    def _learned(self, unit: Tensor, superpixels: Tensor) -> Tensor:
        network = new(self.seed, lambda: _network(self.channels))
        optimizer = torch.optim.SGD(network.parameters(), RATE, MOMENTUM)
        for _ in range(self.iterations):
            told = network(unit[None, None])[0].flatten(1).T
            labels: Tensor = told.argmax(1)
            if len(torch.unique(labels)) <= self.least_clusters:
                break
            loss: Any = functional.cross_entropy(told, _most_frequent(labels, superpixels, self.channels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return labels


@dataclass(frozen=True)
class Kanezaki(Segmenter):
    """The brighter clusters: those whose mean is above Otsu's threshold of the image of means."""

    clustering: Clustering = field(default_factory=Clustering)

    def _mask(self, unit: Image, pixel_nm: float) -> Mask:
        labels = self.clustering.clusters(unit)
        picture = (np.bincount(labels.ravel(), unit.ravel()) / np.bincount(labels.ravel()))[labels]
        return np.asarray(picture > otsu(picture)[0] if np.ptp(picture) else np.zeros(unit.shape, bool))


@dataclass(frozen=True)
class KanezakiOracle(Oracle):
    """The one cluster that overlaps most with the truth, by Dice."""

    clustering: Clustering = field(default_factory=Clustering)

    def segment(self, image: NDArray[Any], pixel_nm: float, truth: Mask) -> Mask:
        """Return the cluster, (H, W), that fits the truth best; all of a constant image is background."""
        unit = unit_range(image)
        if not unit.any():
            return np.zeros(unit.shape, bool)
        labels = self.clustering.clusters(unit)
        shared = np.bincount(labels.ravel(), truth.ravel())
        return np.asarray(labels == np.argmax(2 * shared / (np.bincount(labels.ravel()) + truth.sum())))


def _network(channels: int) -> nn.Module:
    """Return two layers that see 3 x 3 pixels, and one that tells clusters from what they found."""
    layers = [*_layer(1, channels), *_layer(channels, channels)]
    return nn.Sequential(*layers, nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))


def _layer(into: int, out: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(into, out, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(out)


def _most_frequent(labels: Tensor, superpixels: Tensor, clusters: int) -> Tensor:
    """Return for each pixel the most frequent label of its superpixel, the lowest of several."""
    counts = torch.bincount(superpixels * clusters + labels, minlength=(int(superpixels.max()) + 1) * clusters)
    return counts.view(-1, clusters).argmax(1)[superpixels]
