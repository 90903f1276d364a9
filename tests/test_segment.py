"""Segmenting pictures: what is one, crops to learn from, tiles, parts, training and the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import mishape
from mishape.engine.errors import DatasetError
from tests.conftest import Run
from tests.small_datasets import made

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("skimage")

from mishape.learn.crops import CropDataset, PictureAugmentation  # noqa: E402 -- what is below needs torch
from mishape.learn.image_plan import load_image_plan  # noqa: E402
from mishape.learn.image_training import train_pictures  # noqa: E402
from mishape.learn.models.efficientnet import EfficientNetB0  # noqa: E402
from mishape.learn.models.unet import Unet  # noqa: E402
from mishape.learn.networks import new  # noqa: E402
from mishape.learn.overlap import betti_error, dice, intersection_over_union  # noqa: E402
from mishape.learn.pairs import DatasetPairs, Pair, Together  # noqa: E402
from mishape.learn.picture_files import read_picture  # noqa: E402
from mishape.learn.pictures import PictureError, fitted_shape, normalised, picture_of, resized  # noqa: E402
from mishape.learn.segment import labelled, parts  # noqa: E402
from mishape.learn.segmenting import Network  # noqa: E402
from mishape.learn.tensors import read_tensors  # noqa: E402

PLAN: dict[str, Any] = {
    "mishape": 1,
    "seed": 2,
    "images": {"datasets": ["d"], "crop_px": 32, "train": ["train"], "validation": ["val"], "validated": 4},
    "model": {"kind": "unet", "widths": [8, 16, 32]},
    "training": {"steps": 40, "batch": 8, "check_every": 20, "learning_rate": 0.005},
}
STILL = PictureAugmentation(turn=False, scale=1, gain=0, offset=0, noise=0)


def rods(size: int = 64) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Two bright rods on a noisy ground, and where they are."""
    mask = np.zeros((size, size), bool)
    mask[10:16, 8:50] = mask[30:50, 40:45] = True
    noise = np.random.default_rng(0).normal(size=mask.shape)
    return (100 + 100 * mask + 5 * noise).astype(np.float32), mask


class TestPictures:
    def test_a_picture_has_two_axes(self) -> None:
        assert picture_of(np.zeros((1, 1, 4, 6), np.uint16)).shape == (4, 6)
        for array, said in (
            (np.zeros((5, 5, 3)), r"has colours, shape \(5, 5, 3\): give one channel"),
            (np.zeros((7, 5, 5)), r"has shape \(7, 5, 5\): a picture is \(rows, columns\); of a stack give one plane"),
            (np.zeros(5), "of a stack give one plane"),
            (np.zeros((0, 5)), "numbers are expected"),
            (np.full((2, 2), np.nan), r"has 4 pixel\(s\) that are no number"),
            (np.array([["a"]]), "numbers are expected"),
        ):
            with pytest.raises(PictureError, match=said):
                picture_of(array)

    def test_brightness_does_not_matter(self) -> None:
        picture, _ = rods()
        np.testing.assert_allclose(normalised(picture), normalised(picture * 7 + 30), atol=1e-4)
        assert not normalised(np.full((8, 8), 3.0, np.float32)).any()

    def test_other_pixels_show_the_same_field(self) -> None:
        picture, mask = rods()
        smaller = resized(picture, fitted_shape(picture.shape, 0.5))
        assert smaller.shape == (32, 32)
        assert smaller.mean() == pytest.approx(picture.mean(), rel=1e-3)
        assert dice(resized(smaller, picture.shape) > 150, mask) > 0.85


class TestOverlap:
    def test_masks_that_are_counted_by_hand(self) -> None:
        one, other, none = np.zeros((3, 4, 4), bool)
        one[:2], other[1:3] = True, True
        assert dice(one, other) == 0.5
        assert intersection_over_union(one, other) == pytest.approx(1 / 3)
        assert (dice(none, none), dice(one, none), intersection_over_union(none, none)) == (1, 0, 1)

    def test_parts_and_holes_are_counted(self) -> None:
        ring = np.zeros((9, 9), bool)
        ring[1:6, 1:6] = True
        ring[3, 3] = False
        two = ring.copy()
        two[7, 7] = True
        assert betti_error(ring, ring) == 0
        assert betti_error(two, ring) == 1
        assert betti_error(np.zeros((9, 9), bool), two) == 3


class TestCrops:
    def test_the_mask_goes_with_the_picture(self) -> None:
        """Of a picture that is its own mask, both crops show the same, however they are varied."""
        _, mask = rods()
        pairs = Together([_Given(Pair("rods", mask.astype(np.float32), mask))])
        data = CropDataset(pairs, 32, PictureAugmentation(gain=0, offset=0, noise=0, scale=2), seed=1)
        for draw in range(20):
            item = data.item(0, draw)
            assert item["picture"].shape == (32, 32)
            np.testing.assert_array_equal(item["picture"] > 0.5, item["mask"] > 0)

    def test_an_item_is_a_function_of_its_draw(self) -> None:
        picture, mask = rods()
        data = CropDataset(Together([_Given(Pair("rods", picture, mask))]), 48, PictureAugmentation(), seed=1)
        np.testing.assert_array_equal(data.item(0, 3)["picture"], data.item(0, 3)["picture"])
        assert (data.item(0, 3)["picture"] != data.item(0, 4)["picture"]).any()

    def test_a_crop_that_is_not_varied_is_a_part_of_the_picture(self) -> None:
        picture, mask = rods()
        data = CropDataset(Together([_Given(Pair("rods", picture, mask))]), 64, STILL, seed=1)
        np.testing.assert_allclose(data.item(0, 0)["picture"], normalised(picture), atol=1e-6)
        np.testing.assert_array_equal(data.item(0, 0)["mask"], mask)
        small = CropDataset(Together([_Given(Pair("rods", picture[:20], mask[:20]))]), 32, STILL, seed=1)
        assert small.item(0, 0)["mask"].shape == (32, 32)


class _Given:
    """One pair."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def __len__(self) -> int:
        return 1

    def __getitem__(self, number: int) -> Pair:
        return self.pair


class TestNetworks:
    def test_the_encoder_has_the_reference_s_size(self) -> None:
        """EfficientNet-B0's 4 007 548 parameters of convolutions, less its head of 320 x 1280 and 2560."""
        assert sum(one.numel() for one in EfficientNetB0(3).parameters()) == 4_007_548 - 320 * 1280 - 2560

    @pytest.mark.parametrize("plan", [Unet(), Unet(encoder="efficientnet_b0"), Unet(widths=(8, 16))], ids=str)
    def test_a_step_makes_the_loss_smaller(self, plan: Unet) -> None:
        network = new(0, plan.network)
        picture = torch.from_numpy(normalised(rods()[0]))[None].repeat(2, 1, 1)
        batch = {"picture": picture, "mask": (picture > 0.5).float()}
        assert network(picture).shape == (2, 64, 64)
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        losses = []
        for _ in range(3):
            loss, numbers = network.loss(batch, torch.Generator())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[2] < losses[0]
        assert 0 < numbers["soft_dice"] < 1


class _Blurred(torch.nn.Module):
    """What looks 8 pixels around, and marks pixels far from any edge of what it is given."""

    def forward(self, pictures: Any) -> Any:
        weight = torch.ones(1, 1, 17, 17) / 289
        return torch.nn.functional.conv2d(pictures[:, None], weight, padding=8)[:, 0]


@given(st.integers(1, 1200), st.integers(1, 40))
@settings(max_examples=12, deadline=None)
def test_tiles_leave_no_seams(rows: int, columns: int) -> None:
    """A picture in tiles gives what it gives at once, but for its own border."""
    picture = np.random.default_rng(0).random((rows, columns)).astype(np.float32)
    found = Network(_Blurred(), 8, (80.0, 80.0)).chances(picture)
    bright = torch.from_numpy(normalised(picture))[None]
    whole = torch.sigmoid(_Blurred()(bright))[0].numpy()
    assert found.shape == picture.shape
    inner = slice(8, -8)
    if normalised(picture).any():
        np.testing.assert_allclose(found[inner, inner], whole[inner, inner], atol=1e-6)


class TestParts:
    def test_lengths_and_kinds(self) -> None:
        mask = np.zeros((120, 160), bool)
        mask[10:20, 10:110] = True  # a rod of 100 by 10
        mask[60:64, 20:80] = mask[40:90, 48:52] = True  # a cross
        mask[110, 150] = True
        mask[100:120, 0:5] = True
        rod, cross, border, dot = parts(labelled(mask), 100.0)
        assert (rod.kind, rod.length_um, rod.width_um) == (
            "instance",
            pytest.approx(10, rel=0.05),
            pytest.approx(1, rel=0.05),
        )
        assert (rod.row, rod.column, rod.area_um2) == (pytest.approx(14.5), pytest.approx(59.5), pytest.approx(10))
        assert (cross.kind, rod.touches_border, border.touches_border) == ("component", False, True)
        assert (dot.length_um, dot.area_um2) == (pytest.approx(0.1), pytest.approx(0.01))

    def test_a_ring_is_as_long_as_its_circle(self) -> None:
        y, x = np.mgrid[:100, :100] - 49.5
        ring = abs(np.hypot(x, y) - 35) < 5
        (part,) = parts(labelled(ring), 1000.0)
        assert part.length_um == pytest.approx(2 * np.pi * 35, rel=0.06)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small dataset and a model that was hardly trained."""
    folder = tmp_path_factory.mktemp("segment")
    view = {
        "grid": {"shape": [1, 64, 64], "pixel_nm": 80},
        "microscope": {"kind": "epi", "preset": "epi2"},
        "noise": {"kind": "poisson", "background": 100, "sbr": 4},
    }
    split = {"splits": {"train": 0.7, "val": 0.3}, "shard_size": 10}
    objects = [{"count": 3, "shape": {"kind": "tube", "preset": "sekh2021"}, "pose": {"scatter_nm": [4000, 4000, 100]}}]
    made(folder / "d", samples=20, objects=objects, views={"epi": view}, truths={"masks_2d": {}}, dataset=split)
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    train_pictures(*load_image_plan(folder / "plan.yaml"), folder / "run")
    return folder


class TestTraining:
    def test_it_learns(self, trained: Path) -> None:
        lines = [json.loads(line) for line in (trained / "run/metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [20, 40]
        assert lines[-1]["loss"] < lines[0]["loss"]
        assert lines[-1]["score"] > 0.5

    def test_the_weights_say_what_they_are_of(self, trained: Path) -> None:
        _, about = read_tensors(trained / "run/weights.safetensors")
        assert (about["kind"], about["datasets"], about["truth"]) == ("segmenter", ["d"], "masks_2d")
        assert about["pixel_nm"] == [80 / 1.25, 80 * 1.25]
        assert about["truths"] == [{"masks_2d": {}}]

    def test_it_gives_the_same_weights_again(self, trained: Path, tmp_path: Path) -> None:
        train_pictures(*load_image_plan(trained / "plan.yaml"), tmp_path)
        assert (tmp_path / "weights.safetensors").read_bytes() == (trained / "run/weights.safetensors").read_bytes()

    def test_it_learns_in_numbers_of_16_bits(self, trained: Path, tmp_path: Path) -> None:
        """Nearly as well, and to other weights; they are kept in 32 bits."""
        plan = {**PLAN, "training": {**PLAN["training"], "bfloat16": True}}
        (trained / "half.yaml").write_text(yaml.safe_dump(plan))
        train_pictures(*load_image_plan(trained / "half.yaml"), tmp_path)
        (half, _), (whole, _) = (read_tensors(path / "weights.safetensors") for path in (tmp_path, trained / "run"))
        assert {str(one.dtype) for one in half.values()} == {str(one.dtype) for one in whole.values()}
        assert any(not torch.equal(half[name], whole[name]) for name in half)
        lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
        assert lines[-1]["score"] > 0.5

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"images": {"datasets": ["d"], "crop_px": 30}}, "crop_px 30: model 'unet' takes multiples of 4"),
            ({"model": {"kind": "grid_vae"}}, "kind 'grid_vae' is no model of pictures"),
            ({"images": {"datasets": ["e"]}}, "is not a dataset"),
            ({"images": {"datasets": ["d"], "masks": "masks_3d"}}, "has no truth 'masks_3d'"),
            ({"images": {"datasets": ["d"], "view": "epo"}}, "has no view 'epo': did you mean 'epi'?"),
            ({"images": {"datasets": ["d"], "train": ["trian"]}}, "has no split 'trian': did you mean 'train'?"),
        ],
    )
    def test_what_cannot_be_learned(self, trained: Path, run: Run, changes: dict[str, Any], said: str) -> None:
        file = trained / "odd.yaml"
        file.write_text(yaml.safe_dump({**PLAN, **changes}))
        code, _, err = run("learn", "train", str(file), "-o", str(trained / "odd"))
        assert code in (1, 2)
        assert said in err
        assert "Traceback" not in err

    def test_pixels_of_several_sizes(self, trained: Path, tmp_path: Path) -> None:
        """The weights say the least and the largest, and pictures of others are brought to those."""
        from mishape.learn.segmenting import load_network

        plan, (dataset,) = load_image_plan(trained / "plan.yaml")
        split = {"splits": {"train": 0.5, "val": 0.5}, "shard_size": 2}
        other = mishape.open_dataset(made(tmp_path / "other", dataset=split))
        plan = plan.model_copy(update={"training": plan.training.model_copy(update={"steps": 2})})
        network = load_network(train_pictures(plan, [dataset, other], tmp_path / "run"), 0)
        assert network.pixel_nm == (pytest.approx(80 / 1.25), pytest.approx(100 * 1.25))
        for pixel_nm in (32.0, 80.0, 250.0):
            assert network.chances_of(rods()[0], pixel_nm).shape == (64, 64)

    def test_a_view_must_be_named_where_there_are_two(self, tmp_path: Path) -> None:
        one = {"grid": {"shape": [1, 16, 16], "pixel_nm": 100}, "microscope": {"kind": "epi", "preset": "epi1"}}
        dataset = mishape.open_dataset(made(tmp_path / "d", views={"a": one, "b": one}))
        with pytest.raises(DatasetError, match="has views a, b: name one"):
            DatasetPairs(dataset)
        assert DatasetPairs(dataset, view="b").pixel_nm == pytest.approx(100)


def picture_file(path: Path, picture: NDArray[Any], pixel_nm: float | None = 80) -> Path:
    edges = {} if pixel_nm is None else {f"PhysicalSize{axis}": pixel_nm / 1000 for axis in "XY"}
    size = {**edges, **{f"{name}Unit": "µm" for name in edges}}
    tifffile.imwrite(path, picture, ome=True, metadata=size, photometric="minisblack")
    return path


class TestCommand:
    def test_a_mask_a_table_and_an_overlay(self, run: Run, tmp_path: Path) -> None:
        picture, mask = rods()
        file = picture_file(tmp_path / "a.ome.tif", picture.astype(np.uint16))
        code, out, err = run("segment", str(file), "-o", str(tmp_path / "m/mask.tif"), "--kind", "otsu", "--chances")
        assert code == 0, err
        assert out.startswith("2 part(s), 2 of them instances,")
        labels = tifffile.imread(tmp_path / "m/mask.tif")
        assert labels.dtype == np.uint16
        assert dice(labels > 0, mask) > 0.9
        rows = [*csv.DictReader((tmp_path / "m/mask.csv").read_text().splitlines())]
        assert [row["kind"] for row in rows] == ["instance", "instance"]
        assert float(rows[0]["length_um"]) == pytest.approx(42 * 0.08, rel=0.1)
        with Image.open(tmp_path / "m/mask.png") as overlay:
            assert overlay.size == (512, 512)
        assert tifffile.imread(tmp_path / "m/mask.chances.tif").dtype == np.float32
        assert read_picture(tmp_path / "m/mask.tif")[1] == pytest.approx(80)

    def test_by_a_trained_network(self, run: Run, trained: Path, tmp_path: Path) -> None:
        dataset = mishape.open_dataset(trained / "d")
        pair = DatasetPairs(dataset)[0]
        for pixel_nm in (80, 100):
            file = picture_file(tmp_path / "a.tif", pair.picture.astype(np.uint16), None)
            weights = str(trained / "run/weights.safetensors")
            options = "-o", str(tmp_path / "mask.tif"), "--weights", weights, "--pixel-nm", str(pixel_nm)
            code, _, err = run("segment", str(file), *options)
            assert code == 0, err
            assert dice(tifffile.imread(tmp_path / "mask.tif") > 0, pair.mask) > 0.5

    @pytest.mark.parametrize("picture", [np.zeros((1, 1), np.uint8), np.full((40, 30), 7, np.uint16)], ids=str)
    @pytest.mark.parametrize("kind", ["otsu", "unet"])
    def test_nothing_is_found_where_nothing_is(
        self, run: Run, trained: Path, tmp_path: Path, picture: NDArray[Any], kind: str
    ) -> None:
        file = picture_file(tmp_path / "a.tif", picture)
        options = ["--weights", str(trained / "run/weights.safetensors")] if kind == "unet" else []
        code, out, err = run("segment", str(file), "-o", str(tmp_path / "mask.tif"), "--kind", kind, *options)
        assert code == 0, err
        assert out.startswith("0 part(s)")

    @pytest.mark.parametrize(
        ("picture", "options", "said"),
        [
            (np.zeros((9, 9, 3), np.uint8), (), "holds YXS uint8: expected a greyscale image or stack"),
            (np.zeros((5, 9, 9), np.uint16), (), "of a stack give one plane"),
            (np.full((9, 9), np.nan, np.float32), (), "has 81 pixel(s) that are no number"),
            (np.zeros((9, 9), np.uint16), ("--threshold", "0.4"), "segmenter 'otsu' has no --threshold: leave it out"),
            (np.zeros((9, 9), np.uint16), ("--kind", "utsu"), "did you mean 'otsu'?"),
            (np.zeros((9, 9), np.uint16), ("--kind", "unet", "--weights", "x"), "'x' are neither installed nor a file"),
            (np.zeros((9, 9), np.uint16), ("--kind", "unet", "--weights", "x", "--threshold", "2"), "--threshold: 2.0"),
            (np.zeros((9, 9), np.uint16), ("--pixel-nm", "0.2"), "pixels of 0.2 nm: 1 to 10000 nm are expected"),
            (np.zeros((9, 9), np.uint16), ("-o", "mask.png"), "the mask is a TIFF, give a name that ends in .tif"),
        ],
    )
    def test_what_cannot_be_segmented(
        self, run: Run, folder: Path, picture: NDArray[Any], options: tuple[str, ...], said: str
    ) -> None:
        tifffile.imwrite("a.tif", picture, photometric="rgb" if picture.shape[-1] == 3 else "minisblack")
        code, _, err = run("segment", "a.tif", "-o", "mask.tif", "--kind", "otsu", "--pixel-nm", "80", *options)
        assert code in (1, 2)
        assert said in err
        assert "Traceback" not in err
        assert [path.name for path in folder.iterdir()] == ["a.tif"]

    def test_files_that_are_no_pictures(self, run: Run, folder: Path) -> None:
        Path("a.tif").write_bytes(b"no picture")
        tifffile.imwrite("b.tif", np.zeros((9, 9), np.uint16))
        for file, said in (
            ("a.tif", "cannot be read as TIFF: TiffFileError"),
            ("c.tif", "does not exist"),
            ("b.tif", "does not say how large its pixels are: give --pixel-nm"),
        ):
            code, _, err = run("segment", file, "-o", "mask.tif", "--kind", "otsu")
            assert (code, said in err) == (1, True)

    def test_pixels_are_square(self, tmp_path: Path) -> None:
        size = {"PhysicalSizeX": 0.08, "PhysicalSizeY": 0.1}
        tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((9, 9), np.uint16), metadata=size)
        with pytest.raises(PictureError, match=r"has pixels of 100 x 80 nm: resample it, square ones are expected"):
            read_picture(tmp_path / "a.ome.tif")

    def test_imagej_says_the_size_of_its_pixels(self, tmp_path: Path) -> None:
        file = tmp_path / "a.tif"
        tifffile.imwrite(
            file, np.zeros((9, 9), np.uint16), imagej=True, resolution=(12.5, 12.5), metadata={"unit": "um"}
        )
        assert read_picture(file)[1] == pytest.approx(80)

    def test_a_segmenter_of_another(self, run: Run, tmp_path: Path) -> None:
        plugin = tmp_path / "bright.py"
        plugin.write_text(PLUGIN)
        picture, mask = rods()
        file = picture_file(tmp_path / "a.tif", picture)
        code, _, err = run(
            "--plugin", str(plugin), "segment", str(file), "-o", str(tmp_path / "m.tif"), "--kind", "bright"
        )
        assert code == 0, err
        assert dice(tifffile.imread(tmp_path / "m.tif") > 0, mask) == 1


PLUGIN = '''
from typing import Literal

import numpy as np

from mishape.engine.component import Component
from mishape.learn.segment import Segmentation


class Bright(Component):
    """What is brighter than 150."""

    kind: Literal["bright"] = "bright"

    def segment(self, picture, pixel_nm):
        return Segmentation((picture > 150).astype(np.float32), picture > 150)
'''
