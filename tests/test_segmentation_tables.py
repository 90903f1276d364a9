"""The tables of segmentation, whole and tiny: sets, networks, scores and text."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mishape
from mishape.learn.pictures import PictureError
from tests.small_shapes import sampled

pytest.importorskip("torch")
pytest.importorskip("skimage")
pytest.importorskip("sklearn")

import torch

from benchmarks import tables
from benchmarks.segmentation.models import masks, papers, papers_plan
from benchmarks.segmentation.scores import Scores, difference
from benchmarks.segmentation.sets import PIXEL_NM, Sets, Shapes, Sizes, annotated, fields
from mishape.learn.folder_pairs import FolderPairs
from mishape.learn.image_plan import ImagePlan
from mishape.learn.pairs import Pair
from mishape.learn.train import learning_rate


def folder_of_pairs(folder: Path, count: int = 4, transparent: bool = True) -> Path:
    """Pictures in the layout of Sekh et al.: grey with transparency, masks in colours."""
    rng = np.random.default_rng(0)
    for number in range(count):
        mask = np.zeros((64, 64), bool)
        mask[8 : 12 + 4 * number, 10:50] = True
        grey = (20 + 150 * mask + rng.integers(0, 20, mask.shape)).astype(np.uint8)
        picture = np.dstack([grey, np.full_like(grey, 255)]) if transparent else grey
        for name, array in (("image", picture), ("segment", np.repeat(255 * mask[..., None].astype(np.uint8), 3, 2))):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / name / f"{number}.png")
    return folder


class TestPairsInFolders:
    def test_a_folder_and_a_zip_hold_the_same(self, tmp_path: Path) -> None:
        folder = folder_of_pairs(tmp_path / "d/test", count=12)
        with zipfile.ZipFile(tmp_path / "d.zip", "w") as file:
            for path in folder.rglob("*.png"):
                file.write(path, path.relative_to(tmp_path / "d"))
        one, other = (FolderPairs(tmp_path / name, 80.0) for name in ("d", "d.zip"))
        assert len(one) == len(other) == 12
        assert [one[number].name for number in range(12)] == [str(number) for number in range(12)]
        for number in range(12):
            np.testing.assert_array_equal(one[number].picture, other[number].picture)
            np.testing.assert_array_equal(one[number].mask, other[number].mask)
        assert one[3].mask.sum() == 16 * 40

    def test_the_subset_leaves_out_the_smallest_masks(self, tmp_path: Path) -> None:
        folder_of_pairs(tmp_path / "d")
        assert len(annotated(tmp_path / "d", 80.0, None, subset=False)) == 4
        assert [pair.name for pair in annotated(tmp_path / "d", 80.0, None, subset=True)] == ["1", "2", "3"]

    def test_what_is_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(PictureError, match="is neither a folder nor a zip file"):
            len(FolderPairs(tmp_path / "none", 80.0))
        with pytest.raises(PictureError, match="holds no folders 'image' and 'segment' of pictures"):
            len(FolderPairs(tmp_path, 80.0))
        folder_of_pairs(tmp_path / "d/train")
        folder_of_pairs(tmp_path / "d/test")
        with pytest.raises(PictureError, match="holds parts test, train: name one"):
            len(FolderPairs(tmp_path / "d", 80.0))
        with pytest.raises(PictureError, match="has no part 'val': it has test, train"):
            len(FolderPairs(tmp_path / "d", 80.0, "val"))
        (tmp_path / "d/test/segment/2.png").unlink()
        with pytest.raises(PictureError, match=re.escape("1 file(s) have no partner, '2' first")):
            len(FolderPairs(tmp_path / "d", 80.0, "test"))
        (tmp_path / "d/train/image/0.png").write_bytes(b"no picture")
        with pytest.raises(PictureError, match=r"0\.png cannot be read"):
            FolderPairs(tmp_path / "d", 80.0, "train")[0]


def test_differences_are_paired() -> None:
    """Two methods that differ by 0.1 on every picture differ so for sure, however pictures differ."""
    values = np.random.default_rng(0).uniform(0.2, 0.8, 30)
    one, other = (Scores(values + more, values, values) for more in (0.1, 0.0))
    assert difference(one, other, np.random.default_rng(0)) == "+0.100 (+0.100 to +0.100)"


def test_fields_of_a_montage() -> None:
    picture = np.arange(256 * 256, dtype=np.float32).reshape(256, 256)
    parts = fields([Pair("a", picture, picture > 0)])
    assert [part.name for part in parts] == ["a.0.0", "a.0.128", "a.128.0", "a.128.128"]
    assert parts[3].picture[0, 0] == picture[128, 128]


@pytest.fixture
def libraries(tmp_path: Path) -> tuple[str, str]:
    names = []
    for name in ("train", "test"):
        shape = sampled(form="capsule", length_nm=1200.0, radius_nm=200.0)
        shapes = [replace(shape, id=f"{name}{number}") for number in range(3)]
        about = {"name": name, "source": "", "licence": "CC0", "citation": ""}
        mishape.write_library(tmp_path / name, shapes, about)
        names.append(str(tmp_path / name))
    return names[0], names[1]


@pytest.mark.long
@pytest.mark.parametrize("table", ["S2", "S3"])
def test_a_whole_table(table: str, libraries: tuple[str, str], tmp_path: Path) -> None:
    """Every block and row is there, and a second run gives the same text from what was kept."""
    pytest.importorskip("mishape_weights_urocell")
    pytest.importorskip("mishape_weights_mitoseg")
    real = folder_of_pairs(tmp_path / "real")
    arguments = [table, *libraries, str(tmp_path / "runs"), "--quick"]
    arguments += ["--real", str(real), "--pixel-nm", "80"] if table == "S2" else []
    text = tables.main(arguments)
    assert text == tables.main(arguments)
    wanted = {
        "S2": (
            "EM shapes, `blur`, SBR 4",
            "annotated by hand",
            "| mitosegnet |",
            "| unet, default |",
            "| 5 | target only |",
        ),
        "S3": ("Masks by `projection`", "| mixture |", "Worst cells.", "| em, SBR 2 | prior |"),
    }
    for part in wanted[table]:
        assert part in text


@pytest.mark.long
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_papers_setting(libraries: tuple[str, str], tmp_path: Path) -> None:
    """EfficientNet-B0 learns, in 20 epochs or fewer."""
    sets = Sets(tmp_path / "sets", Shapes(*libraries), Sizes(train=800, test=10))
    pairs = sets.tested("em", "blur", 4.0)
    network = papers(sets, tmp_path, "blur")
    assert Scores.of(masks(network, pairs, PIXEL_NM), pairs).dice.mean() > 0.8
    assert len((tmp_path / "networks/papers-blur/metrics.jsonl").read_text().splitlines()) <= 20


def test_the_papers_plan_is_right() -> None:
    """20 epochs of batches of 32 of the pictures that are learned from."""
    plan = ImagePlan.model_validate(papers_plan(["d"], 800))
    assert (plan.training.steps, plan.training.check_every) == (20 * 25, 25)
    assert plan.training.learning_rate == learning_rate(plan.training, 0) == learning_rate(plan.training, 400) == 1e-4


def test_real_pictures_need_the_size_of_their_pixels(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tables.asked(["S2", "a", "b", "c", "--real", "d"])
    assert "--real needs --pixel-nm" in capsys.readouterr().err
