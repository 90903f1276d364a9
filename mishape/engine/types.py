"""The nouns of the engine: Mesh, Implicit, Shape, Emitters, Raster, Sample.

Points are xyz in nm, float64. Images are (Z, Y, X). The world's origin is the centre of the field and +z points away
from the objective, into the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mishape.engine.errors import EmitterError, ShapeError
from mishape.engine.grid import Grid as Grid  # the public name is mishape.engine.types.Grid

if TYPE_CHECKING:
    from mishape.engine.scene import Scene
    from mishape.engine.triangles import Triangles

Points = NDArray[np.float64]
Array = Any
"""An array of any library that follows the array-API standard (numpy, CuPy, torch)."""
MAX_PHOTONS = 1e30
"""Of an emitter: images are in single precision, which ends at 3e38."""


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh.

    Parameters
    ----------
    vertices_nm
        (n, 3) float64, xyz in nm.
    faces
        (m, 3) int64, indices into the vertices; counter-clockwise seen from outside.
    moved_from
        The mesh that `moved` was called on, and the pose: areas, and where points are drawn, follow from there.
    """

    vertices_nm: Points
    faces: NDArray[np.int64]
    moved_from: tuple[Mesh, Pose] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def triangles(self) -> Triangles:
        """The triangles, laid out for drawing points on them."""
        from mishape.engine.triangles import Triangles

        return Triangles.of(self.vertices_nm, self.faces)

    def moved(self, pose: Pose) -> Mesh:
        """Return the mesh in a pose."""
        return Mesh(pose.of(self.vertices_nm), self.faces, (self, pose))


@dataclass(frozen=True)
class Implicit:
    """A solid given by a function instead of triangles.

    Parameters
    ----------
    field
        (n, 3) points in nm -> (n,) values: negative inside, positive outside, zero on the surface, continuous, and
        close to a signed distance in nm: |gradient| near 1 at the surface, and nowhere above 1.5 (cells far from the
        surface are left out by it).
    bounds_nm
        (2, 3): lowest and highest corner of a box that holds the solid.
    step_nm
        A voxel that resolves the thinnest part; used when a mesh is derived.
    """

    field: Callable[[Points], Points]
    bounds_nm: Points
    step_nm: float


@dataclass(frozen=True)
class Shape:
    """A solid: a mesh, an implicit function, or both; each derives what it lacks on demand.

    Parameters
    ----------
    id
        Provenance and split key: samples of one id never stand in two splits.
    mesh, implicit
        At least one is given. With both, the implicit function decides what is inside.
    fold
        Split key of the library (its source volume), if it has folds.
    source, licence
        Where the shape comes from and on what terms; they travel into every dataset made from it.
    moved_from
        The shape that `moved` was called on, and the pose: a surface is derived there, once for all poses.
    """

    id: str
    mesh: Mesh | None = None
    implicit: Implicit | None = None
    fold: str | None = None
    source: str = ""
    licence: str = ""
    moved_from: tuple[Shape, Pose] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.mesh is None and self.implicit is None:
            raise ShapeError(f"shape {self.id!r} has neither a mesh nor an implicit function: give one")

    @cached_property
    def surface(self) -> Mesh:
        """The given mesh, or one derived from the implicit function."""
        if self.mesh is not None:
            return self.mesh
        if self.moved_from is not None:
            own, pose = self.moved_from
            return own.surface.moved(pose)
        from mishape.engine.meshing import mesh_of_implicit

        assert self.implicit is not None
        return mesh_of_implicit(self.implicit)

    @cached_property
    def bounds_nm(self) -> Points:
        """Lowest and highest corner, (2, 3) nm; tight for a mesh, enclosing for an implicit function."""
        if self.mesh is None:
            assert self.implicit is not None
            return self.implicit.bounds_nm
        by_axis = np.ascontiguousarray(self.mesh.vertices_nm.T)
        return np.stack([by_axis.min(axis=1), by_axis.max(axis=1)])

    def inside(self, points_nm: Points) -> NDArray[np.bool_]:
        """Tell which of (n, 3) points lie inside the solid."""
        if self.implicit is not None:
            return np.asarray(self.implicit.field(points_nm) < 0)
        from mishape.engine.columns import inside_mesh

        return inside_mesh(self.surface, points_nm)

    def moved(self, rotation: Points, offset_nm: Points, scale: float = 1.0) -> Shape:
        """Return the shape scaled and rotated by a (3, 3) matrix about its own origin, then shifted by (3,) nm."""
        from mishape.engine.geometry import move_implicit

        pose = Pose(rotation, offset_nm, scale)
        return replace(
            self,
            mesh=None if self.mesh is None else self.mesh.moved(pose),
            implicit=None if self.implicit is None else move_implicit(self.implicit, rotation, offset_nm, scale),
            moved_from=(self, pose),
        )


@dataclass(frozen=True)
class Pose:
    """Own frame -> world: ``p_world = scale * rotation @ p + offset_nm``."""

    rotation: Points
    offset_nm: Points
    scale: float = 1.0

    def of(self, points_nm: Points) -> Points:
        """Return (n, 3) points of the own frame in the world, nm."""
        # Shifted in the own frame: a product is the quickest last step, whatever the order of the points in memory.
        shift_nm = self.offset_nm @ self.rotation / self.scale
        return np.asarray((points_nm + shift_nm) @ np.ascontiguousarray(self.scale * self.rotation.T))


@dataclass(frozen=True)
class Emitters:
    """Point emitters in the world.

    Parameters
    ----------
    xyz_nm
        (n, 3) positions, nm.
    photons
        (n,) photons that reach the camera plane from each emitter per exposure, summed over an unbounded plane, for
        an open detector and unit excitation.
    owner
        (n,) number of the scene's object that each emitter belongs to; all 0 if not given.
    """

    xyz_nm: Array
    photons: Array
    owner: Array = None

    def __post_init__(self) -> None:
        for name in ("xyz_nm", "photons"):
            if isinstance(value := getattr(self, name), list | tuple | int | float):
                object.__setattr__(self, name, np.asarray(value, dtype=np.float64))
        positions, photons = tuple(self.xyz_nm.shape), tuple(self.photons.shape)
        if len(positions) != 2 or positions[1] != 3 or photons != positions[:1]:
            raise EmitterError(f"emitters need (n, 3) positions and (n,) photons: {positions} and {photons} given")
        if type(self.xyz_nm) is not type(self.photons):
            kinds = (type(array).__module__.partition(".")[0] for array in (self.xyz_nm, self.photons))
            raise EmitterError(
                f"emitters need arrays of one library: positions of {' and photons of '.join(kinds)} given"
            )
        if isinstance(self.xyz_nm, np.ndarray) and not np.isfinite(self.xyz_nm).all():
            raise EmitterError("emitters need finite positions: NaN or infinity given")
        if isinstance(self.photons, np.ndarray) and not self._are_photons(self.photons):
            raise EmitterError(f"emitters need real numbers of photons up to {MAX_PHOTONS:g}: others, or NaN, given")

    @staticmethod
    def _are_photons(photons: NDArray[Any]) -> bool:
        return photons.dtype.kind in "fiu" and bool(np.abs(photons).max(initial=0.0) <= MAX_PHOTONS)

    def __len__(self) -> int:
        return int(self.xyz_nm.shape[0])


@dataclass(frozen=True)
class Raster:
    """An array on a grid: (Z, Y, X) data with the physical size of its voxels."""

    data: NDArray[Any]
    grid: Grid


@dataclass(frozen=True)
class Sample:
    """Everything that `simulate` returns.

    Parameters
    ----------
    scene
        The scene that was simulated.
    sources, poses, shapes
        By object number: the shape in its own frame, its pose, and the shape in the world.
    emitters
        The emitters of all objects; `owner` tells whose.
    photons
        Per view: expected photons, (Z, Y, X) floats, without background and noise.
    images
        Per view: what the camera or detector recorded, (Z, Y, X) uint16.
    truths
        By name, ``view.truth`` where a truth has one raster per view: a `Raster`, or an array with one row per item.
    record
        Plain data: index, split, shape ids, poses, doses, flags.
    """

    scene: Scene
    sources: Mapping[int, Shape]
    poses: Mapping[int, Pose]
    shapes: Mapping[int, Shape]
    emitters: Emitters
    photons: Mapping[str, NDArray[np.floating]]
    images: Mapping[str, NDArray[np.uint16]]
    truths: Mapping[str, Raster | NDArray[Any]] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
