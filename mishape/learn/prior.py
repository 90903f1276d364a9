"""Shapes drawn from a trained prior."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from mishape.engine import registry
from mishape.engine.errors import PluginError
from mishape.engine.meshing import mesh_of_field
from mishape.engine.types import Points, Shape
from mishape.learn.extract import field_of
from mishape.learn.tensors import WeightsError, read_tensors

AT_ONCE = 1 << 16
"""Places that a network is asked at once."""
EDGES = 3


@dataclass(frozen=True)
class Prior:
    """A model of shapes and the distribution of its numbers.

    Parameters
    ----------
    autoencoder, distribution
        The two networks, in evaluation mode.
    about
        What the weights say of themselves.
    """

    autoencoder: Any
    distribution: Any
    about: dict[str, Any]

    def draw(self, rng: Generator) -> tuple[Tensor, Points]:
        """Draw the latent numbers of a shape, (1, n), and its box's edges, (3,) nm."""
        count = self.distribution.mean.numel()
        noise = torch.from_numpy(rng.standard_normal((1, count)).astype(np.float32))
        numbers = self.distribution.sample(noise)[0]
        latent, sizes = numbers[None, :-EDGES], numbers[-EDGES:]
        return latent, np.exp(sizes.numpy().astype(np.float64))

    def shape(self, latent: Tensor, edges_nm: Points, corners: int, id: str) -> Shape:
        """Return the solid of latent numbers, centred, its longest axis along x.

        Parameters
        ----------
        corners
            Of the lattice that its surface is found on, along the box's longest edge.
        """
        scale_nm = float(edges_nm.max())
        edges = edges_nm / scale_nm
        given = torch.from_numpy(edges.astype(np.float32))[None]
        with torch.no_grad():
            features = self.autoencoder.features(latent, given)

            def told(places: Points) -> NDArray[np.floating]:
                asked = torch.from_numpy(places.astype(np.float32))[None]
                starts = range(0, len(places), AT_ONCE)
                found = [self.autoencoder.distance(features, asked[:, i : i + AT_ONCE], given)[0] for i in starts]
                return np.asarray(torch.cat(found).numpy())

            field = field_of(told, edges, scale_nm, corners)
        source = f"a prior of {', '.join(self.about['libraries'])}, data {self.about['data_sha256'][:12]}"
        licence = ", ".join(self.about["licences"])
        return Shape(id, mesh_of_field(field), field.implicit(), source=source, licence=licence)


@lru_cache(maxsize=4)
def load_prior(path: Path, changed_ns: int) -> Prior:
    """Return the prior of a file of weights, as it was at a time.

    Raises
    ------
    WeightsError
        If they are damaged, of something else, or of a model that is not installed.
    """
    tensors, about = read_tensors(path)
    try:
        model = registry.load("models", about["model"]["kind"])(**about["model"])
        distribution = registry.load("models", about["distribution"]["kind"])(**about["distribution"])
        flow = parts(tensors, "distribution")
        networks = model.network(), distribution.network(len(flow["mean"]))
        for network, weights in zip(networks, (parts(tensors, "autoencoder"), flow), strict=True):
            network.load_state_dict(weights)
            network.eval().requires_grad_(False)
        return Prior(*networks, about)
    except PluginError as error:
        raise WeightsError(f"weights {str(path)!r}: {error}") from None
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise WeightsError(f"weights {str(path)!r} are of something else than a prior of shapes: {reason}") from None


def parts(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors of one network of a file."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
