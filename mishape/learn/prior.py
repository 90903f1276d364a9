"""Shapes drawn from a trained prior."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from mishape.engine.geometry import principal_axes
from mishape.engine.meshing import mesh_of_field
from mishape.engine.types import Mesh, Points, Shape
from mishape.learn.dealing import check_about
from mishape.learn.extract import field_of
from mishape.learn.networks import distances_at, one_thread
from mishape.learn.plan import ShapeModel
from mishape.learn.stored import component, filled, fitting
from mishape.learn.tensors import read_tensors

EDGES = 3


@dataclass(frozen=True)
class Prior:
    """A model of shapes and the distribution of its numbers.

    Parameters
    ----------
    autoencoder, distribution
        The two networks, in evaluation mode.
    is_cube
        Whether boxes have three equal edges.
    about
        What the weights say of themselves.
    """

    autoencoder: Any
    distribution: Any
    is_cube: bool
    about: dict[str, Any]

    def draw(self, rng: Generator) -> tuple[Tensor, Points]:
        """Draw the latent numbers of a shape, (1, n), and its box's edges, (3,) nm."""
        count = self.distribution.mean.numel()
        noise = torch.from_numpy(rng.standard_normal((1, count)).astype(np.float32))
        with one_thread():
            numbers = self.distribution.sample(noise)[0]
        sizes = numbers[-EDGES:].numpy().astype(np.float64)
        return numbers[None, :-EDGES], np.exp(np.full(EDGES, sizes.mean()) if self.is_cube else sizes)

    def shape(self, latent: Tensor, edges_nm: Points, corners: int, id: str, longest_nm: float | None = None) -> Shape:
        """Return the solid of latent numbers, centred; along its principal axes if the model knows shapes so.

        Parameters
        ----------
        corners
            Of the lattice that its surface is found on, along the box's longest edge.
        longest_nm
            What the longest edge of the solid's own box, along its principal axes, is made.
        """
        scale_nm = float(edges_nm.max())
        edges = edges_nm / scale_nm
        given = torch.from_numpy(edges.astype(np.float32))[None]
        with torch.no_grad(), one_thread():
            features = self.autoencoder.features(latent, given)
            told = partial(distances_at, self.autoencoder, features, given)
            field = field_of(told, edges, scale_nm, corners)
        mesh = mesh_of_field(field)
        if longest_nm is not None:
            factor = longest_nm / float(np.ptp(mesh.vertices_nm @ principal_axes(mesh).T, axis=0).max())
            field, mesh = field.scaled(factor), Mesh(mesh.vertices_nm * factor, mesh.faces)
        return Shape(id, mesh, field.implicit(), source=self._source, licence=", ".join(self.about["licences"]))

    @property
    def _source(self) -> str:
        """Where shapes come from: what their prior learned, by all names that ask for attribution."""
        names = dict.fromkeys([*self.about["libraries"], *self.about["sources"]])
        return f"a prior of {', '.join(names)}, data {self.about['data_sha256'][:12]}"


@lru_cache(maxsize=4)
def load_prior(path: Path, changed_ns: int) -> Prior:
    """Return the prior of a file of weights, as it was at a time.

    Raises
    ------
    WeightsError
        If they are damaged, of something else, or of a model that is not installed.
    """
    tensors, about = read_tensors(path)
    with fitting(path, "a prior of shapes"):
        if about["kind"] != "prior":
            raise ValueError(f"they are of kind {about['kind']!r}, give the prior.safetensors of a run")
        flow = parts(tensors, "distribution")
        distribution = component(about["distribution"]).network(len(flow["mean"]))
        model = component(about["model"])
        autoencoder = filled(model.network(), parts(tensors, "autoencoder"))
        check_about(about)
        return Prior(autoencoder, filled(distribution, flow), model.sampling(1).frame == "cube", about)


def load_model(path: Path) -> tuple[ShapeModel, Any]:
    """Return the model of a file of weights, of a prior or without one, and its network in evaluation mode.

    Raises
    ------
    WeightsError
        If they are damaged, of something else, or of a model that is not installed.
    """
    tensors, about = read_tensors(path)
    with fitting(path, "a model of shapes"):
        model = component(about["model"])
        own = parts(tensors, "autoencoder") if about["kind"] == "prior" else tensors
        return model, filled(model.network(), own)


def parts(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors of one network of a file."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
