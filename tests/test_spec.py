"""Reading scenes: defaults, every complaint with its place, splits, groups, and only SpecError for any document."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mishape.engine import registry
from mishape.engine.component import Component
from mishape.engine.errors import SpecError
from mishape.engine.grid import Grid
from mishape.engine.record import record_of
from mishape.engine.scene import Scene
from mishape.engine.shape_check import ShapeCheck
from mishape.engine.simulate import simulate
from mishape.engine.spec import load_spec

SPHERE = "{kind: implicit, form: sphere, radius_nm: 300}"
LIBRARY = "{kind: em_mesh, library: neuropil}"
TEXT = f"""\
mishape: 1
objects:
  - shape: {SPHERE}
views:
  epi:
    grid: {{shape: [1, 24, 24], pixel_nm: 109}}
    microscope: {{kind: epi, preset: epi1}}
"""
SPLITS = "dataset: {splits: {train: 0.6, val: 0.2, test: 0.2}}\n"


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path that the scene is written to, named as messages name it."""
    monkeypatch.chdir(tmp_path)
    return Path("scene.yaml")


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert caught.value.exit_code == 2
    return caught.value.problems


def spec_of(text: str) -> Any:
    from mishape.engine.yaml_marks import parse

    return load_spec(parse(text, "scene.yaml")[0])


def test_a_scene_needs_only_format_objects_and_views(scene: Path) -> None:
    scene.write_text(TEXT, encoding="utf-8")
    spec = load_spec(scene)
    assert (spec.seed, spec.samples, spec.head.dataset.shard_size) == (0, 1, 64)
    assert spec.head.dataset.splits == {"all": 1.0}
    first = spec.scene(0)
    thing, view = first.objects[0], first.views["epi"]
    assert (thing.labeler.kind, thing.channel, thing.pose.rotation, thing.pose.center_nm) == (
        "surface",
        "main",
        "0",
        (0, 0, 0),
    )
    assert (view.noise.kind, view.montage, view.sees, first.truths) == ("none", (1, 1), None, {})


def test_all_errors_at_once_with_their_places(scene: Path) -> None:
    text = """\
mishape: 1
seed: -1
samples: many
truth: {}
objects:
  - cout: 2
    shape: {kind: implicit, form: sphere, radius_nm: big}
views:
  epi:
    grid: {shape: [1, 24], pixl_nm: 109}
    microscope: {kind: epi, preset: epi1, na: 3}
    noise: {kind: poisson, background: 100, qe: 2}
  con:
    grid: {shape: [1, 24, 24], pixel_nm: 109}
    microscope: {kind: confocl}
"""
    assert problems(scene, text) == [
        "scene.yaml:4:1: truth: unknown key 'truth': did you mean 'truths'? "
        "(known: dataset, mishape, objects, samples, seed, truths, views)\n    truth: {}",
        "scene.yaml:6:5: objects.0.cout: unknown key 'cout': did you mean 'count'? "
        "(known: channel, count, labeler, pose, repeat_each, shape)\n      - cout: 2",
        "scene.yaml:2:1: seed: -1 is too small: must be at least 0 (seed of all random streams)\n    seed: -1",
        "scene.yaml:3:1: samples: 'many' is not a whole number (number of samples)\n    samples: many",
        "scene.yaml:7:43: objects.0.shape.radius_nm: 'big' is not a number (radius of the sphere, of the torus's tube "
        "or of the capsule, nm, up to 1e6)\n        shape: {kind: implicit, form: sphere, radius_nm: big}",
        "scene.yaml:10:12: views.epi.grid.shape.2: item 3 is missing (number of planes, rows and columns (Z, Y, X))\n"
        "        grid: {shape: [1, 24], pixl_nm: 109}",
        "scene.yaml:10:5: views.epi.grid.pixel_nm: required key is missing (edge of a square pixel in object space, "
        "nm)\n        grid: {shape: [1, 24], pixl_nm: 109}",
        "scene.yaml:10:28: views.epi.grid.pixl_nm: unknown key 'pixl_nm': did you mean 'pixel_nm'? "
        "(known: pixel_nm, planes_nm, shape, z_step_nm)\n        grid: {shape: [1, 24], pixl_nm: 109}",
        "scene.yaml:11:43: views.epi.microscope.na: 3 is too large: must be below 1.6 (numerical aperture)\n"
        "        microscope: {kind: epi, preset: epi1, na: 3}",
        "scene.yaml:12:45: views.epi.noise.qe: 2 is too large: must be at most 1 (quantum efficiency, photoelectrons "
        "per photon, above 0 and at most 1)\n        noise: {kind: poisson, background: 100, qe: 2}",
        "scene.yaml:15:18: views.con.microscope.kind: unknown microscope kind 'confocl': did you mean 'confocal'? "
        "(known: confocal, epi, measured, spinning_disk)\n        microscope: {kind: confocl}",
    ]


GRID, EPI = "{shape: [1, 24, 24], pixel_nm: 109}", "{kind: epi, preset: epi1}"
ONE_ERROR: dict[str, tuple[tuple[str, ...], str]] = {
    "a list": ((TEXT, "- 1\n"), "1:1: [1] is not a scene: expected a mapping with mishape, objects and views"),
    "no format": (("mishape: 1\n", ""), "1:1: required key 'mishape' is missing: begin the file with mishape: 1"),
    "newer format": (
        ("mishape: 1", "mishape: 2"),
        "1:1: mishape: format 2 is newer than this mishape reads (1): upgrade mishape",
    ),
    "true format": (
        ("mishape: 1", "mishape: yes"),
        "1:1: mishape: 'yes' is not a version of the format: write mishape: 1",
    ),
    "empty objects": ((f"\n  - shape: {SPHERE}", ""), "2:1: objects: null is not a list"),
    "text object": (
        (f"shape: {SPHERE}", "tube"),
        "3:5: objects.0: 'tube' is not an object: expected a mapping with 'shape'",
    ),
    "drawn object": (
        (f"shape: {SPHERE}", "{$choice: [{shape: tube}]}"),
        "3:5: objects.0: an object is not drawn as a whole: draw its shape, or its count from 0",
    ),
    "engine's key": (
        ("- shape", "- shape_id: mito01\n    shape"),
        "3:5: objects.0.shape_id: unknown key 'shape_id': did you mean 'shape'? "
        "(known: channel, count, labeler, pose, repeat_each, shape)",
    ),
    "text view": (
        (f"\n    grid: {GRID}\n    microscope: {EPI}", " hello"),
        "5:3: views.epi: 'hello' is not a mapping of keys to values",
    ),
    "drawn view": (
        (f"\n    grid: {GRID}\n    microscope: {EPI}", " {$choice: [{}]}"),
        "5:3: views.epi: views are the same for all samples: draw inside a microscope or a noise",
    ),
    "view's name": (
        ("epi:\n", "2d:\n"),
        "5:3: views.2d: '2d' is not a name: give a letter, then letters, digits, _ or -, 64 at most",
    ),
    "drawn grid": (
        ("109", "{$uniform: [50, 100]}"),
        "6:32: views.epi.grid.pixel_nm: grid is the same for all samples: no draw here",
    ),
    "planes": (("[1,", "[3,"), "6:5: views.epi.grid: 3 planes need z_step_nm or planes_nm"),
    "both planes": (
        ("109", "109, z_step_nm: 9, planes_nm: [0]"),
        "6:5: views.epi.grid: give z_step_nm or planes_nm, not both",
    ),
    "number of planes": (
        ("109", "109, planes_nm: [0, 9]"),
        "6:5: views.epi.grid: planes_nm lists 2 planes but shape has 1: make them equal",
    ),
    "quoted pixel": (
        ("109", "'109'"),
        "6:32: views.epi.grid.pixel_nm: '109' is not a number (edge of a square pixel in object space, nm)",
    ),
    "huge grid": (
        ("[1, 24, 24]", "[9999, 9999, 9999]"),
        "6:5: views.epi.grid: (9999, 9999, 9999) has more than 8589934592 pixels: make the grid smaller",
    ),
    "unknown kind": (
        ("kind: epi", "kind: epy"),
        "7:18: views.epi.microscope.kind: unknown microscope kind 'epy': did you mean 'epi'? "
        "(known: confocal, epi, measured, spinning_disk)",
    ),
    "no kind": (
        ("kind: epi, ", ""),
        "7:5: views.epi.microscope: required key 'kind' is missing: choose one of "
        "confocal, epi, measured, spinning_disk",
    ),
    "kind of wrong type": (("kind: epi", "kind: 3"), "7:5: views.epi.microscope: kind 3 is not text"),
    "no component": (
        (EPI, "3"),
        "7:5: views.epi.microscope: 3 is not a mapping with a 'kind': choose one of "
        "confocal, epi, measured, spinning_disk",
    ),
    "unknown preset": (
        ("epi1", "epi3"),
        "7:29: views.epi.microscope.preset: 'epi3' is not known: did you mean 'epi2'? (known: epi1, epi2, sekh2021)",
    ),
    "misspelt key": (
        ("preset: epi1", "preset: epi1, exitation_nm: 500"),
        "7:43: views.epi.microscope.exitation_nm: unknown key 'exitation_nm': did you mean 'excitation_nm'? "
        "(known: coverslip_design_index, coverslip_design_thickness_um, coverslip_index, coverslip_thickness_um, "
        "depth_nm, emission_nm, emission_spectrum, excitation_nm, immersion_design_index, immersion_index, kind, "
        "magnification, model, na, preset, quality, sample_index, sampling, working_distance_um)",
    ),
    "wrong type": (
        ("epi1", "epi1, na: true"),
        "7:43: views.epi.microscope.na: true is not a number (numerical aperture)",
    ),
    "not a number": (
        ("epi1", "epi1, na: .nan"),
        "7:43: views.epi.microscope.na: nan is not a finite number (numerical aperture)",
    ),
    "two values": (
        ("epi1", "epi1, na: 1.55"),
        "7:5: views.epi.microscope: na 1.55 must be below immersion_index 1.515: no steeper ray leaves that medium",
    ),
    "form": ((", radius_nm: 300", ""), "3:5: objects.0.shape: a sphere needs radius_nm: give radius_nm"),
    "missing library": (
        (SPHERE, "{kind: em_mesh, library: nowhere}"),
        "3:5: objects.0.shape: library 'nowhere' is neither a packaged library (known: neuropil) nor a file or folder: "
        "'{folder}/nowhere' does not exist",
    ),
    "unknown id": (
        (SPHERE, "{kind: em_mesh, library: neuropil, ids: [mito1]}"),
        "3:5: objects.0.shape: library 'neuropil' has no shape 'mito1': did you mean 'mito11'? "
        "(known: mito01, mito04, mito09, mito10, mito11)",
    ),
    "unknown channel": (
        (f"grid: {GRID}", f"grid: {GRID}\n    sees: {{mian: 1}}"),
        "7:12: views.epi.sees.mian: no object has this channel: did you mean 'main'? (known: main)",
    ),
    "rotation": (
        ("- shape", "- pose: {rotation: x45}\n    shape"),
        "3:12: objects.0.pose.rotation: 'x45' is not a rotation: "
        "(known: 0, flat, uniform, x180, x90, y180, y90, z90), or three Euler angles",
    ),
    "endless rotation": (
        ("- shape", "- pose: {rotation: [.inf, 0, 0]}\n    shape"),
        "3:12: objects.0.pose.rotation: [inf, 0, 0] is not a rotation: give [alpha, beta, gamma] in degrees, or a name",
    ),
    "drawn optics_pool": (
        ("    microscope", "    optics_pool: {$integer: [1, 2]}\n    microscope"),
        "7:5: views.epi.optics_pool: optics_pool is the same for all samples: no draw here",
    ),
    "drawn repeat_each": (
        ("- shape", "- repeat_each: {$integer: [1, 2]}\n    shape"),
        "3:5: objects.0.repeat_each: repeat_each is the same for all samples: no draw here",
    ),
    "montage": (
        (f"grid: {GRID}", f"grid: {GRID}\n    montage: [2, 2, 2]"),
        "7:5: views.epi.montage: 3 items given (rows and columns of independent fields that are tiled before noise): "
        "expected at most 2",
    ),
    "truth": (
        ("mishape: 1\n", "mishape: 1\ntruths: {mask_2d: {}}\n"),
        "2:10: truths.mask_2d.kind: unknown truth kind 'mask_2d': did you mean 'masks_2d'? "
        "(known: emitters, in_focus, masks_2d, masks_3d, mesh, occupancy)",
    ),
    "truth's kind": (
        ("mishape: 1\n", "mishape: 1\ntruths: {masks_2d: {kind: masks_3d}}\n"),
        "2:1: truths: masks_2d is said to be of kind 'masks_3d': leave out kind",
    ),
    "truth is no mapping": (
        ("mishape: 1\n", "mishape: 1\ntruths: {masks_2d: true}\n"),
        "2:1: truths: true is not a mapping of parameters: write masks_2d: {} for the defaults",
    ),
    "no share": (
        ("mishape: 1\n", "mishape: 1\ndataset: {splits: {a: 0}}\n"),
        "2:11: dataset.splits: {'a': 0.0} is not right: give each split a share >= 0, at least one above 0",
    ),
    "drawn seed": (
        ("mishape: 1\n", "mishape: 1\nseed: {$integer: [1, 2]}\n"),
        "2:1: seed: seed is the same for all samples: no draw here",
    ),
    "sbr with photons": (
        (
            *(EPI, EPI + "\n    noise: {kind: poisson, background: 9, sbr: 2}"),
            *(SPHERE, SPHERE + "\n    labeler: {kind: surface, photons: 50}"),
        ),
        "9:43: views.epi.noise.sbr: sbr scales the image by its own peak, so the photons that objects set would have "
        "no effect: remove sbr, or remove photons from the labelers",
    ),
    "misspelt draw": (
        ("300", "{$unifrom: [1, 2]}"),
        "3:43: objects.0.shape.radius_nm: unknown draw '$unifrom': did you mean '$uniform'? "
        "(known: $choice, $cycle, $integer, $loguniform, $normal, $uniform)",
    ),
    "too many objects": (
        ("- shape", "- count: 10000\n    shape", GRID, GRID + "\n    montage: [4, 4]"),
        "2:1: objects: 160000 objects in 16 field(s) are too many: at most 65535 in a sample",
    ),
}


@pytest.mark.parametrize("name", ONE_ERROR)
def test_one_error_one_message(name: str, scene: Path) -> None:
    changes, message = ONE_ERROR[name]
    text = TEXT
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    found = problems(scene, text)
    assert [problem.splitlines()[0] for problem in found] == [
        "scene.yaml:" + message.format(folder=Path.cwd()) if "folder" in message else "scene.yaml:" + message
    ]
    line = int(message.split(":")[0])
    assert found[0].splitlines()[1] == "    " + text.splitlines()[line - 1].rstrip()


def test_a_misspelt_required_key_is_named_beside_the_missing_one(scene: Path) -> None:
    known = "(known: dataset, mishape, objects, samples, seed, truths, views)"
    text = TEXT.replace("views", "veiws").replace("objects", "object").replace("mishape", "mishap")
    assert [problem.splitlines()[0] for problem in problems(scene, text)] == [
        "scene.yaml:1:1: required key 'objects' is missing",
        "scene.yaml:1:1: required key 'views' is missing",
        "scene.yaml:1:1: required key 'mishape' is missing: begin the file with mishape: 1",
        f"scene.yaml:1:1: mishap: unknown key 'mishap': did you mean 'mishape'? {known}",
        f"scene.yaml:2:1: object: unknown key 'object': did you mean 'objects'? {known}",
        f"scene.yaml:4:1: veiws: unknown key 'veiws': did you mean 'views'? {known}",
    ]


def test_both_ends_of_a_draw_are_checked(scene: Path) -> None:
    low, high = (
        line.splitlines()[0] for line in problems(scene, TEXT.replace("epi1", "epi1, na: {$uniform: [-1, 3]}"))
    )
    about = "(numerical aperture) (the draw $uniform can give this)"
    assert low == f"scene.yaml:7:43: views.epi.microscope.na: -1 is too small: must be above 0 {about}"
    assert high == f"scene.yaml:7:43: views.epi.microscope.na: 3 is too large: must be below 1.6 {about}"
    (only,) = problems(scene, TEXT.replace("300", "{$choice: [300, {$choice: [200, {$normal: [10, 5]}]}]}"))
    assert "radius_nm: -10.0 is too small" in only
    assert "(the draw $choice can give this)" in only
    (inside,) = problems(scene, TEXT.replace(SPHERE, "{$choice: [tube, {kind: tube, length_nm: -1}]}"))[:1]
    assert inside


def test_a_complaint_about_several_values_says_that_one_is_drawn(scene: Path) -> None:
    text = TEXT.replace("epi1", "epi1, na: {$normal: [1.4, 0.05]}")
    (only,) = problems(scene, text)
    assert only.splitlines()[0] == (
        "scene.yaml:7:5: views.epi.microscope: na 1.6 must be below immersion_index 1.515: no steeper ray leaves that "
        "medium (a draw below can give this)"
    )
    (missing,) = problems(scene, text.replace("kind: epi, ", ""))
    assert missing.splitlines()[0] == (
        "scene.yaml:7:5: views.epi.microscope: required key 'kind' is missing: choose one of "
        "confocal, epi, measured, spinning_disk"
    )


def test_every_library_of_a_choice_is_checked(scene: Path) -> None:
    (only,) = problems(
        scene, TEXT.replace(SPHERE, f"{{$choice: [{SPHERE}, {LIBRARY[:-1]}, ids: [mito01]}}]}}") + SPLITS
    )
    assert re.fullmatch(
        r"scene.yaml:3:\d+: objects.0.shape.ids: split '\w+' holds none of these ids \(.*\): "
        "give it one, or use fewer splits",
        only.splitlines()[0],
    )


def test_only_the_first_shapes_of_a_large_source_are_loaded() -> None:
    class Many(Component):
        kind: Literal["many"] = "many"
        size: int

        def keys(self) -> dict[str, str]:
            return {str(number): "" for number in range(self.size)}

        def sample(self, rng: object, id: str) -> None:
            loaded.append(id)
            if id == "3":
                raise ZeroDivisionError("no area")

    loaded: list[str] = []
    check = ShapeCheck()
    fault = "many cannot give shape '3': ZeroDivisionError: no area"
    assert check.fault(Many(size=200)) == check.fault(Many(size=200)) == fault
    assert loaded == [str(number) for number in range(200)]
    assert check.fault(Many(size=201)) == fault
    assert loaded[200:] == list("01234")


def test_files_that_cannot_be_read(scene: Path) -> None:
    with pytest.raises(SpecError, match=r"^scene file 'scene\.yaml' does not exist: give the path of a YAML file$"):
        load_spec(scene)
    scene.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match=r"^scene file 'scene\.yaml' cannot be read: 'utf-8' codec"):
        load_spec(scene)
    with pytest.raises(SpecError, match=r"^scene file '\.' cannot be read: .*Is a directory"):
        load_spec(Path())


def test_mappings_are_held_to_the_same_rules() -> None:
    assert spec_of(TEXT).scene(0).objects[0].shape.radius_nm == 300
    with pytest.raises(
        SpecError, match=r"^the scene is not plain data: Object of type PosixPath is not JSON serializable$"
    ):
        load_spec({"mishape": 1, "objects": [Path()], "views": {}})
    with pytest.raises(SpecError, match=r"^scene: views\.3: '3' is not a name"):
        load_spec({**json.loads(json.dumps(spec_of(TEXT).document)), "views": {3: {}}})


def test_a_grid_takes_numbers_of_numpy_but_no_text() -> None:
    grid = Grid((np.int64(1), 8, 8), np.float32(100))
    assert grid == Grid((1, 8, 8), 100.0)
    with pytest.raises(ValidationError):
        Grid(("1", 8, 8), 100)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Grid((1, 8, 8), np.True_)  # type: ignore[arg-type]


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution whose plugins are broken in three ways."""
    info = tmp_path / "site" / "stranger-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[mishape.microscopes]\nlost = stranger_lost:Lost\n"
        "verbless = stranger_mod:Verbless\nother = stranger_mod:Other\n"
    )
    (tmp_path / "site" / "stranger_mod.py").write_text(
        "from mishape.engine.component import Component\nfrom typing import Literal\n"
        "class Verbless(Component):\n    kind: Literal['verbless'] = 'verbless'\n"
        "class Other(Component):\n    kind: Literal['another'] = 'another'\n    def image(self): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(registry, "ledger", {})
    registry._entries.cache_clear()
    registry.load.cache_clear()
    yield
    monkeypatch.undo()
    registry._entries.cache_clear()
    registry.load.cache_clear()


def test_maps_that_do_not_fit_the_image_are_found_by_check(scene: Path) -> None:
    """The map's size, the image's, a montage's tiles and the region's origin are known before anything is made."""
    tifffile.imwrite(scene.parent / "offset.tif", np.full((24, 24), 100, np.float32))
    camera = "    noise: {kind: scmos, offset_map: offset.tif}\n"
    text = TEXT + camera
    scene.write_text(text)
    assert load_spec(scene).scene(0)
    for wrong, size in (
        (text.replace("24, 24", "30, 30"), "30 x 30 from row 0 and column 0"),
        (text.replace(camera, camera + "    montage: [2, 1]\n"), "48 x 24 from row 0 and column 0"),
    ):
        (only,) = problems(scene, wrong)
        assert only.splitlines()[0] == (
            f"scene.yaml:8:5: views.epi.noise: offset_map 'offset.tif' has 24 x 24 pixels, the image has {size} of the "
            "sensor (roi_origin_px): give a map of the image's size, or one of the sensor that holds this region"
        )


@pytest.mark.usefixtures("strangers")
def test_a_broken_plugin_is_told_from_an_absent_one(scene: Path) -> None:
    broken = {
        "lost": "microscopes plugin 'lost' of stranger is installed but broken: ModuleNotFoundError: "
        "No module named 'stranger_lost'",
        "verbless": "microscopes plugin 'verbless' of stranger lacks image()",
        "other": "microscopes plugin 'other' of stranger calls itself 'another': the two names must be equal",
        "absent": "unknown microscope kind 'absent': (known: confocal, epi, lost, measured, other, "
        "spinning_disk, verbless); if a file of yours defines it, add --plugin FILE",
    }
    for kind, reason in broken.items():
        (only,) = problems(scene, TEXT.replace(EPI, kind))
        assert only.splitlines()[0] == f"scene.yaml:7:5: views.epi.microscope.kind: {reason}"
    assert set(registry.ledger) == {"microscopes.lost", "microscopes.verbless", "microscopes.other"}
    assert spec_of(TEXT)  # and it disturbs nobody who does not ask for it


def test_too_few_keys_for_the_splits(scene: Path) -> None:
    splits = "dataset: {splits: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1}}\n"
    (only,) = problems(scene, TEXT.replace(SPHERE, LIBRARY) + splits)
    assert only == (
        "scene.yaml:8:11: dataset.splits: em_mesh has 5 split key(s) (mito01, mito04, mito09, mito10, mito11) for 6 "
        "splits (a, b, c, d, e, f): shapes of one key must stay together, so use fewer splits, or a library of more "
        "volumes (mishape prepare --regions 2,2,1 makes four of one)\n"
        "    dataset: {splits: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1}}"
    )


def test_no_shape_stands_in_two_splits_and_the_first_object_walks() -> None:
    text = TEXT.replace(SPHERE, LIBRARY + f"\n  - shape: {LIBRARY}\n    count: 2") + SPLITS
    spec = spec_of(text)
    by_split: dict[str, list[list[str]]] = {}
    for number in range(60):
        scene = spec.scene(number)
        by_split.setdefault(scene.split, []).append([thing.shape_id or "" for thing in scene.objects])
    assert set(by_split) == {"train", "val", "test"}
    used = {split: {name for names in rows for name in names} for split, rows in by_split.items()}
    assert sorted(name for names in used.values() for name in names) == [
        "mito01",
        "mito04",
        "mito09",
        "mito10",
        "mito11",
    ]
    for rows in by_split.values():
        walked = [row[0] for row in rows]
        cycle = list(dict.fromkeys(walked))
        assert walked == [cycle[i % len(cycle)] for i in range(len(walked))]


def test_a_sample_is_a_function_of_its_number_alone() -> None:
    text = TEXT.replace("300", "{$uniform: [100, 300]}").replace("- shape", "- count: {$integer: [0, 3]}\n    shape")
    few, many = spec_of(text), spec_of(text + "samples: 1000\n")
    assert [few.scene(i) for i in range(5)] == [many.scene(i) for i in reversed(range(5))][::-1]
    assert few.scene(0) != spec_of(text + "seed: 1\n").scene(0)
    assert few.scene(3).objects == [] or few.scene(3).objects[0].path == "objects.0.0"
    assert {len(few.scene(i).objects) for i in range(40)} == {0, 1, 2, 3}
    with pytest.raises(SpecError, match=r"^sample -1 does not exist: numbers start at 0$"):
        few.scene(-1)


def test_scenes_of_many_samples_share_what_is_not_drawn_and_are_the_same() -> None:
    spec = spec_of(
        """
        mishape: 1
        objects:
          - {count: {$integer: [0, 2]}, shape: {kind: em_mesh, library: neuropil}, pose: {rotation: uniform}}
          - {repeat_each: 2, shape: {kind: tube, length_nm: {$uniform: [900, 1200]}, radius_nm: 150}}
        views:
          a:
            grid: {shape: [1, 32, 32], pixel_nm: 100}
            microscope: {kind: epi, preset: {$choice: [epi1, epi2]}}
          b:
            grid: {shape: [1, 32, 32], pixel_nm: 100}
            microscope: {kind: epi, preset: epi2}
            noise: {kind: poisson}
            montage: [2, 1]
        truths: {masks_2d: {}}
        """
    )
    numbers = [5, *range(4), 11]
    together, alone = list(spec.scenes(numbers)), [spec.scene(number) for number in numbers]
    assert together == alone
    assert [one.model_dump_json(exclude_unset=True) for one in together] == [
        one.model_dump_json(exclude_unset=True) for one in alone
    ]
    assert all(one.views["b"] is together[0].views["b"] for one in together)
    assert len({id(one.views["a"]) for one in together}) == len(numbers)


def test_the_hash_leaves_samples_out() -> None:
    spec = spec_of(TEXT)
    assert spec.hash == spec_of(TEXT + "samples: 9\n").hash == spec.with_values(samples=4).hash
    assert len({spec.hash, spec_of(TEXT + "seed: 1\n").hash, spec.with_values(seed=2).hash}) == 3
    assert spec.with_values(samples=4, seed=2, shard_size=3).head.dataset.shard_size == 3


def test_repeat_each_keeps_the_shape_while_the_rest_differs() -> None:
    tube = "{kind: tube, length_nm: {$uniform: [1000, 2000]}, radius_nm: 100}"
    text = TEXT.replace("- shape", "- repeat_each: 3\n    pose: {center_nm: [{$uniform: [-9, 9]}, 0, 0]}\n    shape")
    spec = spec_of(text.replace(SPHERE, tube))
    scenes = [spec.scene(i) for i in range(6)]
    lengths = [scene.objects[0].shape.length_nm for scene in scenes]
    assert lengths[0] == lengths[1] == lengths[2] != lengths[3] == lengths[4] == lengths[5]
    assert len({scene.objects[0].pose.center_nm for scene in scenes}) == 6
    samples = [simulate(scene) for scene in scenes[:4]]
    ids = [sample.shapes[0].id for sample in samples]
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert (samples[0].sources[0].surface.vertices_nm == samples[1].sources[0].surface.vertices_nm).all()
    assert len(samples[0].emitters) != len(samples[1].emitters)


def test_a_pool_of_optics_is_taken_in_turn() -> None:
    """The microscope's draws are those of the first members; whatever else is drawn is each sample's own."""
    drawn = "{kind: epi, na: {$uniform: [1.2, 1.4]}, emission_nm: 600}"
    noise = "noise: {kind: poisson, background: {$uniform: [20, 70]}}"
    text = TEXT.replace("{kind: epi, preset: epi1}", drawn).replace("    microscope", f"    {noise}\n    microscope")
    alone, pooled = spec_of(text), spec_of(text.replace("    noise", "    optics_pool: 3\n    noise"))
    apertures = [scene.views["epi"].microscope.na for scene in pooled.scenes(range(7))]
    assert apertures == [alone.scene(i % 3).views["epi"].microscope.na for i in range(7)]
    assert len(set(apertures)) == 3
    backgrounds = [pooled.scene(i).views["epi"].noise.background for i in range(7)]
    assert backgrounds == [alone.scene(i).views["epi"].noise.background for i in range(7)]


def test_repeat_each_keeps_the_split_and_the_library_shape() -> None:
    text = TEXT.replace("- shape", "- repeat_each: 2\n    shape").replace(SPHERE, LIBRARY) + SPLITS
    scenes = [spec_of(text).scene(i) for i in range(20)]
    chosen = [(scene.split, scene.objects[0].shape_id) for scene in scenes]
    assert chosen[::2] == chosen[1::2]
    assert len(set(chosen)) == 5


def test_an_absent_first_object_does_not_upset_another_ones_groups() -> None:
    first = "- count: {$integer: [0, 1]}\n    shape: " + SPHERE + "\n  - repeat_each: 4\n    shape"
    spec = spec_of(
        TEXT.replace("- shape", first).replace(
            f"- repeat_each: 4\n    shape: {SPHERE}", f"- repeat_each: 4\n    shape: {LIBRARY}"
        )
    )
    chosen = [spec.scene(i).objects[-1].shape_id for i in range(24)]
    assert [chosen[i : i + 4] for i in range(0, 24, 4)] == [[chosen[i]] * 4 for i in range(0, 24, 4)]


def test_six_perspectives_of_one_shape() -> None:
    text = TEXT.replace("- shape", "- repeat_each: 6\n    pose: {rotation: {$cycle: perspectives}}\n    shape").replace(
        SPHERE, LIBRARY
    )
    scenes = [spec_of(text).scene(i) for i in range(12)]
    rotations = [scene.objects[0].pose.rotation for scene in scenes]
    assert rotations == ["0", "x90", "x180", "y90", "y180", "z90"] * 2
    ids = [scene.objects[0].shape_id for scene in scenes]
    assert (len(set(ids[:6])), len(set(ids[6:])), ids[0] == ids[6]) == (1, 1, False)


def test_montage_draws_every_field_anew() -> None:
    text = TEXT.replace(GRID, GRID + "\n    montage: [2, 3]").replace("300", "{$uniform: [100, 300]}")
    things = spec_of(text).scene(0).objects
    assert [thing.tile for thing in things] == list(range(6))
    assert len({thing.shape.radius_nm for thing in things}) == 6
    assert [thing.path for thing in things[:2]] == ["objects.0.0", "tile1.objects.0.0"]
    alone = spec_of(TEXT.replace("300", "{$uniform: [100, 300]}")).scene(0).objects[0]
    assert things[0] == alone


def test_no_objects_is_a_dark_image() -> None:
    for text in (TEXT.replace("- shape", "- count: 0\n    shape"), TEXT.replace(f"\n  - shape: {SPHERE}", " []")):
        sample = simulate(spec_of(text).scene(0))
        assert sample.scene.objects == []
        assert not sample.photons["epi"].any()


def test_a_channel_may_be_drawn_or_absent_from_a_sample() -> None:
    drawn = TEXT.replace("- shape", "- channel: {$choice: [red, green]}\n    shape")
    seen = drawn.replace(GRID, GRID + "\n    sees: {red: 1, green: 0.1}")
    assert {spec_of(seen).scene(i).objects[0].channel for i in range(20)} == {"red", "green"}
    absent = (
        TEXT.replace("- shape", "- count: {$integer: [0, 1]}\n    channel: red\n    shape")
        + "  red:\n    "
        + (f"grid: {GRID}\n    microscope: {EPI}\n    sees: {{red: 1}}\n")
    )
    assert {len(spec_of(absent).scene(i).objects) for i in range(20)} == {0, 1}


def test_the_resolved_scene_gives_the_same_sample() -> None:
    text = (
        TEXT.replace("300", "{$uniform: [100, 300]}").replace(
            "- shape", "- count: 2\n    pose: {rotation: uniform}\n    shape"
        )
        + "    noise: {kind: poisson, background: 10}\ntruths: {masks_2d: {}, emitters: }\n"
    )
    scene = spec_of(text).scene(2)
    plain = json.loads(json.dumps(scene.model_dump(mode="json", exclude_unset=True)))
    again = Scene.model_validate(plain)
    assert again == scene
    one, two = simulate(scene), simulate(again)
    assert (one.images["epi"] == two.images["epi"]).all()
    assert one.record == two.record == record_of(one)
    assert one.record["scene"] == plain


LEAVES = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        3,
        10**30,
        10**400,
        1.5,
        -1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "epi",
        "a\x00b",
        "�",
        [],
        {},
        [1, 2],
        [None],
        {"$uniform": [0, 1]},
        {"$choice": []},
        {"$uniform": None},
        {"$foo": 1},
        {"$choice": [{"$normal": [0, 1]}]},
        {"kind": "tube"},
        {"kind": 3},
        {"3": 3},
        {"$cycle": "perspectives"},
        {"$integer": [0, 10**20]},
        2**63,
        "/dev/null",
        "y" * 5000,
    ]
)
FULL: dict[str, Any] = {
    "mishape": 1,
    "seed": 1,
    "samples": 3,
    "objects": [
        {
            "count": {"$integer": [1, 2]},
            "repeat_each": 2,
            "channel": "main",
            "shape": {"kind": "implicit", "form": "sphere", "radius_nm": {"$uniform": [200, 300]}},
            "pose": {"rotation": "uniform", "center_nm": [0, {"$normal": [0, 10]}, 0], "origin": "own"},
            "labeler": {"kind": "surface", "density_per_um2": 100, "photons": 10},
        },
        {"shape": {"kind": "em_mesh", "library": "neuropil"}},
    ],
    "views": {
        "epi": {
            "grid": {"shape": [2, 8, 8], "pixel_nm": 100, "z_step_nm": 200},
            "microscope": {"kind": "epi", "preset": "epi1"},
            "noise": {"kind": "scmos", "roi_origin_px": [0, 0]},
            "sees": {"main": 1},
            "montage": [1, 2],
        }
    },
    "truths": {"masks_2d": {"definition": "blur"}},
    "dataset": {"shard_size": 2, "splits": {"a": 0.5, "b": 0.5}},
}


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


@given(
    st.lists(
        st.tuples(st.sampled_from(places(FULL)[1:]), LEAVES, st.sampled_from(["set", "delete", "add"])),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_only_spec_errors_escape(mutations: list[tuple[tuple[Any, ...], Any, str]]) -> None:
    document = copy.deepcopy(FULL)
    for path, leaf, how in mutations:
        node: Any = document
        try:
            for key in path[:-1]:
                node = node[key]
            if how == "set":
                node[path[-1]] = leaf
            elif how == "delete":
                del node[path[-1]]
            else:
                node[path[-1]]["extra"] = leaf
        except (KeyError, IndexError, TypeError):
            continue
    try:
        spec = load_spec(document)
        for number in range(3):
            spec.scene(number)
    except SpecError as error:
        assert all(error.problems)  # noqa: PT017 -- either outcome is right


def test_one_library_is_dealt_in_one_way_however_objects_narrow_it() -> None:
    library = {"kind": "em_mesh", "library": "neuropil"}
    some = {**library, "ids": ["mito01", "mito04", "mito09", "mito10"]}
    for seed in range(6):
        document = {
            "mishape": 1,
            "seed": seed,
            "objects": [{"shape": some}, {"shape": library}],
            "views": {
                "epi": {"grid": {"shape": [1, 8, 8], "pixel_nm": 100}, "microscope": {"kind": "epi", "preset": "epi1"}}
            },
            "dataset": {"splits": {"train": 0.6, "test": 0.4}},
        }
        spec = load_spec(document)
        used: dict[str, set[str | None]] = {"train": set(), "test": set()}
        for number in range(60):
            scene = spec.scene(number)
            used[scene.split] |= {thing.shape_id for thing in scene.objects}
            assert scene.objects[0].shape_id in some["ids"]
        assert not used["train"] & used["test"]


def every_shape(**changes: Any) -> dict[str, Any]:
    grid = {"shape": [1, 8, 8], "pixel_nm": 100}
    return {
        "mishape": 1,
        "samples": 20,
        "objects": [{"repeat_each": 2, "shape": {"kind": "em_mesh", "library": "neuropil"}}, {"shape": BALL}],
        "views": {"epi": {"grid": grid, "microscope": {"kind": "epi", "preset": "epi1"}}},
        "dataset": {"every_shape": True, "splits": {"train": 0.7, "val": 0.1, "test": 0.2}},
        **changes,
    }


BALL = {"kind": "implicit", "form": "sphere", "radius_nm": 200}


@given(st.integers(0, 2**40))
def test_every_shape_is_shown_once_before_any_again(seed: int) -> None:
    spec = load_spec(every_shape(seed=seed))
    shown = [(spec.scene(n).split, spec.scene(n).objects[0].shape_id) for n in range(20)]
    assert shown[::2] == shown[1::2]
    first, second = shown[:10:2], shown[10::2]
    assert len({id for _, id in first}) == 5
    assert {*first} == {*second}
    assert Counter(split for split, _ in first) == {"train": 3, "val": 1, "test": 1}


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ([{"shape": BALL}], "implicit makes shapes without end: leave every_shape out, or take shapes of a library"),
        (
            [
                {"repeat_each": 2, "shape": {"kind": "em_mesh", "library": "neuropil"}},
                {"repeat_each": 3, "shape": BALL},
            ],
            "the objects' repeat_each (2, 3) must divide that of the first",
        ),
        (
            [{"count": 0, "shape": {"kind": "em_mesh", "library": "neuropil"}}],
            "a sample has no first object: give its count at least 1",
        ),
    ],
)
def test_every_shape_that_cannot_be(objects: list[Any], said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(f"dataset.every_shape: {said}")):
        load_spec(every_shape(objects=objects))


def test_a_split_without_any_of_the_ids_is_refused() -> None:
    document = {
        "mishape": 1,
        "objects": [{"shape": {"kind": "em_mesh", "library": "neuropil", "ids": ["mito01"]}}],
        "views": {
            "epi": {"grid": {"shape": [1, 8, 8], "pixel_nm": 100}, "microscope": {"kind": "epi", "preset": "epi1"}}
        },
        "dataset": {"splits": {"train": 0.6, "test": 0.4}},
    }
    with pytest.raises(
        SpecError, match=r"objects\.0\.shape\.ids: split '\w+' holds none of these ids \(.*\): give it one"
    ):
        load_spec(document)
