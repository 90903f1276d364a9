"""Every built-in passes the public conformance suites, and every check of theirs catches a component that is broken."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr

from mishape import testing
from mishape.engine import registry
from mishape.engine.component import Component
from mishape.engine.grid import Grid
from mishape.engine.types import Array, Emitters, Implicit, Mesh, Points, Shape

UROCELL = Path(__file__).parent / "data/urocell/fib1-1-0-3.nii.gz"
"""Not in the sdist, as its licence is another."""
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "shapes.em_mesh": [{"library": "neuropil"}],
    "shapes.em_labels": [{"volume": str(UROCELL), "voxel_nm": [16, 16, 15]}] if UROCELL.is_file() else [],
    "shapes.implicit": [
        {"form": "sphere", "radius_nm": 300},
        {"form": "ellipsoid", "semi_axes_nm": [400, 250, 200]},
        {"form": "torus", "ring_radius_nm": 400, "radius_nm": 150},
        {"form": "capsule", "length_nm": 1500, "radius_nm": 200},
    ],
    "shapes.tube": [{"length_nm": 1500, "radius_nm": 150}],
    "labelers.surface": [{"density_per_um2": 2000, "photons": 100}],
    "labelers.volume": [{"density_per_um3": 5000, "photons": 100}],
    "microscopes.epi": [
        {"preset": "epi1"},
        {"preset": "epi2"},
        {"preset": "epi1", "sample_index": 1.47, "depth_nm": 1500},
    ],
    "microscopes.confocal": [{"preset": "con1"}, {"preset": "con1", "sampling": "scan"}],
    "microscopes.spinning_disk": [{"na": 1.4, "emission_nm": 600, "excitation_nm": 561}],
    "microscopes.measured": [],  # needs a file: tests/test_measured.py runs its suite
    "noises.poisson": [{}, {"background": 100, "sbr": 2}],
    "noises.pmt": [{}, {"mode": "counting"}],
}
"""Example parameters of built-ins that need some, or that behave in more than one way."""

SUITES: dict[str, Callable[..., None]] = {
    "shapes": testing.check_shape_source,
    "labelers": testing.check_labeler,
    "microscopes": testing.check_microscope,
    "noises": testing.check_noise,
}

BUILT_INS = [
    (family, {"kind": kind, **parameters})
    for family in SUITES
    for kind in registry.kinds(family)
    for parameters in PARAMETERS.get(f"{family}.{kind}", [{}])
]


@pytest.mark.parametrize(("family", "parameters"), BUILT_INS, ids=str)
def test_built_ins_conform(family: str, parameters: dict[str, Any]) -> None:
    component = registry.load(family, parameters["kind"]).model_validate(parameters)
    SUITES[family](component)


def is_refused(suite: Any, component: Any, text: str) -> None:
    with pytest.raises(AssertionError) as caught:
        suite(component)
    assert text in str(caught.value)


# Shape sources

_BOX = testing._box((600.0, 400.0, 300.0), (0.0, 0.0, 0.0))


class Boxes(Component):
    """A sound source of two boxes; the broken ones below change one thing each."""

    kind: Literal["boxes"] = "boxes"
    size: float = 1.0

    def keys(self) -> Mapping[str, str] | None:
        return {"a": "a", "b": "b"}

    def sample(self, rng: Generator, id: str | None) -> Shape:
        return Shape(id=id or "box", mesh=self.mesh(rng))

    def mesh(self, rng: Generator) -> Mesh:
        return Mesh(_BOX.vertices_nm * self.size, _BOX.faces)


class Generated(Boxes):
    def keys(self) -> None:
        return None


class NoSampler(Component):
    kind: Literal["none"] = "none"

    def keys(self) -> None:
        return None


class NumberedKind(Boxes):
    kind: Any = 3


class Forgetful(Boxes):
    size: float = Field(default=1.0, exclude=True)


class NoKeys(Boxes):
    def keys(self) -> Mapping[str, str]:
        return {}


class NewKeys(Boxes):
    _calls: list[int] = PrivateAttr(default_factory=list)

    def keys(self) -> Mapping[str, str]:
        self._calls.append(0)
        return {f"a{len(self._calls)}": "a"}


class OtherId(Boxes):
    def sample(self, rng: Generator, id: str | None) -> Shape:
        return replace(super().sample(rng, id), id="b")


class OtherFold(Boxes):
    def sample(self, rng: Generator, id: str | None) -> Shape:
        return replace(super().sample(rng, id), fold="volume1")


class BareMesh(Boxes):
    def sample(self, rng: Generator, id: str | None) -> Any:
        return self.mesh(rng)


class OwnGenerator(Boxes):
    def mesh(self, rng: Generator) -> Mesh:
        return replace(_BOX, vertices_nm=_BOX.vertices_nm * np.random.default_rng().uniform(1, 2))


class NumpyGlobal(Boxes):
    def mesh(self, rng: Generator) -> Mesh:
        np.random.uniform()  # noqa: NPY002 - the fault that the suite must find
        return super().mesh(rng)


class PythonGlobal(Boxes):
    def mesh(self, rng: Generator) -> Mesh:
        random.random()
        return super().mesh(rng)


class NoTriangles(Boxes):
    def mesh(self, rng: Generator) -> Mesh:
        return replace(_BOX, faces=_BOX.faces[:0])


class NotFinite(Boxes):
    def mesh(self, rng: Generator) -> Mesh:
        return replace(_BOX, vertices_nm=np.where(_BOX.vertices_nm > 299, np.inf, _BOX.vertices_nm))


class Flat(Boxes):
    def mesh(self, rng: Generator) -> Mesh:
        return replace(_BOX, vertices_nm=_BOX.vertices_nm * [1, 1, 0])


class OffCentre(Boxes):
    def mesh(self, rng: Generator) -> Mesh:
        return replace(_BOX, vertices_nm=_BOX.vertices_nm + np.array([5000, 0, 0]))


class Open(Boxes):
    def mesh(self, rng: Generator) -> Mesh:
        return replace(_BOX, faces=_BOX.faces[1:])


class OneFaceTurned(Boxes):
    def mesh(self, rng: Generator) -> Mesh:
        return replace(_BOX, faces=np.concatenate([_BOX.faces[:1, ::-1], _BOX.faces[1:]]))


class InsideOut(Boxes):
    def mesh(self, rng: Generator) -> Mesh:
        return replace(_BOX, faces=_BOX.faces[:, ::-1])


class ImplicitTwin(Boxes):
    """A source whose shapes carry an inside function too, which decides what is inside."""

    def keys(self) -> None:
        return None

    def field(self, points_nm: Points) -> Points:
        return np.asarray(np.linalg.norm(points_nm, axis=1) - 200)

    def sample(self, rng: Generator, id: str | None) -> Shape:
        return Shape(id="ball", mesh=_BOX, implicit=Implicit(self.field, np.array([[-300.0] * 3, [300.0] * 3]), 20))


class InsideEverywhere(ImplicitTwin):
    def field(self, points_nm: Points) -> Points:
        return -np.ones(len(points_nm))


@pytest.mark.parametrize("source", [Boxes(), Generated(), ImplicitTwin()], ids=repr)
def test_sound_shape_sources_pass(source: Any) -> None:
    testing.check_shape_source(source)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (NoSampler(), "NoSampler is no ShapeSource: it needs `kind` and keys() and sample()"),
        (NumberedKind(), "NumberedKind.kind is 3, not text: no scene file could name it"),
        (Forgetful(size=2.0), "a stored scene would not remake its images"),
        (NoKeys(), "keys() is empty: there is no shape to choose"),
        (NewKeys(), "keys() changes from call to call: the same seed would choose other shapes"),
        (OtherId(), "sample(id='a') returned the shape 'b': datasets would name the wrong shape"),
        (OtherFold(), "its shape says 'volume1': twins could stand in train and test"),
        (BareMesh(), "sample() returned Mesh, not a Shape"),
        (OwnGenerator(), "sample() with the same seed gives another result: no image can be remade"),
        (NumpyGlobal(), "sample() uses global random numbers: images would depend on other code"),
        (PythonGlobal(), "sample() uses global random numbers"),
        (NoTriangles(), "shape 'a' has no triangles: there is nothing to label"),
        (NotFinite(), "shape 'a' has a vertex at NaN or infinity"),
        (Flat(), "shape 'a' is flat: it holds no volume"),
        (OffCentre(), "centred 5000 nm from its origin: rotating it would swing it out of the field"),
        (Open(), "is not watertight: inside and outside would run into each other"),
        (OneFaceTurned(), "is not watertight"),
        (InsideOut(), "has its triangles the wrong way round: inside and outside would be swapped"),
        (InsideEverywhere(), "claims points far outside of it: masks would be full"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Component) else "",
)
def test_broken_shape_sources_are_caught(source: Any, text: str) -> None:
    is_refused(testing.check_shape_source, source, text)


def test_shape_out_of_its_bounds_is_caught() -> None:
    class Cropped(ImplicitTwin):
        def sample(self, rng: Generator, id: str | None) -> Shape:
            shape = Shape(id="cropped", mesh=_BOX)
            shape.__dict__["bounds_nm"] = np.array([[-100.0] * 3, [100.0] * 3])
            return shape

    is_refused(testing.check_shape_source, Cropped(), "reaches out of its own bounds_nm: parts of it would be missing")


# Labelers


class Corners(Component):
    """A sound labeler: some of the mesh's corners."""

    kind: Literal["corners"] = "corners"

    def label(self, shape: Shape, rng: Generator) -> Emitters:
        xyz = rng.choice(shape.surface.vertices_nm, 5)
        return Emitters(xyz, np.full(len(xyz), 100.0))


class BareArray(Corners):
    def label(self, shape: Shape, rng: Generator) -> Any:
        return super().label(shape, rng).xyz_nm


class Planar(Corners):
    def label(self, shape: Shape, rng: Generator) -> Emitters:
        good = super().label(shape, rng)
        return replace(good, xyz_nm=good.xyz_nm[:, :2])


class OnePhotonNumber(Corners):
    def label(self, shape: Shape, rng: Generator) -> Emitters:
        return replace(super().label(shape, rng), photons=np.array([100.0]))


class NoEmitters(Corners):
    def label(self, shape: Shape, rng: Generator) -> Emitters:
        return Emitters(np.zeros((0, 3)), np.zeros(0))


class LostEmitter(Corners):
    def label(self, shape: Shape, rng: Generator) -> Emitters:
        good = super().label(shape, rng)
        return replace(good, xyz_nm=np.where(good.xyz_nm == good.xyz_nm[0], np.nan, good.xyz_nm))


class NanPhotons(Corners):
    def label(self, shape: Shape, rng: Generator) -> Emitters:
        return replace(super().label(shape, rng), photons=np.full(5, np.nan))


class Darkening(Corners):
    def label(self, shape: Shape, rng: Generator) -> Emitters:
        return replace(super().label(shape, rng), photons=np.full(5, -1.0))


class Unposed(Corners):
    """Forgets that the shape stands somewhere in the world."""

    def label(self, shape: Shape, rng: Generator) -> Emitters:
        good = super().label(shape, rng)
        return replace(good, xyz_nm=good.xyz_nm - shape.bounds_nm.mean(axis=0))


def test_sound_labeler_passes() -> None:
    testing.check_labeler(Corners())
    testing.check_labeler(Corners(), Shape(id="box", mesh=_BOX))


@pytest.mark.parametrize(
    ("labeler", "text"),
    [
        (Boxes(), "Boxes is no Labeler: it needs `kind` and label()"),
        (BareArray(), "label() returned ndarray, not Emitters"),
        (
            Planar(),
            "image: emitters need (n, 3) positions and (n,) photons: (5, 2) and (5,)",
        ),
        (
            OnePhotonNumber(),
            "image: emitters need (n, 3) positions and (n,) photons: (5, 3) and (1,)",
        ),
        (NoEmitters(), "label() gave no emitters: the image would be black"),
        (LostEmitter(), "label() gives what no microscope can image: emitters need finite positions"),
        (NanPhotons(), "label() gives what no microscope can image: emitters need real numbers of photons"),
        (Darkening(), "an emitter has negative photons: it would darken the image"),
        (Unposed(), "outside the shape's bounds: the light would not be where the masks are"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Component) else "",
)
def test_broken_labelers_are_caught(labeler: Any, text: str) -> None:
    is_refused(testing.check_labeler, labeler, text)


def test_labeler_that_changes_the_shape_is_caught() -> None:
    class Rounding(Corners):
        def label(self, shape: Shape, rng: Generator) -> Emitters:
            shape.surface.vertices_nm[0] = 0.0
            return Emitters(shape.surface.vertices_nm[:5].copy(), np.full(5, 100.0))

    is_refused(testing.check_labeler, Rounding(), "label() changed the shape in place: masks and meshes would be wrong")


# Microscopes


class Gaussian(Component):
    """A sound microscope with a Gaussian PSF that widens away from focus."""

    kind: Literal["gaussian"] = "gaussian"

    def image(self, emitters: Emitters, grid: Grid) -> Array:
        z, y, x = grid.centers_nm()
        light = np.zeros(grid.shape)
        for (x0, y0, z0), photons in zip(emitters.xyz_nm, emitters.photons, strict=True):
            sigma = 120 * np.sqrt(1 + ((z - z0) / 400) ** 2)[:, None, None]
            square = (x[None, None, :] - x0) ** 2 + (y[None, :, None] - y0) ** 2
            light += photons * np.exp(-square / (2 * sigma**2)) * grid.pixel_nm**2 / (2 * np.pi * sigma**2)
        return light


class Transposed(Gaussian):
    def image(self, emitters: Emitters, grid: Grid) -> Array:
        return np.moveaxis(super().image(emitters, grid), 1, 2)


class Noisy(Gaussian):
    def image(self, emitters: Emitters, grid: Grid) -> Array:
        return np.random.default_rng().poisson(super().image(emitters, grid))


class NotANumber(Gaussian):
    def image(self, emitters: Emitters, grid: Grid) -> Array:
        return super().image(emitters, grid) * np.nan


class Black(Gaussian):
    def image(self, emitters: Emitters, grid: Grid) -> Array:
        return np.zeros(grid.shape)


class Unsharp(Gaussian):
    """Subtracts a blurred copy, as a filter would and light cannot."""

    def image(self, emitters: Emitters, grid: Grid) -> Array:
        sharp = super().image(emitters, grid)
        return sharp - 0.9 * np.roll(sharp, 3, axis=2)


class Glowing(Gaussian):
    def image(self, emitters: Emitters, grid: Grid) -> Array:
        return super().image(emitters, grid) + 1.0


class SelfScaled(Gaussian):
    def image(self, emitters: Emitters, grid: Grid) -> Array:
        light = super().image(emitters, grid)
        return light / max(light.max(), 1e-9)


class Saturating(Gaussian):
    """Bends each emitter's light by itself: what else is in the field does not matter, the photons' number does."""

    def image(self, emitters: Emitters, grid: Grid) -> Array:
        return super().image(replace(emitters, photons=np.sqrt(emitters.photons)), grid)


class HalfPixelOff(Gaussian):
    def image(self, emitters: Emitters, grid: Grid) -> Array:
        return super().image(replace(emitters, xyz_nm=emitters.xyz_nm + grid.pixel_nm / 2), grid)


class Swapped(Gaussian):
    def image(self, emitters: Emitters, grid: Grid) -> Array:
        return super().image(replace(emitters, xyz_nm=emitters.xyz_nm[:, [1, 0, 2]]), grid)


class Mirrored(Gaussian):
    def image(self, emitters: Emitters, grid: Grid) -> Array:
        return super().image(emitters, grid)[:, ::-1, :]


class Vignetted(Gaussian):
    """Falls off from the centre of the world: the same in every crop, but no longer shift-equivariant."""

    def image(self, emitters: Emitters, grid: Grid) -> Array:
        falloff = np.exp(-np.sum(emitters.xyz_nm[:, :2] ** 2, axis=1) / 1e8)
        return super().image(replace(emitters, photons=emitters.photons * falloff), grid)


class BoxNormalised(Gaussian):
    """Spreads a constant amount of light over whatever field there is."""

    def image(self, emitters: Emitters, grid: Grid) -> Array:
        return super().image(emitters, grid) * 1000 / (grid.shape[1] * grid.shape[2])


def test_sound_microscope_passes() -> None:
    testing.check_microscope(Gaussian())
    testing.check_microscope(Gaussian(), Grid(shape=(1, 65, 64), pixel_nm=80))


@pytest.mark.parametrize(
    ("microscope", "text"),
    [
        (Corners(), "Corners is no Microscope: it needs `kind` and image()"),
        (Transposed(), "image() has the shape (3, 49, 48), not the grid's (Z, Y, X) (3, 48, 49)"),
        (Noisy(), "image() with the same seed gives another result"),
        (NotANumber(), "image() holds NaN or infinity"),
        (Black(), "an emitter at the centre of the field gives no light"),
        (Unsharp(), "photons: light is negative"),
        (Glowing(), "no emitters give light: every image would carry a background of the microscope"),
        (SelfScaled(), "of the peak: brightness would depend on what else is in the field"),
        (Saturating(), "three times the photons do not give three times the image"),
        (HalfPixelOff(), "shows at x = 0.80, y = 0.30 px: light and masks would not lie on each other"),
        (Swapped(), "shows at x = -0.20, y = 0.30 px"),
        (Mirrored(), "shows at x = 0.30, y = 0.20 px"),
        (Vignetted(), "brightness or sharpness would depend on the place in the field"),
        (BoxNormalised(), "a wider field changes an emitter's image by 0.64 of the peak"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Component) else "",
)
def test_broken_microscopes_are_caught(microscope: Any, text: str) -> None:
    is_refused(testing.check_microscope, microscope, text)


# Noises


class Rounding(Component):
    """A sound noise."""

    kind: Literal["rounding"] = "rounding"

    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        return np.asarray(np.rint(photons), dtype=np.uint16)


class Floating(Rounding):
    def detect(self, photons: Array, rng: Generator) -> Any:
        return photons * 1.0


class Squeezing(Rounding):
    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        return np.asarray(super().detect(photons, rng)[0])


class Unseeded(Rounding):
    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        return np.asarray(np.random.default_rng().poisson(photons), dtype=np.uint16)


class GlobalNoise(Rounding):
    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        return np.asarray(np.random.poisson(photons), dtype=np.uint16)  # noqa: NPY002 - the fault that the suite must find


class InPlace(Rounding):
    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        photons += 1
        return np.zeros(photons.shape, dtype=np.uint16)


class WrapsAround(Rounding):
    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        return super().detect(photons % 128, rng)


class NeedsLight(Rounding):
    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        return super().detect(photons[photons.max(axis=(1, 2)) > 0], rng)


def test_sound_noise_passes() -> None:
    testing.check_noise(Rounding())


@pytest.mark.parametrize(
    ("noise", "text"),
    [
        (Corners(), "Corners is no Noise: it needs `kind` and detect()"),
        (Floating(), "detect() returned float64, not uint16: the dataset could not store it"),
        (Squeezing(), "detect() turned (2, 63, 64) into (63, 64): pixels must stay"),
        (Unseeded(), "detect() with the same seed gives another result: no image can be remade"),
        (GlobalNoise(), "detect() uses global random numbers: images would depend on other code"),
        (InPlace(), "detect() changed the expected photons in place: the truth would be noisy"),
        (WrapsAround(), "give mean counts [0.0, 20.0, 100.0, 16.0]: more light must give more"),
        (NeedsLight(), "an image without light cannot be detected: empty fields would stop the run"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Component) else "",
)
def test_broken_noises_are_caught(noise: Any, text: str) -> None:
    is_refused(testing.check_noise, noise, text)


def test_a_class_that_is_no_component_is_caught() -> None:
    class Plain:
        kind = "plain"

        def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
            return np.asarray(np.rint(photons), dtype=np.uint16)

    is_refused(testing.check_noise, Plain(), "Plain is no Component: its parameters cannot be read from a scene file")
