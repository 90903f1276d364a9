"""Datasets: the same bytes whoever makes them, whatever interrupts them; files that other tools open."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from numpy.testing import assert_array_equal

import mishape
from mishape.engine.files import canonical, save_array
from mishape.engine.grid import Grid
from mishape.engine.lock import LOCK, locked
from mishape.engine.ometiff import pixel_metadata
from mishape.engine.simulate import simulate_many
from tests.small_datasets import made


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


def test_a_changed_input_file_stops_a_resumed_run(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    """The rest of a dataset must not be made with another camera's maps than its beginning, whichever samples read it.

    `verify` names the file too, rather than every image.
    """
    paths = [tmp_path / f"offset{number}.tif" for number in (1, 2)]
    for path in paths:
        tifffile.imwrite(path, np.full((24, 20), 100, np.float32))
    sphere_scene["views"]["epi"]["noise"] = {"kind": "scmos", "offset_map": {"$cycle": [str(path) for path in paths]}}
    dataset = mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    assert set(dataset.shard(0).seal.inputs) == {str(path) for path in paths}
    assert not mishape.verify(dataset).faults
    shutil.rmtree(tmp_path / "d" / "shards" / "000001")
    tifffile.imwrite(paths[1], np.full((24, 20), 101, np.float32))
    told = (
        rf"^input file '{re.escape(str(paths[1]))}' holds something else now; shard 0 was made with .*\.\.\.\nPut back"
    )
    with pytest.raises(mishape.DatasetError, match=told):
        mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    tifffile.imwrite(paths[1], np.full((24, 20), 100, np.float32))
    dataset = mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    paths[0].unlink()
    (fault,) = mishape.verify(mishape.open_dataset(tmp_path / "d")).faults
    assert fault.startswith(f"input file '{paths[0]}' is gone: there is no file")


def test_planes_that_are_even_but_for_aberration_have_a_size() -> None:
    """3D truths of a sample of another index lie where it is in focus: even to 1 % is a step, their mean."""
    sizes = [
        pixel_metadata(Grid((3, 4, 4), 80.0, planes_nm=planes)).get("PhysicalSizeZ")
        for planes in ((0.0, 334.5, 670.0), (0.0, 400.0, 700.0))
    ]
    assert sizes == [0.335, None]


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
        "mishape verify --repair makes shards/000001 anew"
    ]


def test_verify_remakes_samples(sphere_scene: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset whose hashes are right but that another code made is found by remaking samples."""
    from mishape.plugins.noises.poisson import Poisson

    dataset = mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    monkeypatch.setattr(Poisson, "detect", lambda self, photons, rng: np.zeros(photons.shape, np.uint16))
    assert mishape.verify(dataset, remake=1).faults[0].endswith("epi.image differs from a fresh simulation")


def test_missing_shards_are_made_and_others_left_alone(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
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


def tetrahedron(edge_nm: int) -> str:
    corners = f"0 0 0\n{edge_nm} 0 0\n0 {edge_nm} 0\n0 0 {edge_nm}\n"
    return f"OFF\n4 4 0\n{corners}3 0 2 1\n3 0 1 3\n3 1 2 3\n3 0 3 2\n"


@pytest.fixture
def mesh_scene(sphere_scene: dict[str, Any], tmp_path: Path) -> Path:
    """A scene file beside the two mesh files that it uses, in a folder that can be moved."""
    sphere_scene["objects"] = [{"shape": {"kind": "em_mesh", "library": "meshes"}, "pose": {"rotation": "uniform"}}]
    (tmp_path / "here/meshes").mkdir(parents=True)
    for name, edge_nm in (("big", 503), ("small", 211)):
        (tmp_path / f"here/meshes/{name}.off").write_text(tetrahedron(edge_nm))
    path = tmp_path / "here/scene.yaml"
    path.write_text(yaml.safe_dump(sphere_scene))
    return path


def test_a_library_that_changed_is_refused(mesh_scene: Path, tmp_path: Path) -> None:
    mishape.generate(mesh_scene, tmp_path / "d")
    before = files(tmp_path / "d")
    shutil.rmtree(tmp_path / "d/shards/000000")
    mesh = mesh_scene.parent / "meshes/small.off"
    mesh.write_text(tetrahedron(212))
    message = (
        "library 'meshes' changed since shard 1 was made: put back what it held then, or give another output folder"
    )
    for _ in range(2):
        with pytest.raises(mishape.DatasetError, match=f"^{message}$"):
            mishape.generate(mesh_scene, tmp_path / "d")
    mesh.write_text(tetrahedron(211))
    mishape.generate(mesh_scene, tmp_path / "d")
    assert files(tmp_path / "d") == before


def test_a_moved_dataset_is_verified_by_its_own_copies(mesh_scene: Path, tmp_path: Path) -> None:
    mishape.generate(mesh_scene, mesh_scene.parent / "d")
    before = files(mesh_scene.parent / "d")
    mesh_scene.parent.rename(tmp_path / "there")
    moved = tmp_path / "there/d"
    shutil.rmtree(moved / "shards/000001")
    shutil.rmtree(moved / "library")
    (moved / "report.html").unlink()
    mishape.generate(tmp_path / "there/scene.yaml", moved)
    assert files(moved) == before
    shutil.rmtree(tmp_path / "there/meshes")
    verdict = mishape.verify(mishape.open_dataset(moved), remake=5)
    assert (verdict.faults, verdict.remade) == ([], [0, 1, 2, 3, 4])


def test_a_moved_dataset_without_copies_names_what_is_missing(mesh_scene: Path, tmp_path: Path) -> None:
    scene = yaml.safe_load(mesh_scene.read_text())
    scene["dataset"]["copy_library"] = False
    mesh_scene.write_text(yaml.safe_dump(scene))
    dataset = mishape.generate(mesh_scene, tmp_path / "d")
    assert not mishape.verify(dataset).faults
    shutil.rmtree(mesh_scene.parent)
    (fault,) = mishape.verify(mishape.open_dataset(tmp_path / "d"), remake=1).faults
    assert "cannot be made anew: " in fault
    assert f"nor a file or folder: '{mesh_scene.parent / 'meshes'}' does not exist" in fault


def test_mesh_files_that_ids_leave_out_may_be_broken(mesh_scene: Path, tmp_path: Path) -> None:
    scene = yaml.safe_load(mesh_scene.read_text())
    scene["objects"][0]["shape"]["ids"] = ["big"]
    mesh_scene.write_text(yaml.safe_dump({**scene, "samples": 1}))
    (mesh_scene.parent / "meshes/small.off").write_text("")
    dataset = mishape.generate(mesh_scene, tmp_path / "d")
    (library,) = dataset.libraries().values()
    assert [entry.id for entry in library] == ["big"]
    assert not mishape.verify(dataset).faults


def edited(pattern: str, new: str) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        path = folder / "dataset.json"
        text, count = re.subn(pattern, new, path.read_text())
        assert count
        path.write_text(text)

    return edit


BELONGS = "does not belong to the dataset"
DAMAGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no library": (
        lambda d: shutil.rmtree(d / "library"),
        [
            "'{d}/library/{name}.json' is missing or damaged ([Errno 2] No such file or directory: "
            "'{d}/library/{name}.json'): mishape verify --repair makes it anew"
        ],
    ),
    "damaged library seal": (
        lambda d: next((d / "library").glob("*.json")).write_text("{}"),
        ["'{d}/library/{name}.json' is missing or damaged (required key is missing (the source as the scene gives it)"],
    ),
    "stray shard": (lambda d: shutil.copytree(d / "shards/000001", d / "shards/000003"), [f"shards/000003 {BELONGS}"]),
    "stray file": (lambda d: (d / "shards/notes.txt").touch(), [f"shards/notes.txt {BELONGS}"]),
    "fewer samples": (
        edited('"samples": 5', '"samples": 3'),
        ["shards/000001 holds 2 sample(s), dataset.json says 1", f"shards/000002 {BELONGS}"],
    ),
    "more samples": (edited('"samples": 5', '"samples": 6'), ["shards/000002 holds 1 sample(s), dataset.json says 2"]),
    "another seed": (
        edited('  "seed": 4,\n  "samples"', '  "seed": 5,\n  "samples"'),
        ["dataset.json was altered: its seed is 5, its spec says 4"],
    ),
    "another spec": (edited('"background": 10', '"background": 11'), ["dataset.json was altered: its spec_hash is "]),
    "no seal": (
        lambda d: (d / "shards/000001/shard.json").unlink(),
        ["shard 1 of '{d}' is missing: run generate again to make it"],
    ),
}


@pytest.fixture(scope="module")
def library_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("library_dataset") / "d", seed=4, samples=5)


@pytest.mark.parametrize("name", DAMAGES)
def test_verify_finds_what_is_missing_or_too_much(name: str, library_dataset: Path, tmp_path: Path) -> None:
    damage, expected = DAMAGES[name]
    folder = shutil.copytree(library_dataset, tmp_path / "d")
    assert not mishape.verify(mishape.open_dataset(folder), remake=1).faults
    damage(folder)
    faults = mishape.verify(mishape.open_dataset(folder)).faults
    (library,) = (library_dataset / "library").glob("*.json")
    assert len(faults) == len(expected)
    for fault, text in zip(faults, expected, strict=True):
        assert fault.startswith(text.format(d=folder, name=library.stem))


@pytest.mark.parametrize("lost", ["shards/000001/shard.json", "library"])
def test_what_has_lost_its_seal_is_made_anew(lost: str, library_dataset: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(library_dataset, tmp_path / "d")
    shutil.rmtree(folder / lost) if (folder / lost).is_dir() else (folder / lost).unlink()
    mishape.generate(mishape.open_dataset(folder).spec, folder)
    assert files(folder) == files(library_dataset)


def test_a_second_run_in_one_folder_is_refused(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    spec = mishape.load_spec(sphere_scene)
    mishape.generate(spec, tmp_path / "d")
    before = files(tmp_path / "d")
    live = tmp_path / "d/shards/000001.99.part"
    live.mkdir()
    message = (
        f"'{tmp_path / 'd'}' is in use by another run (host {platform.node()}, process {os.getpid()}): wait for it to "
        f"end, or end it. If no such run exists any more, delete '{tmp_path / 'd' / LOCK}' and try again"
    )
    with locked(tmp_path / "d"), pytest.raises(mishape.DatasetError, match=f"^{re.escape(message)}$"):
        mishape.generate(spec, tmp_path / "d")
    assert live.is_dir()
    (tmp_path / "d" / LOCK).write_text('{"host": "elsewhere", "pid": 7, "started": "1"}')
    with pytest.raises(mishape.DatasetError, match=r"in use by another run \(host elsewhere, process 7\)"):
        mishape.generate(spec, tmp_path / "d")
    live.rmdir()
    assert not mishape.verify(mishape.open_dataset(tmp_path / "d"), remake=0).faults
    (tmp_path / "d" / LOCK).unlink()
    assert files(tmp_path / "d") == before


DEAD = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True).stdout
LEFT = {
    "of a dead process": f'{{"host": {json.dumps(platform.node())}, "pid": {DEAD}, "started": "1"}}',
    "of a number in use again": f'{{"host": {json.dumps(platform.node())}, "pid": {os.getpid()}, "started": "1"}}',
    "never written": "",
}


@pytest.mark.parametrize("text", LEFT.values(), ids=LEFT)
def test_the_lock_of_a_killed_run_is_taken_over(text: str, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(text)
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_run_killed_in_its_first_moment_blocks_nothing(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    for name in (LOCK, "dataset.json.7.part"):
        (tmp_path / name).touch()
    dataset = mishape.generate(mishape.load_spec({**sphere_scene, "samples": 1}), tmp_path)
    assert len(dataset) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "dataset.json", "report.html", "shards"]


class Borrowed:
    """A stranger's executor, which knows nothing of BLAS."""

    def imap(self, job: Callable[[int], Any], tasks: Iterable[int]) -> Iterator[Any]:
        return map(job, tasks)


def test_any_executor_runs_with_one_blas_thread(
    sphere_scene: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from threadpoolctl import threadpool_info

    from mishape.engine import shard

    counts: list[int] = []

    def watched(*arguments: Any, **options: Any) -> list[mishape.Sample]:
        counts.extend(info["num_threads"] for info in threadpool_info())
        return simulate_many(*arguments, **options)

    monkeypatch.setattr(shard, "simulate_many", watched)
    mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d", executor=Borrowed())
    assert counts
    assert set(counts) == {1}


def test_a_script_without_a_guard_is_told_so(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import mishape\nmishape.generate(mishape.load_spec({sphere_scene!r}), 'd', workers=2)\n")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    message = 'because a script calls generate with several workers outside of `if __name__ == "__main__":`'
    assert message in done.stderr.splitlines()[-1]


def test_failing_hooks_are_told_alike_by_any_number_of_workers(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    """An installed hook plugin that fails at some samples: the first one is named, whoever made it."""
    about = tmp_path / "installed/failing-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: failing\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[mishape.hooks]\nfailing = failing\n")
    (tmp_path / "installed/failing.py").write_text(
        "from mishape.engine.hooks import hookimpl\n\n\n@hookimpl\ndef mishape_sample_done(sample):\n"
        "    if sample.record['index'] > 1:\n        raise ValueError(f\"no {sample.record['index']}\")\n"
    )
    scene = tmp_path / "scene.yaml"
    scene.write_text(yaml.safe_dump(sphere_scene))
    command = [sys.executable, "-m", "mishape", "generate", str(scene), "--progress", "none"]
    for workers in ("1", "2"):
        done = subprocess.run(
            [*command, "--workers", workers, "-o", str(tmp_path / workers)],
            env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0
        assert done.stderr == "warning: plugin hooks.failing failed: mishape_sample_done: ValueError: no 2\n"


ARRAYS = [np.zeros((3, 0, 2)), np.asfortranarray(np.ones((3, 4))), np.arange(10**5).reshape(-1, 4), np.array(True)]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.shape))
def test_arrays_are_written_as_numpy_writes_them(array: np.ndarray[Any, Any], tmp_path: Path) -> None:
    np.save(tmp_path / "numpy.npy", array)
    save_array(tmp_path / "ours.npy", array)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_an_array_that_does_not_fit_says_that_the_disk_is_full(tmp_path: Path) -> None:
    """A real limit: `np.save` reports it as an error without a number."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource, signal, sys, pathlib, numpy\n"
            "from mishape.engine.files import disk_errors, save_array\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, 10**5))\n"
            "path = pathlib.Path(sys.argv[1])\n"
            "with disk_errors(path):\n    save_array(path, numpy.zeros(10**5))\n",
            str(tmp_path / "a.npy"),
        ],
        capture_output=True,
        text=True,
    )
    assert (
        f"DatasetError: the disk is full: '{tmp_path / 'a.npy'}' could not be written (File too large)" in done.stderr
    )


def test_the_code_path_is_part_of_a_dataset(
    sphere_scene: dict[str, Any], tmp_path: Path, use_path: Callable[[str], None]
) -> None:
    """A run on another path is refused with what to do; `verify` says so in place of calling every image different."""
    spec = mishape.load_spec(sphere_scene)
    told = {
        "core": "code path: core there, fast here (set the environment variable MISHAPE_FAST=0)",
        "fast": "code path: fast there, core here (pip install 'mishape[fast]', and do not set MISHAPE_FAST=0)",
    }
    for path, other in (("fast", "core"), ("core", "fast")):
        use_path(path)
        dataset = mishape.generate(spec, tmp_path / path)
        assert json.loads((tmp_path / path / "dataset.json").read_text())["code_path"] == path
        assert ("numba" in dataset.manifest.versions) == (path == "fast")
        assert not mishape.verify(dataset).faults
        use_path(other)
        with pytest.raises(mishape.DatasetError) as refused:
            mishape.generate(spec, tmp_path / path)
        assert str(refused.value).splitlines()[1:-1] == ["  " + told[path]]
        verdict = mishape.verify(dataset)
        assert verdict.remade == []
        assert verdict.faults == [f"no sample can be made anew: {told[path]}; all files are as they were written"]
        assert not mishape.verify(dataset, remake=0).faults
    images = [np.stack([item["epi.image"] for item in mishape.open_dataset(tmp_path / path)]) for path in told]
    assert np.mean(images[0] != images[1]) > 0.5
    assert images[0].mean() == pytest.approx(images[1].mean(), rel=0.02)


def test_a_manifest_of_before_there_were_two_paths(
    sphere_scene: dict[str, Any], tmp_path: Path, use_path: Callable[[str], None]
) -> None:
    use_path("core")
    mishape.generate(mishape.load_spec(sphere_scene), tmp_path / "d")
    path = tmp_path / "d" / "dataset.json"
    manifest = json.loads(path.read_text())
    del manifest["code_path"]
    path.write_text(json.dumps(manifest))
    dataset = mishape.open_dataset(tmp_path / "d")
    assert dataset.manifest.code_path == "core"
    assert not mishape.verify(dataset).faults
