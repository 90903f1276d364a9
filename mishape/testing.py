"""Conformance suites for plugins: what the engine relies on, said as what a user would otherwise see go wrong.

Each suite is a plain function for a test of any framework::

    from mishape.testing import check_microscope

    def test_my_scope():
        check_microscope(MyScope(na=1.2))

It returns nothing, or raises an AssertionError whose text names the fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mishape.engine.arrays import to_numpy
from mishape.engine.errors import EmitterError
from mishape.engine.grid import Grid
from mishape.engine.protocols import Labeler, Microscope, Noise, ShapeSource
from mishape.engine.types import Emitters, Mesh, Points, Shape

__all__ = ["check_labeler", "check_microscope", "check_noise", "check_shape_source"]

T = TypeVar("T")
Image = NDArray[Any]

_IDS_CHECKED = 3
_LABEL_REACH_NM = 100.0
"""How far from the surface a label may sit: primary and secondary antibody are about 20 nm."""
_CENTRE_PX = 0.02
_LINEAR = 1e-5
_FIELD = 1e-3
_NEGATIVE = 5e-3
"""A fast renderer may ring below zero by its own error, half a percent of the peak (noises clip it)."""


def check_shape_source(source: Any) -> None:
    """Check a shape source: one to three of its shapes, sampled twice each.

    Raises
    ------
    AssertionError
        If the engine could not use it as `mishape.engine.protocols.ShapeSource` promises.
    """
    _check_component(source, ShapeSource, "keys() and sample()")
    keys = source.keys()
    assert keys is None or len(keys) > 0, "keys() is empty: there is no shape to choose; a generator returns None"
    assert keys == source.keys(), "keys() changes from call to call: the same seed would choose other shapes"
    for id in [None] if keys is None else list(keys)[:_IDS_CHECKED]:
        _check_sample(source, id, None if keys is None or id is None else keys[id])


def check_labeler(labeler: Any, shape: Shape | None = None) -> None:
    """Check a labeler on a shape; by default on a box of 600 x 400 x 300 nm away from the origin.

    Raises
    ------
    AssertionError
        If the engine could not use it as `mishape.engine.protocols.Labeler` promises.
    """
    _check_component(labeler, Labeler, "label()")
    shape = shape or Shape(id="box", mesh=_box((600.0, 400.0, 300.0), (900.0, -700.0, 500.0)))
    before = [array.copy() for array in _shape_arrays(shape)]
    try:
        emitters = _repeatable(lambda rng: labeler.label(shape, rng), _emitter_arrays, "label()")
    except EmitterError as error:
        raise AssertionError(f"label() gives what no microscope can image: {error}") from error
    assert _same(before, _shape_arrays(shape)), "label() changed the shape in place: masks and meshes would be wrong"
    assert isinstance(emitters, Emitters), f"label() returned {type(emitters).__name__}, not Emitters"
    xyz, photons = _emitter_arrays(emitters)
    assert len(xyz) > 0, "label() gave no emitters: the image would be black"
    assert np.isfinite(photons).all(), "an emitter's photons are NaN or infinite: the whole image would be NaN"
    assert (photons >= 0).all(), "an emitter has negative photons: it would darken the image"
    low, high = shape.bounds_nm
    stray = float(np.maximum(low - xyz, xyz - high).max())
    assert stray <= _LABEL_REACH_NM, (
        f"an emitter lies {stray:.0f} nm outside the shape's bounds: the light would not be where the masks are"
    )


def check_microscope(microscope: Any, grid: Grid | None = None) -> None:
    """Check a microscope on a grid; by default 3 planes of 48 x 49 pixels of 100 nm, 250 nm apart.

    The grid should be wide enough to hold nearly all light of an emitter at its centre. Tolerances: linearity and
    whole-pixel shifts 1e-5 of the peak, an emitter's centre 0.02 px, a wider field 1e-3 of the peak.

    Raises
    ------
    AssertionError
        If the engine could not use it as `mishape.engine.protocols.Microscope` promises.
    """
    _check_component(microscope, Microscope, "image()")
    grid = grid or Grid(shape=(3, 48, 49), pixel_nm=100.0, z_step_nm=250.0)

    def image(xyz_px: Any, photons: float = 1000.0, grid: Grid = grid) -> Image:
        xyz = np.asarray(xyz_px, dtype=np.float64).reshape(-1, 3) * grid.pixel_nm
        return to_numpy(microscope.image(Emitters(xyz, np.full(len(xyz), photons)), grid))

    lone = _repeatable(lambda rng: image([0, 0, 0]), lambda array: [array], "image()")
    assert lone.shape == grid.shape, f"image() has the shape {lone.shape}, not the grid's (Z, Y, X) {grid.shape}"
    assert np.isfinite(lone).all(), "image() holds NaN or infinity: the camera image would be garbage"
    assert lone.max() > 0, "an emitter at the centre of the field gives no light"
    assert lone.min() >= -_NEGATIVE * lone.max(), f"image() goes down to {lone.min():.3g} photons: light is negative"
    assert not np.any(image([])), "no emitters give light: every image would carry a background of the microscope"
    _check_linear(image)
    _check_place(image, grid)
    _check_field(image, grid)


def check_noise(noise: Any) -> None:
    """Check a noise on stripes of 0 to 400 expected photons.

    Raises
    ------
    AssertionError
        If the engine could not use it as `mishape.engine.protocols.Noise` promises.
    """
    _check_component(noise, Noise, "detect()")
    levels = np.array([0.0, 20.0, 100.0, 400.0])
    photons = np.broadcast_to(np.repeat(levels, 16), (2, 63, 64)).copy()
    before = photons.copy()
    counts = _repeatable(lambda rng: noise.detect(photons, rng), lambda array: [array], "detect()")
    assert np.array_equal(photons, before), "detect() changed the expected photons in place: the truth would be noisy"
    assert counts.dtype == np.uint16, f"detect() returned {counts.dtype}, not uint16: the dataset could not store it"
    assert counts.shape == photons.shape, f"detect() turned {photons.shape} into {counts.shape}: pixels must stay"
    means = counts.reshape(-1, 4, 16).mean(axis=(0, 2))
    assert (np.diff(means) > 0).all(), (
        f"expected photons {levels.tolist()} give mean counts {means.round(1).tolist()}: more light must give more"
    )
    dark = noise.detect(np.zeros((1, 8, 8)), np.random.default_rng(0))
    assert dark.shape == (1, 8, 8), "an image without light cannot be detected: empty fields would stop the run"


def _check_component(component: Any, protocol: type, verbs: str) -> None:
    name, promised = type(component).__name__, isinstance(component, protocol)
    assert promised, f"{name} is no {protocol.__name__}: it needs `kind` and {verbs}"
    kind = component.kind
    assert isinstance(kind, str), f"{name}.kind is {kind!r}, not text: no scene file could name it"
    assert hasattr(component, "model_dump"), f"{name} is no Component: its parameters cannot be read from a scene file"
    again = type(component).model_validate_json(component.model_dump_json())
    assert again == component, f"{name} comes back from JSON as {again!r}: a stored scene would not remake its images"


def _repeatable(call: Callable[[Generator], T], arrays: Callable[[T], list[Image]], verb: str) -> T:
    """Return the call's result after making sure that the same seed gives it twice, by the generator given alone."""
    before = _global_states()
    first = call(np.random.default_rng(7))
    assert _same(before, _global_states()), f"{verb} uses global random numbers: images would depend on other code"
    again = call(np.random.default_rng(7))
    assert _same(arrays(first), arrays(again)), (
        f"{verb} with the same seed gives another result: no image can be remade"
    )
    return first


def _global_states() -> list[Image]:
    legacy: Any = np.random.get_state()  # noqa: NPY002 - looks whether a plugin touches it
    return [np.asarray(legacy[1]), np.asarray(legacy[2]), np.asarray(random.getstate()[1])]


def _same(first: list[Image], second: list[Image]) -> bool:
    pairs = zip(first, second, strict=True)
    return len(first) == len(second) and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def _shape_arrays(shape: Any) -> list[Image]:
    return [shape.surface.vertices_nm, shape.surface.faces] if isinstance(shape, Shape) else []


def _emitter_arrays(emitters: Any) -> list[Image]:
    return [to_numpy(emitters.xyz_nm), to_numpy(emitters.photons)] if isinstance(emitters, Emitters) else []


def _check_sample(source: Any, id: str | None, key: str | None) -> None:
    shape = _repeatable(lambda rng: source.sample(rng, id), _shape_arrays, "sample()")
    assert isinstance(shape, Shape), f"sample() returned {type(shape).__name__}, not a Shape"
    if id is not None:
        assert shape.id == id, f"sample(id={id!r}) returned the shape {shape.id!r}: datasets would name the wrong shape"
        other = source.sample(np.random.default_rng(8), id)
        assert _same(_shape_arrays(shape), _shape_arrays(other)), (
            f"sample(id={id!r}) depends on the generator too: a dataset's copy of the shape would be another one"
        )
        mine = shape.fold or shape.id
        assert mine == key, (
            f"keys() gives {id!r} the split key {key!r}, its shape says {mine!r}: twins could stand in train and test"
        )
    _check_shape(shape)


def _check_shape(shape: Shape) -> None:
    mesh, name = shape.surface, f"shape {shape.id!r}"
    assert shape.id, "a shape has no id: nothing could tell which samples share it"
    assert len(mesh.faces) > 0, f"{name} has no triangles: there is nothing to label"
    assert np.isfinite(mesh.vertices_nm).all(), f"{name} has a vertex at NaN or infinity"
    low, high = mesh.vertices_nm.min(axis=0), mesh.vertices_nm.max(axis=0)
    assert (high > low).all(), f"{name} is flat: it holds no volume"
    off_nm = float(np.abs(low + high).max() / 2)
    assert off_nm <= (high - low).max() / 4, (
        f"{name} is centred {off_nm:.0f} nm from its origin: rotating it would swing it out of the field"
    )
    _check_closed(mesh, name)
    tolerance_nm = 1e-6 * float((high - low).max())
    inside_bounds = (shape.bounds_nm[0] <= low + tolerance_nm) & (shape.bounds_nm[1] >= high - tolerance_nm)
    assert inside_bounds.all(), f"{name} reaches out of its own bounds_nm: parts of it would be missing"
    outside = shape.inside(np.stack([2 * low - high, 2 * high - low]))
    assert not outside.any(), f"{name} claims points far outside of it: masks would be full"


def _check_closed(mesh: Mesh, name: str) -> None:
    """Every directed edge has as many partners that run the other way, and the volume is positive."""
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    there, back = (np.sort(pair @ np.array([len(mesh.vertices_nm), 1])) for pair in (edges, edges[:, ::-1]))
    assert np.array_equal(there, back), f"{name} is not watertight: inside and outside would run into each other"
    a, b, c = (mesh.vertices_nm[mesh.faces[:, corner]] for corner in range(3))
    volume = float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6
    assert volume > 0, f"{name} has its triangles the wrong way round: inside and outside would be swapped"


def _check_linear(image: Callable[..., Image]) -> None:
    rng = np.random.default_rng(3)
    # The second group lies deeper than the first: neighbours must not change how an emitter is imaged.
    one, two = (rng.uniform(-1, 1, (5, 3)) * [8, 8, depth_px] for depth_px in (1, 6))
    apart, together = image(one) + image(two), image(np.concatenate([one, two]))
    error = float(np.abs(together - apart).max() / apart.max())
    assert error <= _LINEAR, (
        f"image(A + B) differs from image(A) + image(B) by {error:.2g} of the peak: "
        "brightness would depend on what else is in the field"
    )
    error = float(np.abs(image(one, 3000.0) - 3 * image(one)).max() / image(one).max())
    assert error <= _LINEAR, f"three times the photons do not give three times the image ({error:.2g} of the peak off)"


def _check_place(image: Callable[..., Image], grid: Grid) -> None:
    plane = int(np.argmin(np.abs(grid.centers_nm()[0])))
    _, y, x = (center / grid.pixel_nm for center in grid.centers_nm())
    spot = image([0.3, -0.2, 0])[plane]
    found = (spot.sum(axis=0) @ x / spot.sum(), spot.sum(axis=1) @ y / spot.sum())
    assert np.hypot(found[0] - 0.3, found[1] + 0.2) <= _CENTRE_PX, (
        f"an emitter at x = 0.3, y = -0.2 px shows at x = {found[0]:.2f}, y = {found[1]:.2f} px: "
        "light and masks would not lie on each other"
    )
    right, up = min(4, grid.shape[2] // 8), min(3, grid.shape[1] // 8)
    lone, moved = image([0, 0, 0]), image([right, -up, 0])
    error = float(np.abs(moved[:, : grid.shape[1] - up, right:] - lone[:, up:, : grid.shape[2] - right]).max())
    assert error <= _LINEAR * lone.max(), (
        f"an emitter moved by whole pixels changes its image by {error / lone.max():.2g} of the peak: "
        "brightness or sharpness would depend on the place in the field"
    )


def _check_field(image: Callable[..., Image], grid: Grid) -> None:
    planes, rows, columns = grid.shape
    wide = image([2, 1, 0], grid=replace(grid, shape=(planes, rows + 32, columns + 32)))[:, 16:-16, 16:-16]
    narrow = image([2, 1, 0])
    error = float(np.abs(wide - narrow).max() / narrow.max())
    assert error <= _FIELD, (
        f"a wider field changes an emitter's image by {error:.2g} of the peak: brightness would depend on the crop"
    )


def _box(size_nm: tuple[float, float, float], center_nm: tuple[float, float, float]) -> Mesh:
    """Return a closed box of twelve triangles."""
    corners: Points = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    squares = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in squares for triangle in ((a, b, c), (a, c, d))]
    return Mesh(corners * size_nm + center_nm, np.array(faces, dtype=np.int64))
