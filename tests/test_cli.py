"""The command line: every bad input gives one clear message and the right exit code, never a traceback."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run

from mishape.engine import registry
from mishape.engine.dataset import open_dataset
from mishape.engine.files import sha256
from mishape.engine.generate import generate
from mishape.engine.ometiff import StackWriter

SPHERE = "{kind: implicit, form: sphere, radius_nm: 250}"
EPI = "{kind: epi, preset: epi1}"
SCENE = f"""\
mishape: 1
samples: 4
objects:
  - shape: {SPHERE}
    labeler: {{kind: surface, density_per_um2: 200}}
views:
  epi:
    grid: {{shape: [1, 24, 24], pixel_nm: 109}}
    microscope: {EPI}
    noise: {{kind: poisson, background: 100}}
truths: {{masks_2d: {{}}}}
dataset: {{shard_size: 1}}
"""
SCOPE = '''\
"""A microscope with a Gaussian spot."""
from typing import Literal

import numpy as np

from mishape.engine.imaging import PSFMicroscope


class Gauss(PSFMicroscope):
    kind: Literal["gauss"] = "gauss"
    sigma_nm: float = 120.0
    """Standard deviation of the spot, nm."""

    def psf(self, r_nm, z_nm, focus_nm=0.0):
        variance = self.sigma_nm**2 * (1 + ((z_nm - focus_nm) / 500) ** 2)[:, None]
        return np.exp(-(r_nm**2) / (2 * variance)) / (2 * np.pi * variance)
'''
TETRAHEDRON = "OFF\n4 4 0\n0 0 0\n500 0 0\n0 500 0\n0 0 500\n3 0 2 1\n3 0 1 3\n3 1 2 3\n3 0 3 2\n"

pytestmark = pytest.mark.usefixtures("folder")


def written(text: str = SCENE, name: str = "scene.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD_SCENES = {
    "unknown kind": (
        SCENE.replace("kind: epi", "kind: epy"),
        "scene.yaml:9:18: views.epi.microscope.kind: unknown microscope kind 'epy': did you mean 'epi'? "
        "(known: confocal, epi, measured, spinning_disk)\n        microscope: {kind: epy, preset: epi1}",
    ),
    "misspelt key": (
        SCENE.replace("background", "backgroud"),
        "scene.yaml:10:28: views.epi.noise.backgroud: unknown key 'backgroud': did you mean 'background'? "
        "(known: background, illumination, kind, qe, sbr, sbr_definition)\n"
        "        noise: {kind: poisson, backgroud: 100}",
    ),
    "wrong type": (
        SCENE.replace("100}", "lots}"),
        "scene.yaml:10:28: views.epi.noise.background: 'lots' is not a number (background light in photoelectrons per "
        "pixel)\n        noise: {kind: poisson, background: lots}",
    ),
    "both ends": (
        SCENE.replace("background: 100", "background: {$uniform: [-1, 99999]}"),
        "scene.yaml:10:28: views.epi.noise.background: -1 is too small: must be at least 0 (background light in "
        "photoelectrons per pixel) (the draw $uniform can give this)\n"
        "        noise: {kind: poisson, background: {$uniform: [-1, 99999]}}\n"
        "scene.yaml:10:28: views.epi.noise.background: 99999 is too large: must be at most 65535 (background light in "
        "photoelectrons per pixel) (the draw $uniform can give this)\n"
        "        noise: {kind: poisson, background: {$uniform: [-1, 99999]}}",
    ),
    "duplicate key": (
        SCENE + "samples: 3\n",
        "scene.yaml:13:1: duplicate key 'samples': it stands in line 2 already\n    samples: 3",
    ),
    "bomb": (
        BOMB,
        "scene.yaml:6:8: more than 100000 values once aliases are expanded: make the file smaller\n"
        "    f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]",
    ),
    "sbr with photons": (
        SCENE.replace("200}", "200, photons: 9}").replace("100}", "100, sbr: 3}"),
        "scene.yaml:10:45: views.epi.noise.sbr: sbr scales the image by its own peak, so the photons that objects set "
        "would have no effect: remove sbr, or remove photons from the labelers\n"
        "        noise: {kind: poisson, background: 100, sbr: 3}",
    ),
}


@pytest.mark.parametrize("name", BAD_SCENES)
def test_bad_scenes(name: str, run: Run) -> None:
    text, message = BAD_SCENES[name]
    scene = written(text)
    for arguments in (["check", scene], ["generate", scene, "-o", "out"], ["render", scene]):
        assert run(*arguments) == (2, "", f"error: {message}\n")
    assert not Path("out").exists()


def test_missing_scene(run: Run) -> None:
    message = "error: scene file 'scene.yaml' does not exist: give the path of a YAML file\n"
    assert run("check", "scene.yaml") == (2, "", message)


UNREADABLE = "mesh file '{path}' cannot be read: "
NO_SOLID = "mesh '{path}' is not the closed surface of a solid: "
MESHES = {
    "empty": ("OFF\n0 0 0\n", NO_SOLID + "it has no faces"),
    "no bytes": ("", UNREADABLE + "the file is empty"),
    "points only": (TETRAHEDRON.replace("4 4 0", "4 0 0").split("3 0 2")[0], NO_SOLID + "it has no faces"),
    "open": (
        TETRAHEDRON.replace("4 4 0", "4 3 0").replace("3 0 3 2\n", ""),
        NO_SOLID + "it has 3 open edges: close its holes, or merge vertices that lie at the same place",
    ),
}


@pytest.mark.parametrize("name", MESHES)
def test_meshes_that_are_no_solids(name: str, run: Run) -> None:
    text, message = MESHES[name]
    path = Path("meshes/bad.off").resolve()
    path.parent.mkdir()
    path.write_text(text)
    scene = written(SCENE.replace(SPHERE, "{kind: em_mesh, library: meshes}"))
    found = (
        f"error: scene.yaml:4:5: objects.0.shape: {message.format(path=path)}\n"
        "      - shape: {kind: em_mesh, library: meshes}\n"
    )
    for arguments in (["check", scene], ["generate", scene, "-o", "out"], ["render", scene]):
        assert run(*arguments) == (2, "", found)
    assert not Path("out").exists()


def test_bad_meshes_among_good_ones_are_counted_and_unused_ones_left_alone(run: Run) -> None:
    Path("meshes").mkdir()
    Path("meshes/a.off").write_text(TETRAHEDRON)
    for name in "bcd":
        Path(f"meshes/{name}.off").write_text(MESHES["empty"][0])
    other = written(SCENE.replace(SPHERE, f"{{$choice: [{SPHERE}, {{kind: em_mesh, library: meshes}}]}}"))
    code, _, err = run("check", other)
    assert (code, err.splitlines()[0]) == (
        2,
        f"error: scene.yaml:4:5: objects.0.shape: {MESHES['empty'][1].format(path=Path('meshes/b.off').resolve())} "
        "(and 2 more of its shapes cannot be used)",
    )
    written(SCENE.replace(SPHERE, "{kind: em_mesh, library: meshes, ids: [a]}"))
    assert run("check", "scene.yaml")[0] == 0


def test_closed_mesh_files_are_used(run: Run) -> None:
    Path("meshes").mkdir()
    Path("meshes/good.off").write_text(TETRAHEDRON)
    scene = written(SCENE.replace(SPHERE, "{kind: em_mesh, library: meshes}"))
    assert run("generate", scene, "-o", "out", "--samples", "1", "--workers", "1", "--progress", "none")[0] == 0


def test_a_folder_of_another_scene_is_refused_with_the_difference(run: Run) -> None:
    make = ("generate", written(), "-o", "out", "--workers", "1", "--progress", "none")
    assert run(*make)[0] == 0
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    written(SCENE.replace("background: 100", "background: 50"))
    code, out, err = run(*make)
    assert (code, out) == (1, "")
    assert err == (
        "error: 'out' holds another dataset; it differs in:\n"
        "  views.epi.noise.background: 100 there, 50 here\n"
        "Give another output folder, or the same scene and versions to go on with this one\n"
    )
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before


def test_a_folder_that_is_no_dataset_is_left_alone(run: Run) -> None:
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("precious")
    message = "error: 'out' exists and is not a dataset: give a new or empty folder\n"
    assert run("generate", written(), "-o", "out") == (1, "", message)
    assert [path.name for path in Path("out").iterdir()] == ["thesis.txt"]
    assert run("verify", "out") == (1, "", "error: 'out' is not a dataset: it holds no dataset.json\n")


def test_a_full_disk_leaves_finished_shards_and_the_same_command_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = ("generate", written(), "-o", "out", "--workers", "1", "--progress", "none")
    write, written_stacks = StackWriter.write, []

    def full(self: StackWriter, row: int, data: object) -> None:
        written_stacks.append(row)
        if len(written_stacks) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, row, data)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(StackWriter, "write", full)
        code, _, err = run(*make)
    assert code == 1
    target = str(Path("out/shards/000002").resolve())
    assert err.splitlines()[0] == (
        f"error: the disk is full: {target!r} could not be written (No space left on device). Finished shards are "
        "intact: free some space and give the same command again to go on"
    )
    assert sorted(path.name for path in Path("out/shards").iterdir()) == ["000000", "000001"]
    finished = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in Path("out/shards").rglob("*.tif")}
    assert run(*make)[0] == 0
    assert len(open_dataset("out")) == 4
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in finished} == finished
    assert run("verify", "out")[0] == 0


NEUROPIL = SCENE.replace(SPHERE, "{kind: em_mesh, library: neuropil}").replace("samples: 4", "samples: 2")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a dataset that nothing went wrong with."""
    out = tmp_path_factory.mktemp("undisturbed")
    (out / "scene.yaml").write_text(NEUROPIL.replace("masks_2d", "emitters"), encoding="utf-8")
    generate(out / "scene.yaml", out / "d")
    return contents(out / "d")


def contents(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("file", "finished"),
    [
        ("dataset.json", 0),
        ("dataset.lock", 0),
        ("emitters.npy", 0),
        ("shard.json", 0),
        ("vertices.npy", 2),
        ("library.json", 2),
        ("em_mesh-", 2),
        ("report.html", 2),
    ],
)
def test_a_disk_that_fills_up_anywhere(
    file: str, finished: int, undisturbed: dict[str, bytes], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = ("generate", written(NEUROPIL.replace("masks_2d", "emitters")), "-o", "out", "--workers", "1")
    with monkeypatch.context() as patch:
        for name in ("write_text", "open"):
            patch.setattr(Path, name, full_at(file, getattr(Path, name)))
        code, _, err = run(*make, "--progress", "none")
    assert code == 1
    assert err.startswith("error: the disk is full: ")
    assert err.endswith(
        " could not be written (No space left on device). Finished shards are intact: free some space and give the "
        "same command again to go on\n"
    )
    assert [*Path("out").rglob("*.part"), *Path("out").rglob("*.lock")] == []
    assert len(list(Path("out").rglob("shard.json"))) == finished
    assert run(*make, "--progress", "none")[0] == 0
    assert {name for name, data in contents(Path("out")).items() if data != undisturbed[name]} == {"dataset.json"}


def full_at(file: str, write: Callable[..., object]) -> Callable[..., object]:
    """Return the writing function for a disk that fills up when files of that name are begun."""

    def call(path: Path, *arguments: object, **options: object) -> object:
        if path.name.startswith(file) and arguments[:1] not in ((), ("rb",)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, *arguments, **options)

    return call


def test_an_executor_is_chosen_by_name(run: Run) -> None:
    make = ("generate", written(), "--samples", "2", "--workers", "1", "--progress", "none")
    for executor in ("inline", "processes"):
        assert run(*make, "-o", executor, "--executor", executor)[0] == 0
    assert contents(Path("inline")) == contents(Path("processes"))
    code, out, err = run(*make, "-o", "out", "--executor", "proceses")
    assert (code, out) == (1, "")
    assert err.startswith("error: unknown executor kind 'proceses': did you mean 'processes'?")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rendr", "x"], "No such command 'rendr'"),
        (["generate", "scene.yaml"], "Missing option '--out'"),
        (["generate"], "Missing argument 'scene'"),
        (["generate", "scene.yaml", "-o", "out", "--samples", "0"], "Invalid value for '--samples'"),
        (["generate", "scene.yaml", "-o", "out", "--sampels", "3"], "No such option: --sampels"),
        (["schema", "scenes"], "'scenes' is not one of 'scene', 'dataset'"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, run: Run) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("before", [True, False])
def test_a_plugin_file_is_used_by_worker_processes_too(before: bool, run: Run) -> None:
    assert SCOPE.count("\n") < 60
    Path("my_scope.py").write_text(SCOPE)
    scene = written(SCENE.replace(EPI, "{kind: gauss, sigma_nm: 150}"))
    plugin = ["--plugin", "my_scope.py"] if before else []
    verb = ["generate", scene, "-o", "out", "--samples", "2", "--workers", "2" if before else "1", "--progress", "none"]
    code, out, err = run(*plugin, *verb, *([] if before else ["--plugin=my_scope.py"]))
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "2 sample(s) in out"
    dataset = open_dataset("out")
    assert dataset[0].record["scene"]["views"]["epi"]["microscope"] == {"kind": "gauss", "sigma_nm": 150.0}
    assert run(*plugin, "plugins", "gauss", *([] if before else ["--plugin", "my_scope.py"]))[0] == 0


def test_an_edited_plugin_file_is_another_version(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = written(SCENE.replace(EPI, "{kind: gauss, sigma_nm: 150}"))
    make = ("--plugin", "my_scope.py", "generate", scene, "-o", "out", "--samples", "1", "--workers", "1")
    versions = []
    for text, expected in ((SCOPE, 0), (SCOPE.replace("/ 500", "/ 600"), 1)):
        Path("my_scope.py").write_text(text)
        versions.append(sha256(Path("my_scope.py")))
        monkeypatch.setattr(registry, "_files", [])
        monkeypatch.setattr(registry, "_from_files", {})
        registry.load.cache_clear()
        code, _, err = run(*make, "--progress", "none")
        assert code == expected
    assert f"  version of mishape_plugin_my_scope: {versions[0]} there, {versions[1]} here\n" in err
    assert open_dataset("out").manifest.versions["mishape_plugin_my_scope"] == versions[0]


PLUGINS = {
    "missing": (None, "plugin file '{path}' does not exist: give the path of a Python file"),
    "broken": (
        "import no_such_module\n",
        "plugin file '{path}' is broken: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "not Python": ("def", "plugin file '{path}' is broken: SyntaxError: invalid syntax (scope.py, line 1)"),
    "nothing in it": ("x = 3\n", "plugin file '{path}' defines no component: subclass one and give it a kind"),
}


@pytest.mark.parametrize("name", PLUGINS)
def test_bad_plugin_files(name: str, run: Run) -> None:
    text, message = PLUGINS[name]
    path = Path("scope.py").resolve()
    if text is not None:
        path.write_text(text)
    assert run("--plugin", "scope.py", "check", written()) == (1, "", f"error: {message.format(path=path)}\n")


def test_plugin_without_a_file(run: Run) -> None:
    message = "error: --plugin needs the path of a Python file\n"
    assert run("check", written(), "--plugin") == (1, "", message)


def test_a_plugin_that_fails_while_imaging_is_named(run: Run) -> None:
    Path("my_scope.py").write_text(SCOPE.replace("variance = ", "variance = no_such_name * "))
    scene = written(SCENE.replace(EPI, "gauss"))
    code, _, err = run(
        "--plugin", "my_scope.py", "generate", scene, "-o", "out", "--workers", "1", "--progress", "none"
    )
    assert code == 1
    assert err == (
        "error: sample 0 failed: NameError: name 'no_such_name' is not defined. "
        "To see it alone: mishape render SCENE --sample 0\nTo go on without the samples that fail: --skip-errors\n"
    )


def test_shapes_beyond_the_field_are_flagged_not_refused(run: Run) -> None:
    text = SCENE.replace("    labeler", "    pose: {center_nm: [1300, 0, 0]}\n    labeler")
    assert run("generate", written(text), "-o", "out", "--samples", "1", "--workers", "1", "--progress", "none")[0] == 0
    (thing,) = open_dataset("out")[0].record["objects"]
    assert thing["truncated"] == ["epi"]


def test_plugins_are_listed_and_explained(run: Run) -> None:
    code, out, err = run("plugins")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["microscopes", "epi", "mishape", "0.1.0"] in rows
    code, out, _ = run("plugins", "epi")
    assert code == 0
    assert out.startswith("microscopes epi\n\nWidefield imaging")
    assert (
        "\n  na: Numerical aperture; 0 to 1.6, below the indices of immersion and coverslip; no default: the preset's "
        "or yours. [> 0, < 1.6; required]" in out
    )
    code, _, err = run("plugins", "epy")
    assert code == 1
    assert err.startswith(
        "error: nothing is named 'epy': did you mean 'epi'? (known: 3dmsl, cellpose, con1, con1_80nm, "
    )
    assert "gradient" in err


def test_a_kind_lists_choices_presets_and_keys_of_mappings(run: Run) -> None:
    confocal, scmos = (run("plugins", kind)[1].splitlines() for kind in ("confocal", "scmos"))
    assert any(line.endswith(" [one of: area, scan, point; default area]") for line in confocal)
    assert (
        "    preset con1: na 1.4, emission_nm 600, excitation_nm 561, pinhole_au 1, magnification 63"
        in confocal[confocal.index(next(line for line in confocal if line.startswith("  preset: "))) :]
    )
    places = [
        scmos.index(next(line for line in scmos if line.startswith(start)))
        for start in (
            "  background: ",
            "    kind gradient: Background that rises evenly in one direction.",
            "      relative_range: Highest less lowest pixel over the mean, 0 to 2. ",
            "    kind smooth: ",
            "      correlation_px: ",
            "  illumination: ",
            "    corner: Level at ",
        )
    ]
    assert places == sorted(places)
    assert scmos[places[0]].endswith(" [>= 0, <= 1e+06; default 0]")
    assert scmos[places[2]].endswith(" [>= 0, <= 2; default 0.5]")
    assert scmos[places[5]].endswith(" [default none]")


def test_presets_kinds_of_mapping_and_parameters_say_where_they_belong(run: Run) -> None:
    assert run("plugins", "con1") == (
        0,
        "con1 is a preset of confocal: na 1.4, emission_nm 600, excitation_nm 561, pinhole_au 1, magnification 63; "
        "see `mishape plugins confocal`\n",
        "",
    )
    presets = run("plugins", "sekh2021")[1].splitlines()
    assert [line.partition(":")[0] for line in presets] == [
        f"sekh2021 is a preset of {kind}" for kind in ("tube", "confocal", "epi")
    ]
    assert presets[0] == "sekh2021 is a preset of tube: height_nm 1200; see `mishape plugins tube`"
    gradient = run("plugins", "gradient")[1].splitlines()
    assert gradient[0] == (
        "gradient is a kind of background of emccd, pmt, poisson, scmos: Background that rises evenly in one "
        "direction; see `mishape plugins emccd`"
    )
    assert [line.partition(":")[0] for line in gradient[1:]] == ["  mean", "  relative_range", "  direction_deg"]
    for name, start in (
        ("smooth", "smooth is a kind of background of emccd, pmt, poisson, scmos: "),
        ("illumination", "illumination is a parameter of emccd, pmt, poisson, scmos: Uneven illumination "),
        ("corner", "corner is a parameter of illumination of emccd, pmt, poisson, scmos: "),
        ("pinhole_au", "pinhole_au is a parameter of confocal, spinning_disk: Pinhole diameter in Airy units "),
    ):
        assert run("plugins", name)[1].startswith(start)


def test_a_parameter_of_any_type_is_explained(run: Run) -> None:
    """A stranger's parameter may be of a type that JSON does not know."""
    text = SCOPE.replace(
        "    sigma_nm:",
        "    table: typing.Any = object()\n    call: typing.Callable[[], None] | None = None\n    sigma_nm:",
    )
    Path("my_scope.py").write_text("import typing\n" + text)
    code, out, _ = run("plugins", "gauss", "--plugin", "my_scope.py")
    assert code == 0
    assert "\n  table:\n  call: [default none]\n  sigma_nm: Standard deviation of the spot, nm. [default 120]\n" in out


def test_schema_version_and_help(run: Run) -> None:
    code, out, _ = run("schema", "dataset")
    assert code == 0
    assert json.loads(out)["title"] == "mishape dataset"
    assert run("--version") == (0, "mishape 0.1.0\n", "")
    code, out, _ = run("--help")
    assert code == 0
    assert all(verb in out for verb in ("check", "demo", "generate", "plugins", "render", "schema", "verify"))


def test_check_says_that_a_scene_is_right(run: Run) -> None:
    assert run("check", written()) == (0, "scene.yaml is right: 4 sample(s), seed 0, views: epi (epi)\n", "")


def test_the_module_is_the_command() -> None:
    written(SCENE.replace("kind: epi", "kind: epy"))
    done = subprocess.run(
        [sys.executable, "-m", "mishape", "check", "scene.yaml"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: scene.yaml:9:18: ")


def test_ctrl_c_says_what_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mishape.engine.generate.generate", interrupted)
    assert run("generate", written(), "-o", "d") == (
        130,
        "",
        "interrupted: what is finished is kept; the same command goes on\n",
    )


def test_short_memory_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*args: object, **options: object) -> None:
        raise MemoryError("Unable to allocate 440 GiB")

    monkeypatch.setattr("mishape.engine.imaging.fast_images", short)
    code, _, err = run("render", written())
    assert (code, err) == (
        1,
        "error: not enough memory: Unable to allocate 440 GiB. Use a smaller grid or fewer planes and workers\n",
    )
