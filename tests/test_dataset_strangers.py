"""Datasets of strangers, damaged ones, and machines that fail: nothing outside is touched, nothing wrong passes."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml

import mishape
from mishape.engine.versions import check_maker
from tests.conftest import Run
from tests.small_datasets import made
from tests.test_dataset_parts import altered, files


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("good") / "d")


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Path:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/precious.txt").write_text("precious")
    return shutil.copytree(good, tmp_path / "in/d")


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_records(folder: Path, change: Callable[[Any], Any]) -> None:
    """Change the first record of each shard, and the seal's hash with it."""
    import hashlib

    for shard in folder.glob("shards/*"):
        lines = [json.loads(line) for line in (shard / "samples.jsonl").read_text().splitlines()]
        change(lines[0])
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (shard / "samples.jsonl").write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        edit(shard / "shard.json", lambda seal, digest=digest: seal["files"].update({"samples.jsonl": digest}))


# ---- names that lead out of the folder -------------------------------------------------------------------------------
def in_sources(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for path in folder.glob("shards/*/shard.json"):
            edit(path, lambda seal: seal["sources"].update({name: next(iter(seal["sources"].values()))}))

    return change


def in_files(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        for path in folder.glob("shards/*/shard.json"):
            edit(path, lambda seal: seal["files"].update({name: empty}))

    return change


OUTSIDE = {
    "sources": in_sources("../../victim"),
    "absolute sources": in_sources("/tmp/victim"),
    "files": in_files("../../../../victim/precious.txt"),
    "absolute files": in_files("/tmp/victim/precious.txt"),
    "splits": lambda d: edit(d / "dataset.json", lambda m: m["splits"].update({"../../victim/a": 1.0})),
    "views": lambda d: edit(d / "dataset.json", lambda m: m["views"].update({"../../victim/a": {}})),
    "record's split": lambda d: edit_records(d, lambda record: record.update(split="../../victim/a")),
    "shape's id": lambda d: edit_records(d, lambda record: record["objects"][0].update(shape_id="../../victim")),
}


@pytest.mark.parametrize("where", OUTSIDE)
def test_no_name_leads_out_of_the_folder(where: str, copy: Path, run: Run, tmp_path: Path) -> None:
    OUTSIDE[where](copy)
    outside = tmp_path / "victim"
    commands = [
        ("verify", str(copy), "--repair"),
        ("merge", str(copy), "-o", str(tmp_path / "in/merged")),
        *(
            ("export", str(copy), "-o", str(tmp_path / f"in/{layout}"), "--layout", layout)
            for layout in ("cellpose", "stardist", "webdataset", "3dmsl", "ome_tiff")
        ),
    ]
    for command in commands:
        run(*command)
        assert files(outside) == {"precious.txt": b"precious"}, command
        assert {path.name for path in tmp_path.iterdir()} == {"victim", "in"}, command


# ---- repairs that would not be the same ------------------------------------------------------------------------------
def test_a_repair_asks_for_the_same_files_and_versions(run: Run, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "offset.tif", np.full((16, 16), 100, np.float32))
    noise = {"kind": "scmos", "background": 5, "offset_map": str(tmp_path / "offset.tif")}
    view = {"grid": {"shape": [1, 16, 16], "pixel_nm": 100}, "microscope": {"kind": "epi", "preset": "epi1"}}
    folder = made(tmp_path / "d", views={"epi": {**view, "noise": noise}})
    before = files(folder)
    (folder / "shards/000001/emitters.npy").unlink()
    tifffile.imwrite(tmp_path / "offset.tif", np.full((16, 16), 5000, np.float32))
    code, _, err = run("verify", str(folder), "--repair")
    assert code == 1
    assert "holds something else now" in err
    assert "Put back what they held: else repaired shards would differ" in err
    tifffile.imwrite(tmp_path / "offset.tif", np.full((16, 16), 100, np.float32))
    stated = json.loads((folder / "dataset.json").read_text())["versions"]
    edit(folder / "dataset.json", lambda manifest: manifest["versions"].update(scipy="1.0.0"))
    code, _, err = run("verify", str(folder), "--repair")
    assert (code, err) == (1, f"error: {str(folder)!r} cannot be repaired: scipy 1.0.0 there, {stated['scipy']} here\n")
    (folder / "dataset.json").write_bytes(before["dataset.json"])
    assert run("verify", str(folder), "--repair")[0] == 0
    assert files(folder) == before


def test_a_worker_of_another_environment_makes_nothing(good: Path) -> None:
    manifest = mishape.open_dataset(good).manifest
    check_maker(manifest)
    other = "fast" if manifest.code_path == "core" else "core"
    with pytest.raises(mishape.DatasetError, match=rf"make other bytes: code path {other} there, \w+ here\. Give"):
        check_maker(manifest.model_copy(update={"code_path": other}))
    with pytest.raises(mishape.DatasetError, match=r"numpy 1\.0 there, .* here\. Give all workers the same"):
        check_maker(manifest.model_copy(update={"versions": {**manifest.versions, "numpy": "1.0"}}))


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), MemoryError("of 3 GiB")])
def test_errors_of_the_machine_are_never_skipped(
    error: Exception, run: Run, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by generate nor by a repair, which would put holes in the place of samples."""

    def fail(*_: Any, **__: Any) -> Any:
        raise mishape.MishapeError("a table cannot be written") from error

    monkeypatch.setattr("mishape.engine.shard.simulate_many", fail)
    scene = tmp_path / "scene.yaml"
    scene.write_text(yaml.safe_dump(mishape.open_dataset(copy).manifest.spec))
    command = ("generate", str(scene), "-o", str(tmp_path / "new"), "--skip-errors", "--workers", "1")
    code, _, err = run(*command)
    assert code == 1
    assert "error: a table cannot be written" in err
    (copy / "shards/000001/emitters.offsets.npy").unlink()
    before = files(copy)
    assert run("verify", str(copy), "--repair")[0] == 1
    assert files(copy) == before


# ---- samples that all fail -------------------------------------------------------------------------------------------
def test_a_first_shard_of_failures_alone(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mishape.plugins.noises.poisson import Poisson

    scene = tmp_path / "scene.yaml"
    scene.write_text(yaml.safe_dump(mishape.open_dataset(made(tmp_path / "whole")).manifest.spec))
    real, calls = Poisson.detect, iter(range(100))

    def detect(self: Any, photons: Any, rng: Any) -> Any:
        if next(calls) < 2:
            raise ValueError(f"of {object()}")
        return real(self, photons, rng)

    monkeypatch.setattr(Poisson, "detect", detect)
    code, _, err = run("generate", str(scene), "-o", str(tmp_path / "d"), "--skip-errors", "--workers", "1")
    assert code == 0, err
    dataset = mishape.open_dataset(tmp_path / "d")
    assert [*dataset.holes] == [0, 1]
    assert all("object at 0x...>" in why for why in dataset.holes.values())
    assert "2 of 4 samples failed when they were made, and were left out." in (tmp_path / "d/README.md").read_text()
    for layout in ("ome_tiff", "ome_zarr", "webdataset", "cellpose", "stardist", "nnunet", "3dmsl"):
        code, out, err = run("export", str(tmp_path / "d"), "-o", str(tmp_path / layout), "--layout", layout)
        assert (code, out) == (0, f"2 sample(s) in {tmp_path / layout}\n"), err
    assert (tmp_path / "ome_tiff/epi.image/000002.ome.tif").is_file()


def test_a_dataset_of_failures_alone_is_an_error(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = tmp_path / "scene.yaml"
    scene.write_text(yaml.safe_dump(mishape.open_dataset(made(tmp_path / "whole")).manifest.spec))
    monkeypatch.setattr("mishape.engine.shard.simulate_many", lambda *_, **__: 1 / 0)
    code, _, err = run("generate", str(scene), "-o", str(tmp_path / "d"), "--skip-errors", "--workers", "1")
    assert code == 1
    assert "error: none of 4 samples could be made; the first: sample 0 failed: ZeroDivisionError" in err
    code, _, err = run("export", str(tmp_path / "d"), "-o", str(tmp_path / "out"), "--layout", "cellpose")
    assert (code, err) == (1, f"error: {str(tmp_path / 'd')!r} holds no sample that could be made\n")


# ---- parts and copies that are not the same --------------------------------------------------------------------------
def test_parts_of_other_files_are_not_merged(tmp_path: Path) -> None:
    view = {"grid": {"shape": [1, 16, 16], "pixel_nm": 100}, "microscope": {"kind": "epi", "preset": "epi1"}}
    noise = {"kind": "scmos", "background": 5, "offset_map": str(tmp_path / "offset.tif")}
    parts = []
    for number, level in enumerate((100, 5000)):
        tifffile.imwrite(tmp_path / "offset.tif", np.full((16, 16), level, np.float32))
        whole = made(tmp_path / f"whole{number}", views={"epi": {**view, "noise": noise}})
        parts.append(tmp_path / f"part{number}")
        mishape.generate(mishape.open_dataset(whole).spec, parts[-1], shards=range(number, number + 1))
    with pytest.raises(
        mishape.DatasetError, match=r"were not made from the same: file '.*offset.tif' held something else"
    ):
        mishape.merge(parts, tmp_path / "merged")
    assert not list(tmp_path.glob("merged/shards/*"))


def test_a_copy_without_its_seal_is_copied_anew(copy: Path, good: Path) -> None:
    (vertices,) = copy.glob("library/*/vertices.npy")
    os.truncate(vertices, 200)
    next(copy.glob("library/*.json")).unlink()
    mishape.generate(mishape.open_dataset(copy).spec, copy)
    assert files(copy) == files(good)


def test_a_damaged_seal_and_a_damaged_copy_are_repaired_together(copy: Path, good: Path) -> None:
    (copy / "shards/000000/shard.json").write_text("{")
    os.truncate(next(copy.glob("library/*/vertices.npy")), 200)
    mishape.repair(mishape.open_dataset(copy))
    assert files(copy) == files(good)


def test_altered_pixels_are_not_exported(copy: Path, run: Run, tmp_path: Path) -> None:
    altered(copy)
    code, _, err = run("export", str(copy), "-o", str(tmp_path / "out"), "--layout", "ome_tiff")
    assert code == 1
    assert f"error: {str(copy)!r} is damaged: shards/000001/epi.image.ome.tif was altered" in err


# ---- shapes that cannot be told apart --------------------------------------------------------------------------------
def test_one_name_of_two_shapes_is_not_exported_as_shapes(run: Run, tmp_path: Path) -> None:
    choice = [{"kind": "em_mesh", "library": "neuropil"}, {"kind": "tube", "match": "neuropil"}]
    made(tmp_path / "d", objects=[{"shape": {"$choice": choice}}], samples=8)
    code, _, err = run("export", str(tmp_path / "d"), "-o", str(tmp_path / "out"), "--layout", "3dmsl", "--points", "9")
    assert code == 1
    assert re.search(r"shape 'mito\d\d' stands for two shapes, of (em_mesh|tube)-\w+ and (em_mesh|tube)-\w+", err)
    view = {"grid": {"shape": [1, 16, 16], "pixel_nm": 100}, "microscope": {"kind": "epi", "preset": "epi1"}}
    made(tmp_path / "e", views={"epi": view, "Epi": view})
    code, _, err = run("export", str(tmp_path / "e"), "-o", str(tmp_path / "out"), "--layout", "3dmsl", "--points", "9")
    assert (code, "differ in capitals alone" in err) == (1, True)


# ---- damage that must not end in a traceback -------------------------------------------------------------------------
DAMAGES: dict[str, Callable[[Path], object]] = {
    "records": lambda d: (d / "shards/000000/samples.jsonl").write_text("{"),
    "empty records": lambda d: (d / "shards/000000/samples.jsonl").write_text("{}\n{}\n"),
    "truncated table": lambda d: os.truncate(d / "shards/000000/emitters.npy", 200),
    "empty table": lambda d: os.truncate(d / "shards/000000/emitters.npy", 0),
    "header": lambda d: (d / "shards/000000/epi.image.ome.tif").write_bytes(b"II+\0 not a TIFF any more" * 40),
    "source": lambda d: edit(
        d / "shards/000000/shard.json", lambda seal: next(iter(seal["sources"].values())).update(source={})
    ),
    "objects": lambda d: edit(d / "dataset.json", lambda manifest: manifest["spec"].update(objects=5)),
    "lock": lambda d: (d / "dataset.lock").write_text('{"host": "a", "pid": "7", "started": "1"}'),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_never_ends_in_a_traceback(name: str, copy: Path, run: Run, tmp_path: Path) -> None:
    """`run` lets any error but ours through."""
    scene = tmp_path / "in/scene.yaml"
    scene.write_text(yaml.safe_dump(mishape.open_dataset(copy).manifest.spec))
    DAMAGES[name](copy)
    for command in (
        ("generate", str(scene), "-o", str(copy), "--workers", "1"),
        ("verify", str(copy)),
        ("export", str(copy), "-o", str(tmp_path / "in/out"), "--layout", "webdataset"),
        ("merge", str(copy), "-o", str(tmp_path / "in/merged")),
        ("verify", str(copy), "--repair"),
    ):
        code, out, err = run(*command)
        assert code in (0, 1, 2), (command, out, err)
    names = ("epi.image", "emitters")
    for access in (*(lambda data, name=name: data[0][name] for name in names), lambda data: data.pixel_um(names[0])):
        with suppress(mishape.MishapeError):
            access(mishape.open_dataset(copy))


def test_shards_beyond_all_numbers(copy: Path, run: Run, tmp_path: Path) -> None:
    scene = tmp_path / "in/scene.yaml"
    scene.write_text(yaml.safe_dump(mishape.open_dataset(copy).manifest.spec))
    assert run("generate", str(scene), "-o", str(copy), "--shards", f"0:{10**20}", "--workers", "1")[0] == 0


# ---- sources that are not what they were -----------------------------------------------------------------------------
def tetrahedron(path: Path, edge_nm: int) -> Path:
    corners = f"0 0 0\n{edge_nm} 0 0\n0 {edge_nm} 0\n0 0 {edge_nm}\n"
    path.write_text(f"OFF\n4 4 0\n{corners}3 0 2 1\n3 0 1 3\n3 1 2 3\n3 0 3 2\n")
    return path


def test_a_short_shard_does_not_grow_from_another_library(tmp_path: Path) -> None:
    mesh = tetrahedron(tmp_path / "one.off", 500)
    folder = made(tmp_path / "d", samples=1, objects=[{"shape": {"kind": "em_mesh", "library": str(mesh)}}])
    before = files(folder)
    tetrahedron(mesh, 600)
    with pytest.raises(mishape.DatasetError, match=r"library '.*one\.off' changed since shard 0 was made"):
        mishape.generate(mishape.open_dataset(folder).spec, folder, samples=2)
    tetrahedron(mesh, 500)
    assert files(folder / "shards") == {
        k.removeprefix("shards/"): v for k, v in before.items() if k.startswith("shards/")
    }
    assert len(mishape.generate(mishape.open_dataset(folder).spec, folder, samples=2)) == 2


def test_a_damaged_shard_is_not_repaired_from_another_library(tmp_path: Path) -> None:
    mesh = tetrahedron(tmp_path / "one.off", 500)
    thing = {"shape": {"kind": "em_mesh", "library": str(mesh)}}
    folder = made(tmp_path / "d", objects=[thing], samples=2, dataset={"shard_size": 2, "copy_library": False})
    tetrahedron(mesh, 600)
    (folder / "shards/000000/emitters.npy").unlink()
    with pytest.raises(mishape.DatasetError, match=r"library '.*one\.off' changed since shard 0 was made"):
        mishape.repair(mishape.open_dataset(folder))


def test_a_moved_dataset_is_exported_from_what_it_holds(run: Run, tmp_path: Path) -> None:
    mesh = tetrahedron(tmp_path / "one.off", 500)
    made(tmp_path / "d", objects=[{"shape": {"kind": "em_mesh", "library": str(mesh)}}])
    mesh.unlink()
    for layout in ("cellpose", "nnunet", "ome_tiff", "3dmsl"):
        code, _, err = run("export", str(tmp_path / "d"), "-o", str(tmp_path / layout), "--layout", layout)
        assert code == 0, err
    assert (tmp_path / "cellpose/README.md").read_text().endswith((tmp_path / "d/README.md").read_text())
