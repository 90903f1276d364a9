"""Datasets: the same bytes whoever makes them, whatever interrupts them; files that other tools open."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from numpy.testing import assert_array_equal

import mishape
from mishape.engine.files import canonical


def contents(dataset: mishape.Dataset) -> list[tuple[str, dict[str, bytes]]]:
    """Every sample's record and arrays as bytes."""
    return [
        (canonical(item.record), {name: array.tobytes() for name, array in item.arrays.items()}) for item in dataset
    ]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_bytes_do_not_depend_on_workers_or_shards(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    spec = mishape.load_spec(sphere_scene)
    reference = mishape.generate(spec, tmp_path / "one")
    for workers in (2, 4):
        mishape.generate(spec, tmp_path / f"w{workers}", workers=workers)
        assert files(tmp_path / f"w{workers}") == files(tmp_path / "one")
    other_shards = mishape.generate(spec.with_values(shard_size=3), tmp_path / "s3")
    assert contents(other_shards) == contents(reference)


def test_a_sample_on_disk_is_the_sample_simulated(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    dataset = mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    for number, item in enumerate(dataset):
        sample = mishape.simulate(dataset.spec.scene(number))
        assert_array_equal(item["epi.image"], sample.images["epi"])
        assert_array_equal(item["epi.masks_2d"], sample.truths["epi.masks_2d"].data)
        assert_array_equal(item["emitters"], sample.truths["emitters"])
        assert item.record == json.loads(canonical(sample.record))


def test_images_open_with_physical_sizes(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    path = tmp_path / "d" / "shards" / "000000" / "epi.image.ome.tif"
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert tiff.is_bigtiff
        assert tiff.series[0].axes == "TZYX"
        assert tiff.series[0].shape == (2, 2, 24, 20)
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.1, "µm")
    assert (pixels["PhysicalSizeY"], pixels["PhysicalSizeZ"]) == (0.1, 0.3)
    assert tifffile.memmap(path, mode="r").shape == (2, 2, 24, 20)


def test_verify_finds_what_was_altered(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    dataset = mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    verdict = mishape.verify(dataset)
    assert not verdict.faults
    assert len(verdict.remade) == 3
    path = tmp_path / "d" / "shards" / "000001" / "epi.image.ome.tif"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    (faults,) = [mishape.verify(dataset).faults]
    assert faults == [
        "shards/000001/epi.image.ome.tif was altered (its SHA-256 differs): "
        "delete the folder that holds it and run generate again"
    ]


def test_verify_remakes_samples(sphere_scene: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset whose hashes are right but that another code made is found by remaking samples."""
    from mishape.plugins.noises.poisson import Poisson

    dataset = mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    monkeypatch.setattr(Poisson, "detect", lambda self, photons, rng: np.zeros(photons.shape, np.uint16))
    assert mishape.verify(dataset, remake=1).faults[0].endswith("epi.image differs from a fresh simulation")


def test_missing_shards_are_made_and_others_left_alone(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    import shutil

    spec = mishape.load_spec(sphere_scene)
    mishape.generate(spec, tmp_path / "d")
    before = files(tmp_path / "d")
    untouched = tmp_path / "d" / "shards" / "000000" / "shard.json"
    stamp = untouched.stat().st_mtime_ns
    shutil.rmtree(tmp_path / "d" / "shards" / "000001")
    (tmp_path / "d" / "shards" / "000002.99.part").mkdir()
    mishape.generate(spec, tmp_path / "d")
    assert files(tmp_path / "d") == before
    assert untouched.stat().st_mtime_ns == stamp


def test_kill_at_any_moment_then_the_same_command(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    scene = tmp_path / "scene.yaml"
    scene.write_text(yaml.safe_dump({**sphere_scene, "samples": 40}))
    mishape.generate(scene, tmp_path / "whole")
    command = [sys.executable, "-m", "mishape", "generate", str(scene), "-o", str(tmp_path / "d"), "--workers", "2"]
    rng = np.random.default_rng(0)
    for delay_s in rng.uniform(0.5, 4.0, 5):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(delay_s)
        os.killpg(process.pid, signal.SIGKILL) if delay_s > 2 else process.kill()
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    undisturbed, resumed = files(tmp_path / "whole"), files(tmp_path / "d")
    assert resumed.keys() == undisturbed.keys()
    assert [name for name in resumed if resumed[name] != undisturbed[name]] == []


def test_shapes_of_generators_and_libraries_are_kept(tmp_path: Path) -> None:
    document = {
        "mishape": 1,
        "samples": 2,
        "objects": [
            {"shape": {"kind": "em_mesh", "library": "neuropil"}},
            {"shape": {"kind": "tube", "length_nm": 800, "radius_nm": 100}},
        ],
        "views": {
            "epi": {"grid": {"shape": [1, 16, 16], "pixel_nm": 100}, "microscope": {"kind": "epi", "preset": "epi1"}}
        },
        "truths": {"occupancy": {"points": 500}, "mesh": {}},
    }
    dataset = mishape.generate(mishape.load_spec(document), tmp_path / "d")
    real, tube = dataset[1].record["objects"]
    library = dataset.libraries()[real["library"]]
    copied = library[real["shape_id"]]
    assert library.meta["licence"] == "CC-BY-4.0"
    assert "Garcia" in library.meta["citation"]
    made = dataset.shard(0).shapes
    assert made is not None
    for entry, record in ((copied, real), (made[tube["shape_id"]], tube)):
        points = entry.array("occupancy_points") * entry.array("occupancy_scale_nm") + entry.array("occupancy_loc_nm")
        inside = np.unpackbits(entry.array("occupancy_inside"))[: len(points)].astype(bool)
        shape = entry.shape()
        # float32 meshes on disk: a point within 0.001 nm of the surface may change sides.
        assert (shape.inside(points) == inside).mean() > 0.99
        posed = shape.moved(np.array(record["rotation"]), np.array(record["offset_nm"]))
        assert posed.bounds_nm.shape == (2, 3)


def test_a_library_may_stay_where_it_is(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    sphere_scene["objects"] = [{"shape": {"kind": "em_mesh", "library": "neuropil"}}]
    sphere_scene["dataset"]["copy_library"] = False
    mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    (seal,) = (tmp_path / "d" / "library").iterdir()
    content = json.loads(seal.read_text())
    assert content["source"] == {"kind": "em_mesh", "library": "neuropil"}
    assert content["shapes"] == 5
    assert len(content["sha256"]) == 64
    assert content["files"] == {}


def test_reader_refuses_what_it_does_not_know(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(mishape.DatasetError, match=r"is not a dataset: it holds no dataset\.json"):
        mishape.open_dataset(tmp_path)
    dataset = mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    with pytest.raises(mishape.DatasetError, match=r"has no array 'epi\.imag': did you mean 'epi\.image'"):
        dataset[0]["epi.imag"]
    manifest = tmp_path / "d" / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(mishape.DatasetError, match=r"is of format 2, newer than this mishape reads \(1\)"):
        mishape.open_dataset(tmp_path / "d")


def test_a_killed_worker_is_named_and_nothing_is_lost(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    """A plugin that kills its process at one sample stands for the kernel that does so when memory is short."""
    plugin = tmp_path / "deadly.py"
    plugin.write_text(
        "import os\nfrom typing import Literal\nimport numpy as np\n"
        "from mishape.engine.component import Component\n\n\n"
        "class Deadly(Component):\n"
        '    kind: Literal["deadly"] = "deadly"\n\n'
        "    def detect(self, photons, rng):\n"
        f"        if photons.sum() and not os.path.exists({str(tmp_path / 'mercy')!r}) and rng.random() < 0.3:\n"
        "            os.kill(os.getpid(), 9)\n"
        "        return photons.astype(np.uint16)\n"
    )
    sphere_scene["views"]["epi"]["noise"] = {"kind": "deadly"}
    scene = tmp_path / "scene.yaml"
    scene.write_text(yaml.safe_dump({**sphere_scene, "samples": 20}))
    command = [sys.executable, "-m", "mishape", "generate", str(scene), "-o", str(tmp_path / "d"), "--workers", "2"]
    command += ["--plugin", str(plugin)]
    died = subprocess.run(command, capture_output=True, text=True)
    assert died.returncode == 1
    assert "error: a worker process died" in died.stderr
    assert "Traceback" not in died.stderr
    (tmp_path / "mercy").touch()
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert subprocess.run([*command[:3], "verify", *command[6:7], *command[9:]]).returncode == 0
