"""The JSON Schemas for editors: valid draft 7, up to date, and of one mind with the reader."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from mishape.engine.manifest import manifest_of
from mishape.engine.schema import dataset_schema, scene_schema
from mishape.engine.spec import load_spec
from mishape.engine.yaml_marks import parse

ROOT = Path(__file__).parents[1]
SCENES = sorted([*ROOT.glob("examples/*.yaml"), ROOT / "mishape/plugins/verbs/demo.yaml"])
SCENE: dict[str, Any] = {
    "mishape": 1,
    "objects": [{"shape": {"kind": "implicit", "form": "sphere", "radius_nm": 300}}],
    "views": {"epi": {"grid": {"shape": [1, 8, 8], "pixel_nm": 100}, "microscope": {"kind": "epi", "preset": "epi1"}}},
}


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    return Draft7Validator(scene_schema())


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the scene with another value at a dotted path."""
    scene = copy.deepcopy(SCENE)
    node: Any = scene
    *above, last = path.split(".")
    for key in above:
        node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
    node[last] = value
    return scene


@pytest.mark.parametrize("arguments", [["scene"], ["dataset"]])
def test_committed_schemas_are_up_to_date(arguments: list[str]) -> None:
    """Run `python -m mishape schema > schemas/scene.schema.json` (and with `dataset`) when this fails."""
    made = subprocess.run(
        [sys.executable, "-m", "mishape", "schema", *arguments], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert made.stdout == (ROOT / f"schemas/{arguments[0]}.schema.json").read_text(encoding="utf-8")


def test_schemas_are_valid_draft_7() -> None:
    for schema in (scene_schema(), scene_schema(installed=True), dataset_schema()):
        Draft7Validator.check_schema(schema)
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        assert "$defs" not in json.dumps(schema)
        assert "prefixItems" not in json.dumps(schema)
        assert '"gt"' not in json.dumps(schema)  # pydantic, where a validator hides a bound


@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.name)
def test_our_scenes_are_valid(path: Path, validator: Draft7Validator) -> None:
    document = parse(path.read_text(encoding="utf-8"), path.name)[0]
    assert [error.message for error in validator.iter_errors(document)] == []


def test_a_manifest_is_valid() -> None:
    manifest = json.loads(manifest_of(load_spec(SCENE)).model_dump_json())
    assert [error.message for error in Draft7Validator(dataset_schema()).iter_errors(manifest)] == []


RIGHT = [
    ("seed", 3),
    ("objects", []),
    ("objects.0.count", {"$integer": [1, 4]}),
    ("objects.0.shape.radius_nm", {"$uniform": [100, 200]}),
    ("objects.0.shape.radius_nm", {"$choice": [100, {"$normal": [300, 10]}]}),
    ("objects.0.shape", {"$choice": [SCENE["objects"][0]["shape"], {"kind": "em_mesh", "library": "neuropil"}]}),
    ("objects.0.labeler", "volume"),
    ("objects.0.pose", {"rotation": {"$cycle": "perspectives"}, "center_nm": [0, {"$uniform": [-1, 1]}, 0]}),
    ("objects.0.pose", {"rotation": [0, 0, {"$uniform": [0, 360]}]}),
    ("objects.0.pose", {"rotation": 0}),
    ("views.epi.microscope", {"kind": "epi", "na": 1.4, "emission_nm": {"$uniform": [500, 600]}}),
    ("views.epi.microscope", {"kind": "epi", "preset": {"$choice": ["epi1", "epi2"]}}),
    ("views.epi.microscope.kind", {"$choice": ["epi", "epi"]}),
    ("views.epi.noise", {"kind": "scmos", "roi_origin_px": [0, {"$integer": [0, 9]}]}),
    ("views.epi.sees", {"main": 0.5}),
    ("views.epi.montage", [2, 2]),
    ("views.epi.grid", {"shape": [2, 8, 8], "pixel_nm": 100, "planes_nm": [0, 250]}),
    ("truths", {"masks_2d": {"definition": "blur"}, "masks_3d": {}, "mesh": None}),
    ("dataset", {"shard_size": 3, "splits": {"train": 0.5, "test": 0.5}}),
]
WRONG = [
    ("samplez", 3),
    ("mishape", 2),
    ("seed", -1),
    ("seed", "3"),
    ("seed", {"$integer": [0, 9]}),
    ("objects", {}),
    ("objects.0.shap", "tube"),
    ("objects.0.tile", 1),
    ("objects.0.count", 1.5),
    ("objects.0.count", {"$integer": [1.5, 2]}),
    ("objects.0.repeat_each", {"$integer": [1, 2]}),
    ("objects.0.shape.radius_mm", 3),
    ("objects.0.shape.radius_nm", "300"),
    ("objects.0.shape.radius_nm", -300),
    ("objects.0.shape.radius_nm", {"$unifrom": [1, 2]}),
    ("objects.0.shape.radius_nm", {"$uniform": [1, 2, 3]}),
    ("objects.0.shape.radius_nm", {"$uniform": [1, 2], "$choice": [1]}),
    ("objects.0.shape.kind", "sphere"),
    ("objects.0.shape", "sphere"),
    ("objects.0.pose", {"rotation": "x45"}),
    ("objects.0.pose", {"center_nm": [0, 0]}),
    ("views", {}),
    ("views.2d", SCENE["views"]["epi"]),
    ("views.epi.grid.pixel_nm", {"$uniform": [50, 100]}),
    ("views.epi.grid.shape", [8, 8]),
    ("views.epi.grid.shape", [1, 8, 8, 8]),
    ("views.epi.montage", [0, 1]),
    ("views.epi.sees", {"main": -1}),
    ("views.epi.microscope.kind", "eppi"),
    ("views.epi.microscope.preset", "epi3"),
    ("views.epi.microscope", {"kind": "epi", "na": 1.4}),
    ("views.epi.microscope.na", 3),
    ("truths", {"mask_2d": {}}),
    ("truths", {"masks_2d": {"definition": "blurr"}}),
    ("truths", {"masks_3d": {"voxel_nm": {"$uniform": [10, 20]}}}),
    ("truths", {"masks_2d": True}),
    ("dataset", {"splits": {"train": "0.5"}}),
]


@pytest.mark.parametrize(("path", "value"), RIGHT)
def test_schema_and_reader_accept(path: str, value: Any, validator: Draft7Validator) -> None:
    scene = changed(path, value)
    assert [error.message for error in validator.iter_errors(scene)] == []
    load_spec(scene)


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_schema_and_reader_refuse(path: str, value: Any, validator: Draft7Validator) -> None:
    from mishape.engine.errors import SpecError

    scene = changed(path, value)
    assert not validator.is_valid(scene)
    with pytest.raises(SpecError):
        load_spec(scene)


def test_descriptions_and_presets_reach_the_editor(validator: Draft7Validator) -> None:
    definitions = scene_schema()["definitions"]
    epi = definitions["microscopes.epi"]
    assert epi["description"].startswith("Widefield imaging")
    assert epi["properties"]["preset"]["anyOf"][0] == {"enum": ["epi1", "epi2", "sekh2021"]}
    assert epi["properties"]["na"]["description"].startswith("Numerical aperture")
    pixel = definitions["Grid"]["properties"]["pixel_nm"]
    assert pixel["description"] == "Edge of a square pixel in object space, nm; 1 to 100000."
    described = [name for name, field in definitions["noises.scmos"]["properties"].items() if "description" in field]
    assert set(described) == set(definitions["noises.scmos"]["properties"]) - {"kind"}
