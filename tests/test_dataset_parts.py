"""Datasets that grow, that are made in parts, lose samples that fail, and are repaired."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import mishape
from mishape.engine.repair import repair
from tests.conftest import Run


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (folder / "shards").iterdir()}


# ---- longer ----------------------------------------------------------------------------------------------------------
def test_a_dataset_grows_and_full_shards_stay(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    spec = mishape.load_spec(sphere_scene)
    mishape.generate(spec.with_values(samples=9), tmp_path / "at once")
    mishape.generate(spec, tmp_path / "d")
    before = stamps(tmp_path / "d")
    assert len(mishape.generate(spec, tmp_path / "d", samples=9)) == 9
    after = stamps(tmp_path / "d")
    assert {name for name in before if before[name] == after[name]} == {"000000", "000001"}
    assert files(tmp_path / "d") == files(tmp_path / "at once")


def test_a_dataset_does_not_shrink(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    spec = mishape.load_spec(sphere_scene)
    mishape.generate(spec, tmp_path / "d")
    before = files(tmp_path / "d")
    with pytest.raises(mishape.DatasetError, match="samples: 5 there, 3 here; a dataset can grow, but not shrink"):
        mishape.generate(spec, tmp_path / "d", samples=3)
    assert files(tmp_path / "d") == before


def test_a_growth_that_was_interrupted_goes_on(
    sphere_scene: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was there stays readable until its longer shard takes its place."""
    spec = mishape.load_spec(sphere_scene)
    mishape.generate(spec.with_values(samples=9), tmp_path / "at once")
    whole = mishape.generate(spec, tmp_path / "d")
    image = np.array(whole[4]["epi.image"])
    with monkeypatch.context() as patch:
        patch.setattr("mishape.engine.shard.simulate_many", lambda *_, **__: 1 / 0)
        with pytest.raises(mishape.PluginError, match="sample 4 failed: ZeroDivisionError"):
            mishape.generate(spec, tmp_path / "d", samples=9)
    between = mishape.open_dataset(tmp_path / "d")
    assert (len(between), between.missing) == (9, [2, 3, 4])
    np.testing.assert_array_equal(between[4]["epi.image"], image)
    with pytest.raises(mishape.DatasetError, match=r"sample 5 of '.*' is missing: run generate again to make it"):
        between[5]
    mishape.generate(spec, tmp_path / "d", samples=9)
    assert files(tmp_path / "d") == files(tmp_path / "at once")


# ---- in parts --------------------------------------------------------------------------------------------------------
@pytest.fixture
def library_scene(sphere_scene: dict[str, Any], tmp_path: Path) -> Path:
    sphere_scene["objects"] = [{"shape": {"kind": "em_mesh", "library": "neuropil"}}]
    path = tmp_path / "scene.yaml"
    path.write_text(yaml.safe_dump(sphere_scene))
    return path


def test_parts_merge_into_the_dataset(run: Run, library_scene: Path, tmp_path: Path) -> None:
    mishape.generate(library_scene, tmp_path / "at once")
    for name, shards in (("a", "0:1"), ("b", "1:2"), ("c", "1:9")):
        code, out, err = run(
            "generate", str(library_scene), "-o", str(tmp_path / name), "--shards", shards, "--workers", "1"
        )
        assert code == 0, err
        assert not (tmp_path / name / "report.html").exists()
    assert out == f"2 of 3 shards in {tmp_path / 'c'}, 2 of 5 samples missing\n"
    code, out, err = run("verify", str(tmp_path / "c"), "--partial")
    assert code == 0, err
    assert out.startswith(f"{tmp_path / 'c'} is as it was made: ")
    code, _, err = run("verify", str(tmp_path / "c"))
    assert code == 1
    assert "is missing: run generate again to make it" in err
    parts = [str(tmp_path / name) for name in "abc"]
    code, out, err = run("merge", parts[0], parts[1], "-o", str(tmp_path / "d"))
    assert (code, out) == (0, f"2 of 3 shards in {tmp_path / 'd'}, 1 of 5 samples missing\n"), err
    code, out, err = run("merge", parts[2], "-o", str(tmp_path / "d"))
    assert (code, out.splitlines()[0]) == (0, f"5 sample(s) in {tmp_path / 'd'}"), err
    assert files(tmp_path / "d") == files(tmp_path / "at once")


def test_generate_goes_on_with_parts(library_scene: Path, tmp_path: Path) -> None:
    mishape.generate(library_scene, tmp_path / "at once")
    mishape.generate(library_scene, tmp_path / "d", shards=range(1, 2))
    mishape.generate(library_scene, tmp_path / "d")
    assert files(tmp_path / "d") == files(tmp_path / "at once")


def altered(folder: Path) -> None:
    with (folder / "shards/000001/epi.image.ome.tif").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x99")


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "altered": (altered, r"epi\.image\.ome\.tif' was altered \(its SHA-256 differs\): mishape verify --repair makes"),
    "lost": (
        lambda folder: (folder / "shards/000001/samples.jsonl").unlink(),
        r"samples\.jsonl' is missing: mishape verify --repair makes it anew",
    ),
    "of another seed": (
        lambda folder: remake(folder, seed=5),
        r"are not parts of one dataset; they differ in:\n  seed: 4 there, 5 here",
    ),
    "longer": (lambda folder: remake(folder, samples=7), r"they differ in:\n  samples: 5 there, 7 here"),
    "of another version": (
        lambda folder: edit_seal(folder),
        r"shard 0 is not the same in '.*a' and '.*b': find out which is whole by mishape verify",
    ),
}


def remake(folder: Path, **values: int) -> None:
    spec = mishape.open_dataset(folder).spec.with_values(**values)
    shutil.rmtree(folder)
    mishape.generate(spec, folder, shards=range(1, 3))


def edit_seal(folder: Path) -> None:
    shutil.copytree(folder.parent / "a/shards/000000", folder / "shards/000000")
    seal = folder / "shards/000000/shard.json"
    seal.write_text(re.sub(r'"epi.image.ome.tif": "\w{4}', '"epi.image.ome.tif": "0000', seal.read_text()))


@pytest.mark.parametrize("name", UNFIT)
def test_parts_that_do_not_fit(name: str, sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    damage, message = UNFIT[name]
    spec = mishape.load_spec(sphere_scene)
    mishape.generate(spec, tmp_path / "a", shards=range(1))
    mishape.generate(spec, tmp_path / "b", shards=range(1, 3))
    damage(tmp_path / "b")
    with pytest.raises(mishape.DatasetError, match=message):
        mishape.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "d")
    assert not list((tmp_path / "d").rglob("*.part"))


def test_shards_that_there_are_not(run: Run, library_scene: Path, tmp_path: Path) -> None:
    code, _, err = run("generate", str(library_scene), "-o", str(tmp_path / "d"), "--shards", "3:7")
    assert (code, err) == (1, "error: shards 3:7 asked for: the dataset has 3, so give a part of 0:3\n")
    for wrong in ("3", "2:1", "a:b", "-1:2", ":"):
        code, _, err = run("generate", str(library_scene), "-o", str(tmp_path / "d"), f"--shards={wrong}")
        assert code == 2
        assert f"'{wrong}' given: A:B is expected, as 0:40" in " ".join(err.split())


# ---- without samples that fail ---------------------------------------------------------------------------------------
@pytest.fixture
def fragile(folder: Path, sphere_scene: dict[str, Any]) -> Path:
    """A scene whose detector fails at bright samples, for as long as the file `broken` is there."""
    Path("fragile.py").write_text(
        "import os\nfrom typing import Literal\nimport numpy as np\n"
        "from mishape.engine.component import Component\n\n\n"
        "class Fragile(Component):\n"
        '    kind: Literal["fragile"] = "fragile"\n\n'
        "    def detect(self, photons, rng):\n"
        f"        if os.path.exists({str(folder / 'broken')!r}) and rng.random() < 0.5:\n"
        '            raise ValueError("too bright")\n'
        "        return photons.astype(np.uint16)\n"
    )
    sphere_scene["views"]["epi"]["noise"] = {"kind": "fragile"}
    Path("scene.yaml").write_text(yaml.safe_dump({**sphere_scene, "samples": 8}))
    return folder


def test_a_sample_that_fails_is_named(run: Run, fragile: Path) -> None:
    (fragile / "broken").touch()
    code, _, err = run("generate", "scene.yaml", "-o", "d", "--plugin", "fragile.py", "--workers", "1")
    assert code == 1
    number = re.search(r"^error: sample (\d) failed: ValueError: too bright", err, re.MULTILINE)
    assert number, err
    assert f"To see it alone: mishape render SCENE --sample {number[1]}" in err
    assert "To go on without the samples that fail: --skip-errors" in err


@pytest.mark.parametrize("workers", ["1", "2"])
def test_samples_that_fail_are_left_out_and_made_later(run: Run, fragile: Path, workers: str) -> None:
    plain = ("--plugin", "fragile.py", "--workers", workers)
    assert run("generate", "scene.yaml", "-o", "whole", *plain)[0] == 0
    (fragile / "broken").touch()
    code, out, err = run("generate", "scene.yaml", "-o", "d", "--skip-errors", *plain)
    assert code == 0, err
    dataset, whole = mishape.open_dataset("d"), mishape.open_dataset("whole")
    assert 0 < len(dataset.holes) < 8
    assert all(why.startswith(f"sample {n} failed: ValueError: too bright") for n, why in dataset.holes.items())
    assert [
        f"warning: sample {n} failed and was left out: {why}" for n, why in dataset.holes.items()
    ] == err.splitlines()[-len(dataset.holes) :]
    assert out.startswith(f"{8 - len(dataset.holes)} sample(s) in d, {len(dataset.holes)} more left out\n")
    report = (Path("d") / "report.html").read_text()
    assert f"<b>{8 - len(dataset.holes)}</b>samples" in report
    assert f"<b>{len(dataset.holes)}</b>left out, as they failed" in report
    assert f"Counted in all {8 - len(dataset.holes)} samples" in report
    made = {item.record["index"]: item for item in dataset}
    assert {*made} == {*range(8)} - {*dataset.holes}
    for number, item in made.items():
        assert item.record == whole[number].record
        for name, array in item.arrays.items():
            np.testing.assert_array_equal(array, whole[number][name])
    hole = min(dataset.holes)
    with pytest.raises(mishape.DatasetError, match=f"sample {hole} failed when it was made, and was left out: "):
        dataset[hole]
    code, out, _ = run("verify", "d", *plain[:2])
    assert code == 0
    assert f"sample {hole} failed when it was made, and was left out: " in out
    (fragile / "broken").unlink()
    code, out, err = run("verify", "d", "--repair", *plain)
    assert code == 0, err
    assert "left out" not in out
    assert files(Path("d")) == files(Path("whole"))


# ---- repaired --------------------------------------------------------------------------------------------------------
DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda d: os.truncate(d / "shards/000001/epi.image.ome.tif", 3000),
    "altered": altered,
    "lost file": lambda d: (d / "shards/000002/emitters.npy").unlink(),
    "lost seal": lambda d: (d / "shards/000002/shard.json").unlink(),
    "damaged seal": lambda d: (d / "shards/000000/shard.json").write_text("{"),
    "damaged records": lambda d: (d / "shards/000000/samples.jsonl").write_text("{"),
    "extra file": lambda d: (d / "shards/000000/notes.txt").touch(),
    "lost shard": lambda d: shutil.rmtree(d / "shards/000001"),
    "damaged library": lambda d: os.truncate(next((d / "library").glob("*/vertices.npy")), 200),
    "lost library seal": lambda d: next((d / "library").glob("*.json")).unlink(),
    "all shards and the library": lambda d: [shutil.rmtree(d / "library"), shutil.rmtree(d / "shards")],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_repaired(name: str, library_scene: Path, tmp_path: Path) -> None:
    mishape.generate(library_scene, tmp_path / "d")
    before = files(tmp_path / "d")
    DAMAGES[name](tmp_path / "d")
    assert mishape.verify(mishape.open_dataset(tmp_path / "d"), remake=0).faults
    assert repair(mishape.open_dataset(tmp_path / "d"))
    assert files(tmp_path / "d") == before
    assert repair(mishape.open_dataset(tmp_path / "d")) == []


def test_a_moved_dataset_is_repaired_by_its_own_copies(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    sphere_scene["objects"] = [{"shape": {"kind": "em_mesh", "library": "tetrahedra"}}]
    (tmp_path / "tetrahedra").mkdir()
    corners = "0 0 0\n500 0 0\n0 500 0\n0 0 500\n"
    (tmp_path / "tetrahedra/one.off").write_text(f"OFF\n4 4 0\n{corners}3 0 2 1\n3 0 1 3\n3 1 2 3\n3 0 3 2\n")
    (tmp_path / "scene.yaml").write_text(yaml.safe_dump(sphere_scene))
    mishape.generate(tmp_path / "scene.yaml", tmp_path / "d")
    before = files(tmp_path / "d")
    shutil.rmtree(tmp_path / "tetrahedra")
    altered(tmp_path / "d")
    assert repair(mishape.open_dataset(tmp_path / "d"), workers=2) == ["shards/000001"]
    assert files(tmp_path / "d") == before
    copy = next((tmp_path / "d/library").glob("*/vertices.npy"))
    os.truncate(copy, 100)
    with pytest.raises(mishape.DatasetError, match="library 'tetrahedra' cannot be used"):
        repair(mishape.open_dataset(tmp_path / "d"))
    assert copy.is_file()


def test_what_dataset_json_says_is_not_repaired(library_scene: Path, tmp_path: Path) -> None:
    mishape.generate(library_scene, tmp_path / "d")
    path = tmp_path / "d/dataset.json"
    path.write_text(path.read_text().replace('"background": 10', '"background": 11'))
    before = files(tmp_path / "d")
    with pytest.raises(mishape.DatasetError, match=r"Nothing but dataset\.json says what to make: put back what it"):
        repair(mishape.open_dataset(tmp_path / "d"))
    assert files(tmp_path / "d") == before


# ---- for those who sell ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("CC-BY-NC-SA-4.0", "may not be used commercially: its licence is CC-BY-NC-SA-4.0. Use another source, or"),
        ("Not for commercial use", "may not be used commercially: its licence is Not for commercial use."),
        ("no commercial use", "may not be used commercially: its licence is no commercial use."),
        ("for non-commercial use", "may not be used commercially: its licence is for non-commercial use. Use another"),
        ("", "does not say what its licence is: give its source a licence in the scene, or leave out --commercial-ok"),
        ("CC-BY-4.0", None),
        ("CC0", None),
    ],
)
def test_non_commercial_shapes_are_refused(
    licence: str, said: str | None, run: Run, sphere_scene: dict[str, Any], tmp_path: Path
) -> None:
    corners = "0 0 0\n500 0 0\n0 500 0\n0 0 500\n"
    (tmp_path / "one.off").write_text(f"OFF\n4 4 0\n{corners}3 0 2 1\n3 0 1 3\n3 1 2 3\n3 0 3 2\n")
    shape = {"kind": "em_mesh", "library": "one.off", "licence": licence}
    sphere_scene["objects"].append({"shape": shape})
    (tmp_path / "scene.yaml").write_text(yaml.safe_dump(sphere_scene))
    code, _, err = run(
        "generate", str(tmp_path / "scene.yaml"), "-o", str(tmp_path / "d"), "--commercial-ok", "--workers", "1"
    )
    if said is None:
        assert code == 0, err
    else:
        assert code == 1
        assert said in err
        assert not (tmp_path / "d").exists()


# ---- with plugins that are gone --------------------------------------------------------------------------------------
def test_a_missing_plugin_is_named_with_its_version(run: Run, fragile: Path) -> None:
    assert run("generate", "scene.yaml", "-o", "d", "--plugin", "fragile.py", "--workers", "1")[0] == 0
    path = Path("d/dataset.json")
    manifest = json.loads(path.read_text())
    (made_with,) = (version for name, version in manifest["versions"].items() if name.endswith("fragile"))
    path.write_text(path.read_text().replace('"mishape_plugin_fragile"', '"acme-scopes"'))
    named = f"it was made with acme-scopes {made_with[:12]}, not installed here (pip install acme-scopes=={made_with})"
    code, _, err = run("verify", "d", "--plugin", "fragile.py")
    assert (code, err) == (1, f"error: no sample can be made anew: {named}; all files are as they were written\n")
    code, _, err = run("verify", "d", "--repair", "--plugin", "fragile.py")
    assert (code, err) == (1, f"error: 'd' cannot be repaired: {named}\n")


# ---- on a disk that is full ------------------------------------------------------------------------------------------
FULL = """
import resource, signal, sys
from mishape.cli import main

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write beyond the limit is refused as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
main(sys.argv[2:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of resources")
@pytest.mark.parametrize(("limit", "made"), [(100, 0), (30_000, 0), (250_000, 4)])
def test_a_disk_that_is_full_in_mid_shard_and_freed(
    limit: int, made: int, sphere_scene: dict[str, Any], tmp_path: Path
) -> None:
    """No file may grow beyond the limit: of the first samples' emitters, of the stacks, of the last shard's stack."""
    sphere_scene["dataset"]["shard_size"] = 2 if limit < 200_000 else 8
    (tmp_path / "scene.yaml").write_text(yaml.safe_dump({**sphere_scene, "samples": 12}))
    mishape.generate(tmp_path / "scene.yaml", tmp_path / "whole")
    command = ["generate", str(tmp_path / "scene.yaml"), "-o", str(tmp_path / "d"), "--workers", "1"]
    full = subprocess.run([sys.executable, "-c", FULL, str(limit), *command], capture_output=True, text=True)
    assert full.returncode == 1, full.stderr
    assert "error: the disk is full: " in full.stderr
    assert "free some space and give the same command again to go on" in full.stderr
    assert "Traceback" not in full.stderr
    assert not list(tmp_path.rglob("*.part"))
    assert subprocess.run([sys.executable, "-m", "mishape", *command], capture_output=True).returncode == 0
    assert files(tmp_path / "d") == files(tmp_path / "whole")
