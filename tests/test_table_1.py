"""The table of shapes found in images, whole and tiny: answers, means over shapes, and text."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import mishape
from tests.small_light import FINE
from tests.small_shapes import sampled
from tests.test_light_training import scene

pytest.importorskip("torch")
pytest.importorskip("skimage")

from benchmarks import tables
from benchmarks.reconstruction import table_1
from benchmarks.reconstruction.answers import Answer, over_shapes
from benchmarks.reconstruction.cases import VIEWS
from benchmarks.reconstruction.rows import classes_table, differences, main_table
from mishape.learn.light_plan import load_light_plan
from mishape.learn.light_training import train_light
from mishape.learn.networks import one_thread
from mishape.learn.shape_scores import ShapeScores

SCORES = ShapeScores(0.5, 0.4, 0.1, 20, 22, 18, 0.5, 0.3, 0.6, 0.9, 0.1, 0.05, -0.1, True, False, 30, 0.6, None, True)


def said(id: str, iou: float, length_um: float = 1.0, sbr: float = 2.5) -> Answer:
    return Answer(id, length_um, sbr, True, replace(SCORES, iou=iou), iou + 0.1, iou + 0.2, 1.25)


def cells(lines: list[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_means_are_over_shapes_of_each_over_its_poses() -> None:
    every = [said("b", 0.2), said("a", 0.6), said("b", 0.4)]
    assert over_shapes(every, lambda one: one.scores.iou) == pytest.approx([0.6, 0.3])
    ((name, iou, mirror, known, chamfer, error, chi2, found),) = cells(
        main_table({"one": every}, np.random.default_rng(0))
    )
    assert name == "one"
    assert iou == "0.450 (0.300 to 0.600)"
    assert (mirror, known, chamfer, error, chi2, found) == ("0.550", "0.650", "0.100", "30", "1.25", "3/3")


def test_differences_are_paired_by_shapes() -> None:
    """The same gain on all shapes has no width."""
    first, second = ([said(id, iou + more) for id, iou in (("a", 0.1), ("b", 0.7))] for more in (0.0, 0.2))
    rows = cells(differences({"x": first, "y": second}, [("y", "x")], np.random.default_rng(0)))
    assert rows == [["y less x", "+0.200 (+0.200 to +0.200)"]]


def test_classes() -> None:
    every = [said("a", 0.2, 0.5, 3.5), said("b", 0.4, 0.9), said("c", 0.8, 3.0)]
    assert cells(classes_table({"x": every})) == [
        ["x", "0.200 (1)", "0.400 (1)", "0.800 (1)", "0.600 (2)", "0.200 (1)"]
    ]


def test_the_quick_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All views and rows are there, markers are marked, and what was found is kept; of one column and few variants."""
    few = ("17 plane(s), confocal", "in water, 2 um deep", "all light from the middle plane")
    monkeypatch.setattr(table_1, "VARIANTS", {name: table_1.VARIANTS[name] for name in few})
    monkeypatch.setattr(table_1, "COLUMNS", ("true centre",))
    for name, sizes in {"train": [(300.0, 150.0), (1000.0, 160.0), (1400.0, 180.0)], "test": [(900.0, 170.0)]}.items():
        shapes = [
            replace(sampled(form="capsule", length_nm=length, radius_nm=radius), id=f"{name}{number}")
            for number, (length, radius) in enumerate(sizes)
        ]
        mishape.write_library(tmp_path / name, shapes, {"name": name, "source": "", "licence": "CC0", "citation": ""})
    training = {"steps": 2, "batch": 2, "points": 64, "check_every": 2}
    light = {"parts": [{"images": "scene.yaml"}]}
    plan = {"mishape": 1, "light": light, "model": {"kind": "grid_stack", **FINE}, "training": training}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    (tmp_path / "scene.yaml").write_text(yaml.safe_dump(scene()))
    with one_thread():
        weights = train_light(*load_light_plan(tmp_path / "plan.yaml"), tmp_path / "weights")
        folders = [str(tmp_path / name) for name in ("train", "test", "runs")]
        text = tables.main(["1", *folders, "--weights", str(weights), "--quick"])
        again = tables.main(["1", *folders, "--weights", str(weights), "--quick"])
    assert again == text
    assert "1 shapes, each in 1 random pose(s), the same in all views" in text
    assert all(f"## {view}, size 1\n" in text for view in VIEWS)
    rows = [row for row in cells(["", "", *text.splitlines()]) if len(row) == 8 and row[-1].endswith("/1")]
    names = Counter(row[0] for row in rows)
    assert {names[name] for name in ("mean shape", "fitted tube", "flip ceiling *")} == {3}
    assert names["grid_stack, fitted"] == 1
    assert (names["grid_stack"], names["onet_image, canonical *"], names["onet_stack, camera *"]) == (1, 2, 1)
    assert sum(names.values()) == 3 * 11 + 2
    assert "| 17 plane(s), confocal | grid_stack |" in text
    assert "| in water, 2 um deep | flip ceiling * |" in text
    assert all(0 < float(row[1].split()[0]) <= float(row[2]) <= 1 for row in rows if row[0] == "oracle ellipsoid *")
    for pair in ("grid_stack less", "grid_stack, fitted less grid_stack", "grid_stack, fitted less oracle ellipsoid *"):
        assert f"| {pair}" in text
