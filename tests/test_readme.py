"""The README does what it says: its scene, its scripts and its commands are run as written.

Not here: `git clone`, `python3 dev.py` and `pip install` with the `mishape demo` after each; `test_packaging.py` runs
them, from this clone and this wheel in place of the address.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import mishape
from mishape.cli import main
from mishape.learn.overlap import dice

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", TEXT, flags=re.MULTILINE | re.DOTALL)
PICTURES = re.findall(r"!\[[^\]]*\]\((docs/[^)]+)\)", TEXT)
INSTALLING = ("git", "cd", "python3", "pip")


def blocks(language: str, containing: str = "") -> list[str]:
    found = [re.sub(rf"^{indent}", "", body, flags=re.M) for indent, name, body in BLOCKS if name == language]
    return [body for body in found if containing in body]


def run(command: str, folder: Path) -> None:
    words = shlex.split(command)
    program = {"mishape": [sys.executable, "-m", "mishape"], "python": [sys.executable]}[words[0]]
    done = subprocess.run([*program, *words[1:]], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what a clone has."""
    for name in ("examples", "tests", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_the_dataset_of_the_readme(folder: Path) -> None:
    (scene,) = blocks("yaml")
    (folder / "scene.yaml").write_text(scene)
    (commands,) = blocks("", "mishape check scene.yaml")
    for command in commands.splitlines():
        run(command, folder)
    scripts = [script for script in blocks("python") if "class Blur" not in script]
    assert len(scripts) == 3
    for script in scripts:
        done = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_the_error_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (scene,) = blocks("yaml")
    (error,) = blocks("", "error: scene.yaml")
    monkeypatch.chdir(tmp_path)
    Path("scene.yaml").write_text(scene.replace("{kind: epi, preset: epi1}", "{kind: epi, preset: epi1, na: 3}"))
    with pytest.raises(SystemExit) as stop:
        main(["check", "scene.yaml"])
    assert stop.value.code == 2
    shown = [" ".join(line.split()) for line in capsys.readouterr().err.splitlines()]
    assert shown == [" ".join(line.split()) for line in error.splitlines()]


def test_the_microscope_of_the_readme(folder: Path) -> None:
    from mishape.engine import registry
    from mishape.testing import check_microscope

    (source,) = blocks("python", "class Blur")
    (folder / "blur.py").write_text(source)
    (folder / "my_scene.yaml").write_text(
        (ROOT / "examples/01_one_tube.yaml").read_text().replace("kind: epi, preset: epi2", "kind: blur")
    )
    run("mishape render my_scene.yaml --plugin blur.py", folder)
    registry.add_file(folder / "blur.py")
    try:
        check_microscope(registry.load("microscopes", "blur")())
    finally:
        registry._from_files.pop(("microscopes", "blur"))
        registry._files.remove((folder / "blur.py").resolve())
        registry.load.cache_clear()


def test_the_other_commands_of_the_readme(folder: Path) -> None:
    (commands,) = blocks("", "mishape generate examples/03")
    for command in commands.splitlines():
        run(command, folder)
    run("mishape plugins", folder)
    run("mishape plugins epi", folder)


def test_the_datasets_of_the_readme(folder: Path) -> None:
    (commands,) = blocks("", "mishape generate benchmarks/scenes")
    for command in commands.splitlines():
        run(command, folder)
    assert len(mishape.open_dataset(folder / "mitoseg")) == 80
    assert (folder / "for-nnunet/Dataset001_mishape/imagesTr").is_dir()


def test_the_library_of_the_readme(folder: Path) -> None:
    (commands,) = blocks("", "mishape prepare")
    for command in commands.splitlines():
        if not command.startswith(INSTALLING):
            run(command, folder)
    assert len(mishape.open_library(folder / "shapes")) == 4


def test_the_segmentation_of_the_readme(folder: Path) -> None:
    pytest.importorskip("mishape_weights_mitoseg")
    (commands,) = blocks("", "mishape segment")
    for command in commands.splitlines():
        if not command.startswith(INSTALLING):
            run(command, folder)
    (true,) = (folder / "light").glob("*.epi.masks_2d.ome.tif")
    assert dice(tifffile.imread(folder / "light/mask.tif") > 0, tifffile.imread(true) > 0) > 0.6


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_is_made_by_the_command_below_it(picture: str, folder: Path) -> None:
    found = re.search(rf"\({re.escape(picture)}\)\n\n```\n(mishape .*)\n```", TEXT)
    assert found, "the command that makes a picture stands below it"
    run(found[1], folder)
    with Image.open(ROOT / picture) as committed, Image.open(folder / picture) as made:
        assert committed.size == made.size, "make the picture anew with the command below it"


def test_no_command_of_the_readme_is_left_out() -> None:
    starts = ("mishape ", "python ", *(f"{word} " for word in INSTALLING))
    commands = [line for body in blocks("") for line in body.splitlines() if line.startswith(starts)]
    installing = [line for line in commands if line.startswith(INSTALLING) or line.startswith("mishape demo")]
    assert installing == [
        "git clone https://github.com/mishape/mishape",
        "cd mishape",
        "python3 dev.py demo",
        "pip install .",
        "mishape demo -o demo",
        "pip install '.[em]'",
        "pip install '.[em,learn]' ./weights/mishape-weights-mitoseg",
    ]
    rest = [line.split(" ")[:2] for line in commands if line not in installing]
    assert rest == [
        ["mishape", "render"],
        ["mishape", "render"],
        ["mishape", "check"],
        ["mishape", "generate"],
        ["mishape", "verify"],
        ["mishape", "prepare"],
        ["mishape", "shapes"],
        *[["mishape", "generate"]] * 3,
        ["mishape", "verify"],
        ["mishape", "export"],
        ["mishape", "render"],
        ["mishape", "segment"],
        ["mishape", "psf"],
        ["mishape", "generate"],
        ["python", "examples/05_segmentation_pairs.py"],
    ]
    assert len(PICTURES) == 3


def test_the_plot_of_the_benchmarks_is_theirs() -> None:
    """The one other picture is that of RESULTS.md, which the command beside it writes."""
    (plot,) = re.findall(r"!\[[^\]]*\]\((?!docs/)([^)]+)\)", TEXT)
    results = (ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8")
    assert f"]({Path(plot).name})" in results
    assert "`python -m benchmarks.results`" in results
    assert "`python -m benchmarks.results`" in TEXT


@pytest.mark.parametrize(("row", "case"), [("widefield: per second", "epi2, 80 nm"), ("confocal", "con1, 70 nm")])
def test_the_rates_are_those_of_the_benchmarks(row: str, case: str) -> None:
    results = (ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8")
    (rates,) = re.findall(rf"^\| .*{row}.* \| (\d+) \| (\d+) \|$", TEXT, flags=re.M)
    for path, rate in zip(("core", "fast"), rates, strict=True):
        (found,) = re.findall(rf"^\| {case}, library, {path} \|(.*)\|$", results, flags=re.M)
        assert found.split("|")[3].strip() == rate  # after emitters, stacks/s and the Poisson number's ns


def test_what_the_readme_names_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
    for name in re.findall(r"mishape\.(\w+)\(", TEXT):
        assert hasattr(mishape, name) or name == "testing", name


def claims_of_the_suite() -> set[tuple[int, str]]:
    """Test number and claim of every call of the fixture `accuracy` in the tests."""
    calls = [
        node
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "accuracy"
    ]
    return {(ast.literal_eval(call.args[0]), ast.literal_eval(call.args[1])) for call in calls}


def test_the_accuracy_table_is_that_of_the_suite() -> None:
    """All 26 tests, every claim of the suite and no other, each number within its tolerance.

    The table is a run's record (`python -m benchmarks.accuracy`); the tests themselves assert every number anew.
    """
    rows = re.findall(r"^\| (\d+) \| (.+) \| (.*) \| (.+) \| (.+) \|$", TEXT, flags=re.M)
    assert {(int(row[0]), row[1]) for row in rows} == claims_of_the_suite()
    assert {int(row[0]) for row in rows} == {*range(1, 27)}
    for number, claim, expected, found, tolerance in rows:
        values = [float(part.split(": ")[-1]) for part in re.sub(r" \(worst.*", "", found).split(", ")]
        if tolerance.startswith("above"):
            assert min(values) > float(tolerance.split()[1]), f"test {number}, {claim}"
            continue
        wanted = [float(part) for part in expected.split(", ")]
        limit = 0.0 if tolerance == "exactly" else float(tolerance.removesuffix(" %"))
        for value in values:
            allowed = [limit / 100 * abs(w) if "%" in tolerance else limit for w in wanted]
            assert any(abs(value - w) <= a for w, a in zip(wanted, allowed, strict=True)), f"test {number}, {claim}"


def test_the_accuracy_table_shows_the_worst() -> None:
    """Of more than three cases the one that uses up most of its tolerance, by whatever kind of tolerance."""
    from benchmarks.accuracy import table

    base = {"test": 3, "claim": "width", "rel": None, "abs": None, "above": None}
    cases = [{**base, "case": f"c{n}", "found": 100 + n, "expected": 100, "rel": 0.05} for n in (1, -4, 2, 3)]
    chance = [{**base, "claim": "p", "case": "", "found": 0.25, "expected": 0, "above": 0.001}]
    assert table([*cases, *chance])[2:] == [
        "| 3 | width | 100 | c-4: 96.0 (worst of 4) | 5 % |",
        "| 3 | p |  | 0.25 | above 0.001 |",
    ]


def test_the_page_about_microscopes_is_right(tmp_path: Path) -> None:
    """It names every kind, preset and layer, and its examples are valid."""
    import yaml

    from mishape.engine import registry
    from mishape.engine.scene import View

    page = (ROOT / "docs/microscopes.md").read_text(encoding="utf-8")
    for family in ("microscopes", "noises"):
        for kind in registry.kinds(family):
            cls = registry.load(family, kind)
            if cls.__module__.startswith("mishape."):
                for name in (kind, *cls.presets):
                    assert f"`{name}`" in page, name
    water, body = re.findall(r"```yaml\n(.*?)```", page, flags=re.S)
    View.model_validate(yaml.safe_load(water))
    examples = [yaml.safe_load(part)["noise"] for part in re.split(r"^(?=noise:)", body, flags=re.M) if part]
    assert len(examples) == 4
    for example in examples:
        for key, value in list(example.items()):
            if key.endswith("_map"):
                tifffile.imwrite(tmp_path / value, np.ones((4, 4), np.float32))
            elif isinstance(value, dict) and isinstance(value.get("mean"), dict):
                value["mean"] = value["mean"]["$uniform"][0]
        registry.load("noises", example["kind"]).model_validate(example, context={"folder": tmp_path})


def test_the_page_about_scenes_names_every_key_and_draw() -> None:
    from mishape.engine.draws import LAWS
    from mishape.engine.expansion import ObjectPlan
    from mishape.engine.head import DatasetPlan, Head
    from mishape.engine.scene import PosePlan, View

    page = (ROOT / "docs/scenes.md").read_text(encoding="utf-8")
    keys = [*Head.model_fields, *DatasetPlan.model_fields, *ObjectPlan.model_fields, *View.model_fields]
    keys += [f"pose.{name}" for name in PosePlan.model_fields] + ["shape", "labeler", "channel", "objects", "views"]
    for key in keys:
        assert f"`{key}`" in page, key
    for law in LAWS:
        assert f"{{{law}:" in page, law
