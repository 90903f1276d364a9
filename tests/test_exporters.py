"""Datasets as other programs read them: sizes, pairs, splits, and readers other than ours."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml

import mishape
from tests.conftest import Run
from tests.test_dataset_parts import files

SPLITS = {"train": 0.5, "val": 0.25, "test": 0.25}


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> mishape.Dataset:
    """Images of one plane, with numbered objects."""
    return _made(tmp_path_factory.mktemp("flat"), [1, 24, 20], {"masks_2d": {"instances": True}, "emitters": {}})


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> mishape.Dataset:
    """Stacks in two views, with masks in 3D and in 2D."""
    return _made(tmp_path_factory.mktemp("stacks"), [3, 24, 20], {"masks_2d": {}, "masks_3d": {}}, ("epi", "con"))


def _made(folder: Path, shape: list[int], truths: dict[str, Any], views: tuple[str, ...] = ("epi",)) -> mishape.Dataset:
    view = {
        "grid": {"shape": shape, "pixel_nm": 100, **({"z_step_nm": 300} if shape[0] > 1 else {})},
        "microscope": {"kind": "epi", "preset": "epi2"},
        "noise": {"kind": "poisson", "background": 10},
    }
    document = {
        "mishape": 1,
        "seed": 4,
        "samples": 9,
        "objects": [
            {
                "count": 2,
                "shape": {"kind": "implicit", "form": "sphere", "radius_nm": 200},
                "pose": {"center_nm": [{"$uniform": [-500, 500]}, {"$uniform": [-500, 500]}, 0]},
                "labeler": {"kind": "surface", "density_per_um2": 300},
            }
        ],
        "views": dict.fromkeys(views, view),
        "truths": truths,
        "dataset": {"shard_size": 4, "splits": SPLITS},
    }
    (folder / "scene.yaml").write_text("# Spheres, two at a time\n" + yaml.safe_dump(document))
    return mishape.generate(folder / "scene.yaml", folder / "d")


def export(run: Run, dataset: mishape.Dataset, out: Path, layout: str, *options: str) -> Path:
    code, printed, err = run("export", str(dataset.folder), "-o", str(out), "--layout", layout, *options)
    assert code == 0, err
    assert printed == f"9 sample(s) in {out}\n"
    card, note = (dataset.folder / "README.md").read_text(), (out / "README.md").read_text()
    assert note.startswith(f"Written by `mishape export --layout {layout}` from the dataset below")
    assert note.endswith(card)
    return out


def split_names(dataset: mishape.Dataset) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in dataset.records():
        found.setdefault(record["split"], []).append(f"{record['index']:06d}")
    return found


def size_um(path: Path) -> tuple[float, float, float | None]:
    """Return the size of a pixel along x and y, and of a plane, as ImageJ reads them."""
    with tifffile.TiffFile(path) as tiff:
        assert tiff.imagej_metadata is not None
        assert tiff.imagej_metadata["unit"] == "um"
        x, y = (tiff.pages[0].tags[name].value for name in ("XResolution", "YResolution"))
        return x[1] / x[0], y[1] / y[0], tiff.imagej_metadata.get("spacing")


def test_cellpose(run: Run, flat: mishape.Dataset, tmp_path: Path) -> None:
    out = export(run, flat, tmp_path / "out", "cellpose")
    names = split_names(flat)
    assert {*names} == {*SPLITS}
    found = {path.relative_to(out).as_posix() for path in out.rglob("*.tif")}
    assert found == {f"{split}/{n}{end}.tif" for split in names for n in names[split] for end in ("", "_masks")}
    image, mask = (out / "train" / f"{names['train'][0]}{end}.tif" for end in ("", "_masks"))
    item = flat[int(names["train"][0])]
    np.testing.assert_array_equal(tifffile.imread(image), item["epi.image"][0])
    np.testing.assert_array_equal(tifffile.imread(mask), item["epi.masks_2d"][0])
    assert tifffile.imread(mask).max() == 2
    assert size_um(image) == size_um(mask) == (pytest.approx(0.1), pytest.approx(0.1), None)


def test_stardist(run: Run, flat: mishape.Dataset, stacks: mishape.Dataset, tmp_path: Path) -> None:
    out = export(run, flat, tmp_path / "flat", "stardist")
    for split, names in split_names(flat).items():
        for kind in ("images", "masks"):
            assert sorted(path.stem for path in (out / split / kind).iterdir()) == names
    out = export(run, stacks, tmp_path / "deep", "stardist", "--view", "con")
    path = next((out / "train/masks").iterdir())
    np.testing.assert_array_equal(tifffile.imread(path), stacks[int(path.stem)]["con.masks_3d"])
    assert size_um(path)[2] == pytest.approx(0.3)


def test_nnunet(run: Run, stacks: mishape.Dataset, tmp_path: Path) -> None:
    out = export(run, stacks, tmp_path / "out", "nnunet", "--view", "epi")
    root = out / "Dataset001_mishape"
    names = split_names(stacks)
    about = json.loads((root / "dataset.json").read_text())
    training = sorted(names["train"] + names["val"])
    assert about == {
        "channel_names": {"0": "fluorescence"},
        "labels": {"background": 0, "foreground": 1},
        "numTraining": len(training),
        "file_ending": ".tif",
        "overwrite_image_reader_writer": "Tiff3DIO",
    }
    assert sorted(path.name for path in (root / "imagesTr").glob("*.tif")) == [f"{n}_0000.tif" for n in training]
    assert sorted(path.name for path in (root / "labelsTr").glob("*.tif")) == [f"{n}.tif" for n in training]
    assert sorted(path.name for path in (root / "labelsTs").glob("*.tif")) == [f"{n}.tif" for n in names["test"]]
    assert json.loads((root / "splits_final.json").read_text()) == [{"train": names["train"], "val": names["val"]}]
    label = tifffile.imread(root / f"labelsTr/{training[0]}.tif")
    np.testing.assert_array_equal(label, stacks[int(training[0])]["epi.masks_3d"] > 0)
    for kind in ("imagesTr", "labelsTr"):
        assert json.loads((root / kind / f"{training[0]}.json").read_text())["spacing"] == pytest.approx(
            [0.3, 0.1, 0.1]
        )
    flat_masks = export(run, stacks, tmp_path / "flat", "nnunet", "--view", "epi", "--masks", "masks_2d")
    about = json.loads((flat_masks / "Dataset001_mishape/dataset.json").read_text())
    assert about["overwrite_image_reader_writer"] == "NaturalImage2DIO"
    image = tifffile.imread(flat_masks / f"Dataset001_mishape/imagesTr/{training[0]}_0000.tif")
    np.testing.assert_array_equal(image, stacks[int(training[0])]["epi.image"][1])


def test_ome_tiff(run: Run, stacks: mishape.Dataset, flat: mishape.Dataset, tmp_path: Path) -> None:
    out = export(run, stacks, tmp_path / "out", "ome_tiff")
    for name in ("epi.image", "con.masks_3d"):
        with tifffile.TiffFile(out / name / "000003.ome.tif") as tiff:
            assert tiff.is_ome
            assert tiff.series[0].axes == "ZYX"
            np.testing.assert_array_equal(tiff.asarray(), stacks[3][name])
            metadata = tiff.ome_metadata or ""
        assert 'PhysicalSizeX="0.1" PhysicalSizeXUnit="µm"' in metadata
        assert 'PhysicalSizeZ="0.3"' in metadata
    again = export(run, stacks, tmp_path / "again", "ome_tiff")
    assert files(again) == files(out)
    out = export(run, flat, tmp_path / "flat", "ome_tiff")
    np.testing.assert_array_equal(np.load(out / "emitters/000002.npy"), flat[2]["emitters"])
    assert [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()] == [*flat.records()]


def test_webdataset(run: Run, flat: mishape.Dataset, tmp_path: Path) -> None:
    out = export(run, flat, tmp_path / "out", "webdataset")
    assert files(export(run, flat, tmp_path / "again", "webdataset")) == files(out)
    seen = []
    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as tar:
            assert all((entry.mtime, entry.uid, entry.uname) == (0, 0, "") for entry in tar)
            content = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
        for name in content:
            key, _, kind = name.partition(".")
            if kind == "json":
                record = json.loads(content[name])
                assert path.name == f"{record['split']}-000000.tar"
                assert record["pixel_um"]["epi.image"] == {"X": 0.1, "Y": 0.1}
                seen.append(int(key))
                for array, expected in flat[int(key)].arrays.items():
                    found = np.load(io.BytesIO(content[f"{key}.{array}.npy"]), allow_pickle=False)
                    np.testing.assert_array_equal(found, expected)
    assert sorted(seen) == list(range(9))


def test_ome_zarr(run: Run, stacks: mishape.Dataset, flat: mishape.Dataset, tmp_path: Path) -> None:
    zarr, models = pytest.importorskip("zarr"), pytest.importorskip("ome_zarr_models.v05")
    out = export(run, stacks, tmp_path / "out", "ome_zarr")
    group = zarr.open_group(out / "con/000003.ome.zarr", mode="r")
    image = models.Image.from_zarr(group)
    assert image.attributes.ome.multiscales[0].datasets[0].coordinateTransformations[0].scale == [0.3, 0.1, 0.1]
    np.testing.assert_array_equal(group["0"][:], stacks[3]["con.image"])
    labels = models.Labels.from_zarr(group["labels"])
    assert labels.attributes.ome.labels == ["masks_2d", "masks_3d"]
    for kind in labels.attributes.ome.labels:
        models.ImageLabel.from_zarr(group["labels"][kind])
        np.testing.assert_array_equal(group["labels"][kind]["0"][:], stacks[3][f"con.{kind}"])
    assert files(export(run, stacks, tmp_path / "again", "ome_zarr")) == files(out)
    out = export(run, flat, tmp_path / "flat", "ome_zarr")
    np.testing.assert_array_equal(np.load(out / "emitters/000002.npy"), flat[2]["emitters"])


def test_ome_zarr_opens_in_the_reader_of_its_own(run: Run, stacks: mishape.Dataset, tmp_path: Path) -> None:
    reader, parse_url = pytest.importorskip("ome_zarr.reader"), pytest.importorskip("ome_zarr.io").parse_url
    out = export(run, stacks, tmp_path / "out", "ome_zarr")
    nodes = list(reader.Reader(parse_url(str(out / "epi/000003.ome.zarr")))())
    np.testing.assert_array_equal(np.asarray(nodes[0].data[0]), stacks[3]["epi.image"])
    (scale,) = nodes[0].metadata["coordinateTransformations"][0]
    assert scale["scale"] == [0.3, 0.1, 0.1]


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> mishape.Dataset:
    """Real shapes, one at a time, from two perspectives."""
    document = {
        "mishape": 1,
        "seed": 4,
        "samples": 10,
        "objects": [
            {
                "repeat_each": 2,
                "shape": {"kind": "em_mesh", "library": "neuropil"},
                "pose": {"rotation": {"$cycle": ["0", "x90"]}},
            }
        ],
        "views": {
            "epi": {
                "grid": {"shape": [1, 24, 20], "pixel_nm": 100},
                "microscope": {"kind": "epi", "preset": "epi2"},
                "noise": {"kind": "poisson", "background": 10},
            }
        },
        "dataset": {"splits": {"train": 0.6, "test": 0.4}},
    }
    return mishape.generate(mishape.load_spec(document), tmp_path_factory.mktemp("views") / "d")


def test_3dmsl(run: Run, views: mishape.Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("export", str(views.folder), "-o", str(out), "--layout", "3dmsl", "--points", "1000")[0] == 0
    library = next(iter(views.libraries().values()))
    assert {path.name for path in out.iterdir() if path.is_dir()} == {entry.id for entry in library}
    first = views[0].record["objects"][0]["shape_id"]
    image = out / first / "Epi_imgs" / f"0_{first}_0.tif"
    np.testing.assert_array_equal(tifffile.imread(image), views[0]["epi.image"][0])
    assert size_um(image)[0] == pytest.approx(0.1)
    with np.load(out / first / "occupancies.npz") as labels:
        assert labels["points"].shape == (1000, 3)
    again = tmp_path / "again"
    assert run("import", str(out), "-o", str(again), "--layout", "3dmsl", "--unit-nm", "1")[0] == 0
    entry = mishape.open_library(again)[first]
    assert entry.volume_nm3 == pytest.approx(library[first].volume_nm3, rel=1e-5)
    assert f"0_{first}_x90.tif" in entry.images["Epi_imgs"]


def test_onet(run: Run, views: mishape.Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("export", str(views.folder), "-o", str(out), "--layout", "onet", "--points", "1000")[0] == 0
    lists = {name: (out / f"{name}.lst").read_text().split() for name in ("train", "val", "test")}
    assert lists["val"] == []
    for split in ("train", "test"):
        shown = {record["objects"][0]["shape_id"] for record in views.records() if record["split"] == split}
        assert {*lists[split]} == shown
    with np.load(out / lists["train"][0] / "points.npz") as labels:
        assert {*labels} == {"points", "occupancies", "loc", "scale"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("cellpos",), "unknown exporter kind 'cellpos': did you mean 'cellpose'?"),
        (("cellpose",), "the dataset has the views con, epi: choose one by --view"),
        (("cellpose", "--view", "epo"), "the dataset has no view 'epo': did you mean 'epi'?"),
        (("cellpose", "--view", "epi", "--masks", "masks_2d"), "masks_2d tells foreground from background alone"),
        (
            ("stardist", "--view", "epi", "--masks", "mask"),
            "no masks 'mask' of the image's size in view 'epi': did you",
        ),
        (("webdataset", "--view", "epi"), "layout 'webdataset' has no --view: leave it out"),
        (("ome_tiff", "--unit-nm", "2"), "layout 'ome_tiff' has no --unit-nm: leave it out"),
        (("3dmsl",), "sample 0 shows 2 shapes: this layout holds images of one shape each"),
    ],
)
def test_what_cannot_be_exported(
    options: tuple[str, ...], said: str, run: Run, stacks: mishape.Dataset, tmp_path: Path
) -> None:
    code, _, err = run("export", str(stacks.folder), "-o", str(tmp_path / "out"), "--layout", *options)
    assert code == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_and_a_dataset_that_is_not_whole(run: Run, flat: mishape.Dataset, tmp_path: Path) -> None:
    code, _, err = run("export", str(flat.folder), "-o", str(tmp_path), "--layout", "cellpose")
    assert (code, err) == (1, f"error: '{tmp_path}' exists: remove it or choose another folder\n")
    mishape.generate(flat.spec, tmp_path / "part", shards=range(1))
    code, _, err = run("export", str(tmp_path / "part"), "-o", str(tmp_path / "out"), "--layout", "cellpose")
    assert (code, err) == (1, f"error: '{tmp_path / 'part'}' lacks shards: run generate again, then export it\n")
    code, _, err = run("export", "neuropil", "-o", str(tmp_path / "out"), "--layout", "onet", "--view", "epi")
    assert (code, err) == (1, "error: a library has no images: leave --view out\n")
