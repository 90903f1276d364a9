"""Every example runs, as a file and as a script, and does what its page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mishape

EXAMPLES = Path(__file__).parents[1] / "examples"
SCENES = sorted(EXAMPLES.glob("*.yaml"))
ARGUMENTS = {"03_stack_six_views": ["out", "7"], "05_segmentation_pairs": ["out", "2"], "08_generated_field": ["out"]}


def test_scenes_and_scripts_come_in_pairs() -> None:
    assert [path.stem for path in SCENES] == [path.stem for path in sorted(EXAMPLES.glob("*.py"))]
    assert [path.stem[:2] for path in SCENES] == [f"{n:02d}" for n in range(1, len(SCENES) + 1)]


@pytest.mark.parametrize("scene", SCENES, ids=lambda path: path.stem)
def test_an_example_runs_as_a_script(scene: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(scene.with_suffix(".py")), *ARGUMENTS.get(scene.stem, [])]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_01_is_one_tube_in_the_middle() -> None:
    sample = mishape.simulate(mishape.load_spec(SCENES[0]).scene(0))
    assert len(sample.shapes) == 1
    assert 0.9 < sample.photons["epi"].sum() / sample.emitters.photons.sum() < 1


def test_02_both_views_see_the_same_emitters() -> None:
    sample = mishape.simulate(mishape.load_spec(SCENES[1]).scene(0))
    assert sample.shapes[0].licence == "CC-BY-4.0"
    assert sample.photons["con"].sum() < sample.photons["epi"].sum(), "the pinhole loses light"
    for view in ("epi", "con"):
        brightest = np.unravel_index(sample.photons[view][0].argmax(), sample.photons[view][0].shape)
        assert sample.truths[f"{view}.masks_2d"].data[0][brightest]


def test_03_six_views_of_one_shape_then_the_next() -> None:
    spec = mishape.load_spec(SCENES[2])
    scenes = [spec.scene(number) for number in range(12)]
    assert [scene.objects[0].pose.rotation for scene in scenes[:6]] == ["0", "x90", "x180", "y90", "y180", "z90"]
    assert len({scene.objects[0].shape_id for scene in scenes[:6]}) == 1
    assert len({scene.split for scene in scenes[:6]}) == 1
    assert scenes[0].views["epi"].grid.centers_nm()[0].tolist() == [-250, 0, 250]
    by_split: dict[str, set[str | None]] = {}
    for number in range(0, 300, 6):
        scene = spec.scene(number)
        by_split.setdefault(scene.split, set()).add(scene.objects[0].shape_id)
    assert set(by_split) == {"train", "val", "test"}
    assert sum(map(len, by_split.values())) == len(set.union(*by_split.values())) == 5, "no shape stands in two splits"


def test_06_masks_lie_where_the_light_is_sharp() -> None:
    scene = mishape.load_spec(SCENES[5]).scene(0)
    live, disk = (scene.views[name].sharp_grid.centers_nm()[0] for name in ("live", "disk"))
    np.testing.assert_allclose(live, [-317, 17, 353], atol=5)
    np.testing.assert_allclose(disk, live, atol=20)
    sample = mishape.simulate(scene)
    assert sample.photons["disk"].sum() < 0.2 * sample.photons["live"].sum() < 0.2 * sample.photons["matched"].sum()
    assert sample.images["live"].dtype == np.uint16
    assert sample.images["live"].max() < 2**16 - 1, "no pixel is saturated"


def test_05_two_mitochondria_in_each_of_four_fields() -> None:
    spec = mishape.load_spec(SCENES[4])
    assert spec.samples == 7000
    scene = spec.scene(0)
    assert [thing.tile for thing in scene.objects] == [0, 0, 1, 1, 2, 2, 3, 3]
    sample = mishape.simulate(scene)
    assert sample.images["epi"].shape == sample.truths["epi.masks_2d"].data.shape == (1, 256, 256)
