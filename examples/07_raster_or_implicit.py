"""07 Raster or implicit: one known solid, kept as labels or distances in voxels, or as a function; the error of each.

A capsule is labelled in voxels of 8, 24 and 100 nm, and shapes are made of the labels as of any volume of electron
microscopy. Beside that its exact distances are kept at the voxels' centres in place of labels, and its function is
meshed in steps of the same lengths. The truth is exact: volume and area by formula, distances by the function itself,
light from points of equal area on the surface. The columns:

- volume, area: error, percent;
- mean, largest: distance of the mesh's vertices and faces' middles from the true surface, nm;
- right, IoU: occupancy labels of 100 000 points, percent;
- image: largest difference of the expected photons over the true image's peak, percent, at equal light per area.

Where the voxels or the steps fall is chance: all are means over three places, but `largest` is the largest of all.

python examples/07_raster_or_implicit.py    (needs the extra `em`)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import mishape
from mishape.em.prepare import prepare
from mishape.em.settings import Making
from mishape.engine.geometry import mesh_area_nm2, mesh_volume_nm3
from mishape.engine.meshing import mesh_of_field, mesh_of_implicit
from mishape.engine.occupancy import unpacked_labels
from mishape.engine.sampled import SampledField
from mishape.engine.types import Array, Emitters, Implicit, Points, Sample, Shape

STEPS_NM = (8, 24, 100)
PLACES = np.random.default_rng(7).uniform(0, 1, (3, 3))
"""Where lattices begin, in steps before the solid's box."""
MARGIN = 3
"""Empty voxels around the solid."""
TRUE_POINTS = 1_000_000
"""From which the true surface's light comes."""
FINE_NM = 25
"""Longest edge of the triangles from whose middles a mesh's light comes: a tenth of the PSF's width."""
COLUMNS = ("volume %", "area %", "mean nm", "largest nm", "right %", "IoU %", "image %")


@dataclass(frozen=True)
class Truth:
    """The solid in its pose: its function, exact measures, points and which of them lie inside, expected photons."""

    solid: Implicit
    volume_nm3: float
    area_nm2: float
    points_nm: Points
    inside: Array
    photons: Array


def truth_of(sample: Sample) -> Truth:
    """Return what is known of a sample's capsule, whose photons are one for each nm^2 of its surface."""
    source: Any = sample.scene.objects[0].shape
    length, radius, pose, solid = source.length_nm, source.radius_nm, sample.poses[0], sample.shapes[0].implicit
    assert solid is not None
    volume, area = np.pi * radius**2 * (length - 2 / 3 * radius), 2 * np.pi * radius * length
    points, packed, loc_nm, scale_nm = (
        np.asarray(sample.truths[f"objects.0.occupancy_{name}"]) for name in ("points", "inside", "loc_nm", "scale_nm")
    )
    surface_nm = pose.of(capsule_points(length, radius, TRUE_POINTS))
    photons = image(sample, surface_nm, np.full(TRUE_POINTS, area / TRUE_POINTS))
    inside = unpacked_labels(packed, len(points))
    return Truth(solid, volume, area, pose.of(points * scale_nm + loc_nm), inside, photons)


def capsule_points(length: float, radius: float, count: int) -> Points:
    """Return points of equal area on a capsule along x: a spiral in equal steps of x.

    Slices of a sphere have the area of equally thick slices of the cylinder around it (Archimedes).
    """
    x = ((np.arange(count) + 0.5) / count - 0.5) * length
    angle = np.arange(count) * np.pi * (3 - 5**0.5)
    wide = np.sqrt(radius**2 - np.maximum(np.abs(x) - (length / 2 - radius), 0) ** 2)
    return np.stack([x, wide * np.cos(angle), wide * np.sin(angle)], axis=1)


def image(sample: Sample, xyz_nm: Points, photons: Array) -> Array:
    """Return the expected photons of emitters in the sample's view."""
    view = sample.scene.views["epi"]
    return view.microscope.image(Emitters(xyz_nm, photons), view.grid)


def distances_in_voxels(solid: Implicit, voxel_nm: float, place: Points) -> SampledField:
    """Return the exact signed distances at the centres of voxels."""
    first_nm = solid.bounds_nm[0] - (place + MARGIN) * voxel_nm
    size = np.ceil((solid.bounds_nm[1] - first_nm) / voxel_nm).astype(int) + MARGIN
    centres_nm = np.argwhere(np.ones(size, np.bool_)) * voxel_nm + first_nm
    return SampledField(solid.field(centres_nm).reshape(size), first_nm, np.full(3, float(voxel_nm)))


def shape_of_labels(solid: Implicit, voxel_nm: float, place: Points) -> Shape:
    """Return what `mishape prepare` makes of a solid that was labelled in voxels by their centres."""
    distances = distances_in_voxels(solid, voxel_nm, place)
    labels = (distances.values < 0).astype(np.uint8)
    with TemporaryDirectory() as folder:
        np.save(f"{folder}/labels.npy", labels.T)  # files are zyx
        library = prepare(f"{folder}/labels.npy", f"{folder}/library", Making(voxel_nm=(voxel_nm,) * 3))
        (entry,) = library
        return entry.shape().moved(np.eye(3), distances.origin_nm + entry.place_nm)


def shape_of_distances(solid: Implicit, voxel_nm: float, place: Points) -> Shape:
    """Return the distances in voxels and their surface."""
    distances = distances_in_voxels(solid, voxel_nm, place)
    return Shape("distances", mesh_of_field(distances), distances.implicit())


def shape_of_function(solid: Implicit, step_nm: float, place: Points) -> Shape:
    """Return a solid's mesh, without the function."""
    bounds_nm = solid.bounds_nm - np.outer((1, 0), place * step_nm)
    return Shape("function", mesh_of_implicit(Implicit(solid.field, bounds_nm, step_nm)))


def errors(shape: Shape, truth: Truth, sample: Sample) -> list[float]:
    """Return a shape's figures, in the order of the columns."""
    mesh, inside = shape.surface, shape.inside(truth.points_nm)
    places = np.concatenate([mesh.vertices_nm, mesh.vertices_nm[mesh.faces].mean(axis=1)])
    off_nm = np.abs(truth.solid.field(places))
    photons = image(sample, *light(mesh.vertices_nm[mesh.faces]))
    return [
        100 * abs(mesh_volume_nm3(mesh) / truth.volume_nm3 - 1),
        100 * abs(mesh_area_nm2(mesh) / truth.area_nm2 - 1),
        off_nm.mean(),
        off_nm.max(),
        100 * (inside == truth.inside).mean(),
        100 * (inside & truth.inside).sum() / (inside | truth.inside).sum(),
        100 * np.abs(photons - truth.photons).max() / truth.photons.max(),
    ]


def light(corners_nm: Points) -> tuple[Points, Array]:
    """Return (m, 3, 3) triangles' light: the middles of small enough parts of them, and their areas."""
    while np.linalg.norm(corners_nm - np.roll(corners_nm, 1, axis=1), axis=2).max() > FINE_NM:
        a, b, c = np.moveaxis(corners_nm, 1, 0)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        parts = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
        corners_nm = np.concatenate([np.stack(part, axis=1) for part in parts])
    a, b, c = np.moveaxis(corners_nm, 1, 0)
    return corners_nm.mean(axis=1), np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


WAYS = {"labels": shape_of_labels, "distances": shape_of_distances, "function": shape_of_function}


def main() -> None:
    sample = mishape.simulate(mishape.load_spec(Path(__file__).with_suffix(".yaml")).scene(0))
    truth = truth_of(sample)
    print("| kept as", *COLUMNS, sep=" | ", end=" |\n")
    print("|---" * (1 + len(COLUMNS)), end="|\n")
    for name, make in WAYS.items():
        for step_nm in STEPS_NM:
            found = np.array([errors(make(truth.solid, step_nm, place), truth, sample) for place in PLACES])
            figures = np.where(np.array(COLUMNS) == "largest nm", found.max(axis=0), found.mean(axis=0))
            print(f"| {name}, {step_nm} nm", *(f"{figure:.3f}" for figure in figures), sep=" | ", end=" |\n")


if __name__ == "__main__":
    main()
