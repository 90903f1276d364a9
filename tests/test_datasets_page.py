"""docs/datasets.md: its reader, its tree, its commands; the recipes of the paper's datasets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from jsonschema import Draft7Validator

import mishape
from mishape.engine import registry
from mishape.engine.geometry import PERSPECTIVES
from tests.conftest import Run

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
RECIPES = sorted((ROOT / "benchmarks/scenes").glob("*.yaml"))
ALONE = """
import importlib.abc, sys

class Nothing_else(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("mishape", "pydantic", "scipy", "trimesh", "torch"):
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Nothing_else())
"""
TELL = """
import json
found = list(samples(FOLDER))
print(json.dumps([[r, {n: [list(a.shape), a.dtype.str, float(a.sum())] for n, a in d.items()}] for r, d in found]))
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> mishape.Dataset:
    """A dataset with everything that the page names."""
    document = {
        "mishape": 1,
        "samples": 5,
        "objects": [
            {"shape": {"kind": "em_mesh", "library": "neuropil"}},
            {"shape": {"kind": "tube", "length_nm": {"$uniform": [900, 1500]}, "radius_nm": 120}},
        ],
        "views": {
            "epi": {
                "grid": {"shape": [2, 24, 20], "pixel_nm": 100, "z_step_nm": 300},
                "microscope": {"kind": "epi", "preset": "epi2"},
                "noise": {"kind": "poisson", "background": 10},
            }
        },
        "truths": {
            "masks_2d": {},
            "masks_3d": {"voxel_nm": 80},
            "emitters": {},
            "mesh": {},
            "occupancy": {"points": 50},
        },
        "dataset": {"shard_size": 2},
    }
    return mishape.generate(mishape.load_spec(document), tmp_path_factory.mktemp("page") / "d")


def test_the_reader_of_the_page_needs_numpy_and_tifffile_alone(dataset: mishape.Dataset) -> None:
    (reader,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    code = f"{ALONE}\n{reader}\n{TELL}".replace("FOLDER", repr(str(dataset.folder)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 5
    for (record, arrays), item in zip(found, dataset, strict=True):
        assert record == item.record
        expected = {n: [list(a.shape), a.dtype.str, float(a.sum())] for n, a in item.arrays.items()}
        assert arrays == expected


def test_the_page_names_every_file(dataset: mishape.Dataset) -> None:
    tree = re.search(r"```\n(dataset\.json.*?)```", PAGE, re.S)
    assert tree
    named = {line.split()[0] for line in tree[1].splitlines()}
    assert named >= {"dataset.json", "dataset.lock", "shards/000000/", "shapes/", "shard.json", "library/NAME.json"}
    top = {path.name for path in dataset.folder.iterdir()}
    assert top == {"dataset.json", "shards", "library", "README.md", "report.html"}
    shard = {path.name for path in (dataset.folder / "shards/000000").iterdir()}
    tables = {f"emitters{end}" for end in (".npy", ".offsets.npy")}
    stacks = {f"epi.{kind}.ome.tif" for kind in ("image", "masks_2d", "masks_3d")}
    assert shard == {"samples.jsonl", "shard.json", "shapes", *stacks, *tables}


def test_every_json_file_keeps_its_schema(dataset: mishape.Dataset) -> None:
    schema = json.loads((ROOT / "schemas/dataset.schema.json").read_text())
    parts = {name: {"$ref": f"#/definitions/{name}"} for name in ("shard", "library", "record")}

    def check(part: str, content: Any) -> None:
        own = schema if part == "dataset" else {"definitions": schema["definitions"], **parts[part]}
        Draft7Validator.check_schema(own)
        Draft7Validator(own).validate(content)

    check("dataset", json.loads((dataset.folder / "dataset.json").read_text()))
    for path in dataset.folder.glob("shards/*/shard.json"):
        check("shard", json.loads(path.read_text()))
    (library,) = dataset.folder.glob("library/*.json")
    check("library", json.loads(library.read_text()))
    for record in dataset.records():
        check("record", record)
    check("record", {"index": 3, "failed": "why"})
    strange = {**next(dataset.records()), "split": 3}
    with pytest.raises(Exception, match=r"3 is not of type 'string'|is not valid under any"):
        check("record", strange)


def test_the_page_names_every_option_and_layout(run: Run) -> None:
    for layout in registry.kinds("exporters"):
        assert f"| `{layout}` |" in PAGE
    options = set(re.findall(r"--[a-z][a-z-]+", PAGE)) - {"--array", "--cpus-per-task", "--nthreads"}
    known = "".join(run(verb, "--help")[1] for verb in ("generate", "verify", "merge", "export"))
    assert {option for option in options if option not in known} == set()


def test_the_card_says_what_is_in_it(dataset: mishape.Dataset) -> None:
    card = (dataset.folder / "README.md").read_text()
    for text in (
        "5 samples of 1 view(s), 10 objects",
        "| all | 5 | ",
        "| epi | epi, poisson | 2 x 24 x 20 | 100 | -150, 150 | 2 |",
        "| https://github.com/RangamaniLabUCSD/spatial_mito_model@cee1b81 | CC-BY-4.0 | 5 |",
        "Please cite: Garcia et al. 2023",
        "| tube | none needed | 5 |",
        "| epi: expected photons per sample | ",
        f"SHA-256 of the scene: `{dataset.manifest.spec_hash}`",
    ):
        assert text in card


# ---- the recipes -----------------------------------------------------------------------------------------------------
SMALL = {"mitonetwork": {"samples": 1, "grid": [1, 256, 256], "count": 2, "scatter_nm": [7000, 7000, 300]}}


@pytest.mark.parametrize("recipe", RECIPES, ids=[path.stem for path in RECIPES])
def test_a_recipe_runs_small(recipe: Path, run: Run, folder: Path) -> None:
    scene = yaml.safe_load(recipe.read_text())
    small = SMALL.get(recipe.stem, {})
    for thing in scene["objects"]:
        thing.update({key: small[key] for key in ("count",) if key in small})
        thing["pose"].update({key: small[key] for key in ("scatter_nm",) if key in small})
    for view in scene["views"].values():
        view["grid"]["shape"] = small.get("grid", view["grid"]["shape"])
    Path("scene.yaml").write_text(yaml.safe_dump(scene))
    code, _, err = run("generate", "scene.yaml", "-o", "d", "--samples", str(small.get("samples", 3)), "--workers", "1")
    assert code == 0, err
    dataset = mishape.open_dataset("d")
    for item in dataset:
        for view in scene["views"]:
            assert np.ptp(item[f"{view}.image"]) > 0
    assert recipe.read_text().splitlines()[1].startswith(f"# {recipe.stem}: ")


@pytest.mark.parametrize("name", ["mitostack", "mitoimage"])
def test_every_shape_is_shown_from_six_perspectives(name: str) -> None:
    """As their first lines say: 6 N samples show each of N shapes from each perspective, in the splits' shares."""
    spec = mishape.load_spec(ROOT / f"benchmarks/scenes/{name}.yaml")
    shapes = [entry.id for entry in mishape.open_library("neuropil")]
    assert spec.samples == 6 * len(shapes)
    things = [spec.scene(n).objects[0] for n in range(spec.samples)]
    seen = Counter((thing.shape_id, thing.pose.rotation) for thing in things)
    assert seen == Counter((id, rotation) for id in shapes for rotation in PERSPECTIVES)
    splits = Counter(spec.scene(n).split for n in range(spec.samples))
    assert splits == {"train": 18, "val": 6, "test": 6}


def test_the_clean_twin_is_not_clipped(run: Run, folder: Path) -> None:
    """Its counts are 20 times the photons that are expected of the noisy one, saturated nowhere."""
    code, _, err = run("generate", str(ROOT / "benchmarks/scenes/mitorestore.yaml"), "-o", "d", "--samples", "6")
    assert code == 0, err
    for item in mishape.open_dataset("d"):
        clean, views = item["clean.image"].astype(np.float64), item.record["views"]
        assert views["clean"]["saturated"] == views["sharp"]["saturated"] == 0
        assert clean.sum() / 20 == pytest.approx(views["noisy"]["photons"], rel=0.01)
        mean = 100 + (clean.mean() / 20 + 5) * 0.9 / 0.7
        assert item["noisy.image"].mean() == pytest.approx(mean, rel=0.01)


def test_there_are_the_paper_s_recipes() -> None:
    names = "mitostack mitoimage mitoseg mitoseg-tubes mitoseg-tube-matched mitopair mitorestore mitonetwork"
    assert {*names.split()} == {path.stem for path in RECIPES}


def test_a_dry_run_makes_nothing(run: Run, folder: Path) -> None:
    code, out, _ = run(
        "generate", str(ROOT / "benchmarks/scenes/mitostack.yaml"), "-o", "d", "--dry-run", "--samples", "600"
    )
    assert code == 0
    said = re.fullmatch(
        r"600 sample\(s\), \d+ worker\(s\): about [\d.]+ (s|min), ([\d.]+) MB\n"
        r"measured on \d+ of them: [\d.]+ s to set up, then [\d.]+ m?s and ([\d.]+) kB a sample\n",
        out,
    )
    assert said, out
    assert not list(folder.iterdir())
    assert float(said[2]) == pytest.approx(0.6 * float(said[3]), rel=0.02)
    raw_kb = 3 * 128 * 128 * (2 + 2) / 1000
    assert raw_kb < float(said[3]) < 1.2 * raw_kb


def test_a_dry_run_minds_the_options_of_the_run(run: Run, folder: Path, sphere_scene: dict[str, Any]) -> None:
    """What a run would refuse or leave out, a dry run does too."""
    thing = sphere_scene["objects"][0]
    thing["pose"] = {"gap_nm": 1000.0, "scatter_nm": [10, 10, 0]}
    Path("crowd.yaml").write_text(yaml.safe_dump(sphere_scene))
    plain = ("generate", "crowd.yaml", "-o", "d", "--dry-run", "--workers", "1")
    code, _, err = run(*plain)
    assert code == 1
    assert "no room for object" in err
    code, out, err = run(*plain, "--skip-errors")
    assert (code, err) == (0, "")
    assert out.startswith("5 sample(s), 1 worker(s): about ")
    shape = replace(next(iter(mishape.open_library("neuropil"))).shape(), licence="CC-BY-NC-4.0")
    mishape.write_library("mine", [shape], {"name": "mine", "source": "", "licence": "", "citation": ""})
    sphere_scene["objects"] = [{"shape": {"kind": "em_mesh", "library": "mine"}}]
    Path("crowd.yaml").write_text(yaml.safe_dump(sphere_scene))
    code, _, err = run(*plain, "--commercial-ok")
    assert code == 1
    assert "may not be used commercially" in err
    assert not Path("d").exists()


def test_a_recipe_takes_another_library(run: Run, folder: Path) -> None:
    shapes = [entry.shape() for entry in mishape.open_library("neuropil")][:3]
    mishape.write_library("mine", shapes, {"name": "mine", "source": "", "licence": "", "citation": ""})
    for name in ("mitostack", "mitoseg-tube-matched"):
        recipe = str(ROOT / f"benchmarks/scenes/{name}.yaml")
        code, _, err = run("generate", recipe, "-o", name, "--library", "mine", "--samples", "2", "--workers", "1")
        assert code == 0, err
        (library,) = mishape.open_dataset(name).libraries().values()
        assert len(library) == 3
    recipe = str(ROOT / "benchmarks/scenes/mitoseg-tubes.yaml")
    code, _, err = run("generate", recipe, "-o", "no", "--library", "mine", "--samples", "2")
    assert code == 2
    assert err.endswith("no object takes its shape from a library: leave --library out\n")


def test_a_recipe_takes_a_set_of_3dmsl(run: Run, folder: Path) -> None:
    """As it is downloaded: folders of instances, imported as a library."""
    assert run("export", "neuropil", "-o", "set", "--layout", "3dmsl", "--points", "100", "--cloud", "100")[0] == 0
    assert run("import", "set", "-o", "shapes", "--layout", "3dmsl")[0] == 0
    recipe = str(ROOT / "benchmarks/scenes/mitoimage.yaml")
    code, _, err = run("generate", recipe, "-o", "d", "--library", "shapes", "--samples", "3", "--workers", "1")
    assert code == 0, err
    (library,) = mishape.open_dataset("d").libraries().values()
    assert [entry.id for entry in library] == [entry.id for entry in mishape.open_library("neuropil")]
