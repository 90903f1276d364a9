"""Shapes of images by the commands: found, written as a library, imaged by other microscopes, brought to scale."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import trimesh
import yaml

import mishape
from mishape.engine.grid import Grid
from mishape.engine.ometiff import StackWriter
from tests.conftest import Run

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from mishape.learn.light_plan import load_light_plan  # noqa: E402 -- needs torch
from mishape.learn.light_training import train_light  # noqa: E402
from mishape.learn.networks import one_thread  # noqa: E402

PIXEL_NM, PLANES = 110.0, "-250,0,250"
BALL: dict[str, Any] = {"kind": "implicit", "form": "sphere", "radius_nm": {"$uniform": [250, 420]}}


def scene(balls: int, pixels: int, **changes: Any) -> dict[str, Any]:
    """Balls on a field; of several, one lies to the left of the middle and one to the right of it."""
    places = [[0, 0, 0]] if balls == 1 else [[-1500, 200, 0], [1600, -400, 100]]
    objects = [
        {
            "shape": BALL if balls == 1 else {**BALL, "radius_nm": 340},
            "pose": {"center_nm": place, "scatter_nm": [250, 250, 150] if balls == 1 else [0, 0, 0]},
            "labeler": {"kind": "surface", "density_per_um2": 500},
        }
        for place in places
    ]
    view = {
        "grid": {"shape": [3, pixels, pixels], "pixel_nm": PIXEL_NM, "planes_nm": [-250, 0, 250]},
        "microscope": {"kind": "epi", "preset": "epi1"},
        "noise": {"kind": "poisson", "background": 100, "sbr": 6},
    }
    return {"mishape": 1, "seed": 4, "samples": 500, "objects": objects, "views": {"epi": view}, **changes}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that has seen nothing but balls."""
    folder = tmp_path_factory.mktemp("balls")
    (folder / "balls.yaml").write_text(yaml.safe_dump(scene(1, 24)))
    plan = {
        "mishape": 1,
        "light": {"parts": [{"images": "balls.yaml"}], "height_known": 0},
        "model": {"kind": "grid_stack", "widths": [8, 16], "features": 16, "hidden": 32},
        "training": {"steps": 300, "batch": 8, "points": 256, "check_every": 300, "learning_rate": 5e-3},
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    with one_thread():
        return train_light(*load_light_plan(folder / "plan.yaml"), folder / "run")


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack of two balls, and a mask of them."""
    folder = tmp_path_factory.mktemp("field")
    sample = mishape.simulate(mishape.load_spec(scene(2, 64, truths={"masks_2d": {}})).scene(0))
    grid = Grid((3, 64, 64), PIXEL_NM, planes_nm=(-250.0, 0.0, 250.0))
    with StackWriter(folder / "two.ome.tif", grid, np.dtype(np.uint16), 1, "two") as file:
        file.write(0, sample.images["epi"])
    mask: Any = sample.truths["epi.masks_2d"]
    tifffile.imwrite(folder / "mask.tif", (mask.data[0] > 0).astype(np.uint8))
    return folder


def arguments(field: Path, weights: Path | str, **changes: str) -> list[str]:
    options = {"weights": str(weights), "planes": PLANES, "mask": str(field / "mask.tif"), **changes}
    return [str(field / "two.ome.tif"), *(part for name, value in options.items() for part in (f"--{name}", value))]


def test_shapes_of_a_field(run: Run, field: Path, weights: Path, tmp_path: Path) -> None:
    """Each ball where it lies, to 60 nm (150 in depth), and as large as it is, to 15 %; scenes can use the library."""
    out = tmp_path / "found"
    code, told, _ = run("reconstruct", *arguments(field, weights, view="epi1"), "-o", str(out))
    assert code == 0
    assert "2 shape(s), 0 part(s) without one" in told
    library = mishape.open_library(out)
    apart = np.array(sorted(entry.place_nm for entry in library)) - [[-1500, 200, 0], [1600, -400, 100]]
    assert (np.abs(apart) < [60, 60, 150]).all()
    for entry in library:
        assert (entry.volume_nm3 / (4 / 3 * np.pi)) ** (1 / 3) == pytest.approx(340, rel=0.15)
        assert "found in two.ome.tif by weights.safetensors (grid_stack" in entry.source
        assert not entry.touches_border
    again = mishape.load_spec({**scene(1, 24), "objects": [{"shape": {"kind": "em_mesh", "library": str(out)}}]})
    assert mishape.simulate(again.scene(0)).images["epi"].shape == (3, 24, 24)
    ply, glb = (trimesh.load_mesh(out / f"surfaces.{suffix}") for suffix in ("ply", "glb"))
    assert ply.body_count == 2
    np.testing.assert_allclose(ply.bounds, glb.bounds, atol=1e-2)
    assert ply.bounds[0, 0] == pytest.approx(-1840, abs=80)
    page = (out / "reconstruction.html").read_text()
    assert "z -250 nm: image" in page
    assert "re-imaged" in page
    assert "Orange: in focus in some plane" in page


def test_fitted_shapes_explain_more_of_the_light(run: Run, field: Path, weights: Path, tmp_path: Path) -> None:
    """What is left of the image is less, and the balls are as large and where they are, as without."""
    left = []
    for out, fit in (("found", []), ("fitted", ["--fit", "surface"])):
        given = arguments(field, weights, view="epi1", turns="1")
        code, told, _ = run("reconstruct", *given, *fit, "-o", str(tmp_path / out))
        assert code == 0
        assert "2 shape(s), 0 part(s) without one" in told
        left.append(float(re.findall(r"residual ([0-9.]+)", told)[0]))
        for entry in mishape.open_library(tmp_path / out):
            assert (entry.volume_nm3 / (4 / 3 * np.pi)) ** (1 / 3) == pytest.approx(340, rel=0.15)
    assert left[1] < left[0] - 0.01


def test_an_image_of_another_microscope(run: Run, field: Path, weights: Path, tmp_path: Path) -> None:
    """As epi1's stack it is nearly the image itself; as con1's plane it is sharper; turned by 90 degrees it turns."""
    stack, plane, side = tmp_path / "epi.tif", tmp_path / "con.tif", tmp_path / "side.tif"
    given = arguments(field, weights, **{"from": "epi1"})
    run("translate", *given, "--to", "epi1", "--to-planes", PLANES, "-o", str(stack))
    _, told, _ = run("translate", *given, "--to", "con1", "--to-pixel-nm", "70", "-o", str(plane))
    assert "what the image does not show of them is what the network learned to expect" in told
    first, second = tifffile.imread(field / "two.ome.tif").astype(float), tifffile.imread(stack)
    assert second.dtype == np.float32
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.9
    assert tifffile.imread(plane).shape == (101, 101)
    run("translate", *given, "--to", "con1", "--turn", "0,0,90", "-o", str(side))
    rows, columns = (np.argwhere(tifffile.imread(side) > 150).std(axis=0)).tolist()
    assert rows > 2 * columns
    said = json.loads(side.with_suffix(".json").read_text())
    assert (said["from"], said["to"], said["turn"], said["shapes"]) == ("epi1", "con1", [0, 0, 90], 2)


def test_a_scene_s_view_and_its_noise(run: Run, field: Path, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "scene.yaml").write_text(yaml.safe_dump(scene(1, 24)))
    given = arguments(field, weights, **{"from": f"{tmp_path / 'scene.yaml'}:epi"})
    run("translate", *given, "--to", f"{tmp_path / 'scene.yaml'}:epi", "-o", str(tmp_path / "made.tif"))
    made = tifffile.imread(tmp_path / "made.tif")
    assert made.dtype == np.uint16
    assert made.shape == (64, 64)
    assert np.median(made) == pytest.approx(100, abs=3)


@pytest.mark.parametrize("unit", [1.0, 24.0])
def test_a_shape_is_brought_to_scale(run: Run, tmp_path: Path, unit: float) -> None:
    """Of an ellipsoid given in another unit: to 3 %, and in the interval."""
    shape = {"kind": "implicit", "form": "ellipsoid", "semi_axes_nm": [700, 350, 250]}
    ball = trimesh.creation.icosphere(subdivisions=4)
    ball.apply_scale(np.array([700, 350, 250]) / unit).export(tmp_path / "given.ply")
    sample = mishape.simulate(mishape.load_spec({**scene(1, 32), "objects": [{"shape": shape}]}).scene(0))
    tifffile.imwrite(tmp_path / "taken.tif", sample.images["epi"], photometric="minisblack")
    options = ["--view", "epi1", "--planes", PLANES, "--pixel-nm", "110", "-o", str(tmp_path / "large.ply")]
    _, told, _ = run("rescale", str(tmp_path / "taken.tif"), str(tmp_path / "given.ply"), *options)
    found = re.match(r"1 unit of the mesh is (\S+) nm \((\S+) to (\S+)\)", told)
    assert found is not None
    scale, low, high = map(float, found.groups())
    assert scale == pytest.approx(unit, rel=0.03)
    assert low < unit < high
    assert trimesh.load_mesh(tmp_path / "large.ply").extents == pytest.approx([1400, 700, 500], rel=0.03)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"view": "epi9"}, "--view 'epi9' is neither a preset of a microscope nor a scene file: did you mean 'epi2'"),
        (
            {"view": "sekh2021"},
            "several microscopes have a preset of that name: give confocal.sekh2021 or epi.sekh2021",
        ),
        ({"view": "epi1", "planes": "0,250"}, "--planes names 2 plane(s), the image has 3: name each"),
        ({"view": "epi1", "planes": "a,b"}, "--planes 'a,b': numbers in nm are expected, as -250,0,250"),
        ({"view": "epi1", "weights": "none.safetensors"}, "weights 'none.safetensors' do not exist"),
        ({"view": "epi1", "mask": "none.tif"}, "picture 'none.tif' does not exist"),
        ({"view": "scene.yaml"}, "scene file 'scene.yaml' does not exist"),
    ],
)
def test_bad_options(run: Run, field: Path, weights: Path, tmp_path: Path, changes: dict[str, str], text: str) -> None:
    given = {"weights": str(weights), **changes}
    code, _, told = run("reconstruct", *arguments(field, **given), "-o", str(tmp_path / "out"))
    assert code > 0
    assert not (tmp_path / "out").exists()
    assert text in " ".join(told.split())
