"""The option --device: names and what is wrong with them; torch on the CPU makes what NumPy makes, alone or in batches.

What is particular to a GPU, batches in `generate` and sums of no fixed order, is run with torch on the CPU, called a
GPU.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import array_api_strict
import numpy as np
import pytest
import yaml
from conftest import Run
from numpy.random import Generator
from numpy.testing import assert_allclose, assert_array_equal

import mishape
from mishape.engine import devices, shard
from mishape.engine.arrays import to_numpy
from mishape.engine.component import Component
from mishape.engine.devices import HOST, Device, find_device
from mishape.engine.files import canonical
from mishape.engine.grid import Grid
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.simulate import simulate_many
from mishape.engine.types import Emitters
from mishape.plugins.microscopes.epi import Epi

NAMES = "expected cpu, cuda, cuda:N, torch:cpu, torch:cuda or torch:cuda:N"
GPU_PIPS = "pip install 'mishape[gpu12]' for CUDA 12, or 'mishape[gpu13]' for CUDA 13 (nvidia-smi says which)"


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="pip install 'mishape[learn]' for the device torch:cpu")


@pytest.fixture
def called_a_gpu(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch on the CPU be worked with as a GPU is."""
    monkeypatch.setattr(Device, "is_gpu", property(lambda self: self.kind == "torch:cpu"))
    monkeypatch.setattr(devices, "_check_gpu", lambda name, device: None)
    monkeypatch.setattr(Device, "_moved", lambda self, host: torch.asarray(host))


@pytest.fixture
def two_views(sphere_scene: dict[str, Any]) -> dict[str, Any]:
    """Five samples of two colours seen by a widefield camera and, as a montage, by a confocal's detector."""
    (thing,) = sphere_scene["objects"]
    sphere_scene["objects"] = [thing, {**thing, "channel": "red", "count": {"$integer": [0, 1]}}]
    sphere_scene["views"]["epi"]["noise"] = {"kind": "scmos", "background": {"$uniform": [5, 15]}}
    sphere_scene["views"]["con"] = {
        "grid": {"shape": [1, 16, 20], "pixel_nm": 80},
        "microscope": {"kind": "confocal", "preset": "con1"},
        "noise": {"kind": "pmt", "background": 3},
        "sees": {"main": 1, "red": 0.25},
        "montage": [1, 2],
    }
    return sphere_scene


def scenes_of(document: dict[str, Any]) -> list[mishape.Scene]:
    spec = mishape.load_spec(document)
    return list(spec.scenes(range(spec.samples)))


def contents(dataset: mishape.Dataset) -> list[tuple[str, dict[str, bytes]]]:
    return [
        (canonical(item.record), {name: array.tobytes() for name, array in item.arrays.items()}) for item in dataset
    ]


def said(error: pytest.ExceptionInfo[BaseException]) -> str:
    return "\n".join([str(error.value), *getattr(error.value, "__notes__", [])])


# ---- names -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["gpu", "", "CPU", "cpu:0", "torch", "torch:cpu:0", "cuda:", "cuda:-1", "cuda0"])
def test_no_such_name(name: str) -> None:
    with pytest.raises(mishape.MishapeError, match=f"^device {name!r}: {NAMES}$"):
        find_device(name)


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for check in ("_check_library", "_check_gpu"):
        monkeypatch.setattr(devices, check, lambda *_: None)
    names = ["cpu", "cuda", "cuda:3", "torch:cpu", "torch:cuda", "torch:cuda:12"]
    found = [find_device(name) for name in names]
    assert found == [
        HOST,
        Device("cuda"),
        Device("cuda", 3),
        Device("torch:cpu"),
        Device("torch:cuda"),
        Device("torch:cuda", 12),
    ]
    assert [device.library for device in found] == ["numpy", *["cupy"] * 2, *["torch"] * 3]
    assert [device.is_gpu for device in found] == [False, True, True, False, True, True]


@pytest.mark.parametrize(
    ("name", "library", "install"),
    [("cuda:1", "cupy", GPU_PIPS), ("torch:cpu", "torch", "pip install 'mishape[learn]'")],
)
def test_a_library_that_is_not_installed(
    name: str, library: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda _: None)
    told = re.escape(f"device {name!r} needs {library}, which is not installed: {install}")
    with pytest.raises(mishape.MishapeError, match=f"^{told}$"):
        find_device(name)


def test_a_library_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(library: str) -> None:
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(devices, "find_spec", lambda _: "there")
    monkeypatch.setattr(devices, "import_module", broken)
    told = r"^device 'cuda': cupy is installed but cannot be imported \(libcudart.*\): install it anew, pip install"
    with pytest.raises(mishape.MishapeError, match=told):
        find_device("cuda")


def gpus(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for CuPy and for torch on a machine of so many GPUs; CuPy fails where there is none."""

    def get_device_count() -> int:
        if count == 0:
            raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
        return count

    cuda = SimpleNamespace(device_count=lambda: count, runtime=SimpleNamespace(getDeviceCount=get_device_count))
    monkeypatch.setattr(devices, "find_spec", lambda _: "there")
    monkeypatch.setattr(devices, "import_module", lambda _: SimpleNamespace(cuda=cuda))


def test_no_such_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(2, monkeypatch)
    assert find_device("cuda:1") == Device("cuda", 1)
    with pytest.raises(mishape.MishapeError) as error:
        find_device("cuda:2")
    assert said(error) == "device 'cuda:2': cupy finds 2 GPU(s): choose cuda:0 to cuda:1, or cpu"
    gpus(1, monkeypatch)
    with pytest.raises(mishape.MishapeError) as error:
        find_device("torch:cuda:7")
    assert said(error) == "device 'torch:cuda:7': torch finds 1 GPU(s): choose torch:cuda:0, or cpu"


def test_no_gpu_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(0, monkeypatch)
    with pytest.raises(mishape.MishapeError) as error:
        find_device("cuda")
    assert said(error) == (
        "device 'cuda': cupy finds no GPU (cudaErrorNoDevice: no CUDA-capable device is detected): check that "
        "nvidia-smi lists one and that cupy is built for its CUDA, or use cpu"
    )
    with pytest.raises(mishape.MishapeError, match=r"^device 'torch:cuda': torch finds no GPU: check that nvidia-smi"):
        find_device("torch:cuda")


def test_a_run_on_no_device_leaves_nothing(sphere_scene: dict[str, Any], folder: Path, run: Run) -> None:
    """Exit code 1 and the one line, before a folder is made."""
    Path("scene.yaml").write_text(yaml.safe_dump(sphere_scene))
    for command in (["generate", "scene.yaml", "-o", "d"], ["render", "scene.yaml", "-o", "r"]):
        assert run(*command, "--device", "gpu") == (1, "", f"error: device 'gpu': {NAMES}\n")
    assert [path.name for path in folder.iterdir()] == ["scene.yaml"]


# ---- emitters --------------------------------------------------------------------------------------------------------
def test_emitters_on_the_host_are_not_moved() -> None:
    emitters = Emitters(np.zeros((2, 3)), np.ones(2), np.zeros(2, np.int64))
    assert HOST.sent([emitters])[0] is emitters


def test_emitters_are_sent_with_double_positions(torch: Any) -> None:
    """A millimetre from the origin single precision would round them to 0.06 nm."""
    sizes = (3, 0, 2)
    sets = [Emitters(np.full((n, 3), 1e6 + 0.01), np.full(n, 0.1), np.full(n, n)) for n in sizes]
    for emitters, there in zip(sets, Device("torch:cpu").sent(sets), strict=True):
        assert (there.xyz_nm.dtype, there.photons.dtype) == (torch.float64, torch.float32)
        assert_array_equal(to_numpy(there.xyz_nm), emitters.xyz_nm)
        assert_allclose(to_numpy(there.photons), emitters.photons, rtol=1e-7)
        assert_array_equal(to_numpy(there.owner), emitters.owner)
    assert Device("torch:cpu").sent([]) == []


# ---- samples ---------------------------------------------------------------------------------------------------------
def check_alike(found: mishape.Sample, expected: mishape.Sample, atol: float) -> None:
    """Photons agree to `atol` of the peak, truths are the same, images differ by their noise alone."""
    assert found.record["objects"] == expected.record["objects"]
    for name, photons in expected.photons.items():
        assert type(found.photons[name]) is np.ndarray
        assert found.photons[name].dtype == np.float32
        assert_allclose(found.photons[name], photons, rtol=0, atol=atol * photons.max())
        assert (found.images[name].dtype, found.images[name].shape) == (np.uint16, photons.shape)
    for name, truth in expected.truths.items():
        assert_array_equal(*(getattr(t, "data", t) for t in (found.truths[name], truth)))


@pytest.mark.parametrize("library", ["torch", "strict"])
def test_a_batch_on_a_device_agrees_with_the_host(
    library: str, two_views: dict[str, Any], torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expected photons to 1e-5 of the peak: two views, two colours with bleed-through, a montage, drawn detectors.

    The batch is that of each sample alone to 1e-6, and so are its counts but for one in a hundred. Array-api-strict
    stands for CuPy.
    """
    if library == "strict":
        monkeypatch.setattr(Device, "_moved", lambda self, host: array_api_strict.asarray(host))
    scenes = scenes_of(two_views)
    batch = simulate_many(scenes, device="torch:cpu")
    for scene, found in zip(scenes, batch, strict=True):
        check_alike(found, mishape.simulate(scene), atol=1e-5)
        alone = mishape.simulate(scene, device="torch:cpu")
        check_alike(found, alone, atol=1e-6)
        assert np.mean(found.images["epi"] != alone.images["epi"]) < 0.01


def test_a_batch_on_the_host_has_the_same_bytes(two_views: dict[str, Any]) -> None:
    scenes = scenes_of(two_views)
    for scene, found in zip(scenes, simulate_many(scenes), strict=True):
        alone = mishape.simulate(scene)
        assert found.record == alone.record
        for name in scene.views:
            assert_array_equal(found.photons[name], alone.photons[name])
            assert_array_equal(found.images[name], alone.images[name])
    assert simulate_many([]) == []


def test_equal_views_are_imaged_and_detected_together(
    sphere_scene: dict[str, Any], torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Microscopes that differ have calls of their own; the detectors, all equal, share one."""
    from mishape.plugins.noises.poisson import Poisson

    presets = ["epi1", "epi2", "epi1"]
    sphere_scene["views"]["epi"]["microscope"]["preset"] = {"$cycle": presets}
    imaged: list[int] = []
    detected: list[int] = []
    image_many, detect_many = PSFMicroscope.image_many, Poisson.detect_many

    def watched_image(self: Any, batch: Any, grid: Grid) -> Any:
        imaged.append(len(batch))
        return image_many(self, batch, grid)

    def watched_detect(self: Any, photons: Any, rngs: Any) -> Any:
        detected.append(len(rngs))
        return detect_many(self, photons, rngs)

    monkeypatch.setattr(PSFMicroscope, "image_many", watched_image)
    monkeypatch.setattr(Poisson, "detect_many", watched_detect)
    simulate_many(scenes_of(sphere_scene), device="torch:cpu")
    assert (imaged, detected) == ([3, 2], [5])


def test_no_objects_on_a_device(sphere_scene: dict[str, Any], torch: Any) -> None:
    scenes = scenes_of({**sphere_scene, "objects": []})
    for sample in simulate_many(scenes[:2], device="torch:cpu"):
        assert not sample.photons["epi"].any()
        assert sample.images["epi"].mean() == pytest.approx(10, abs=5 * (10 / 960) ** 0.5)


def test_counts_on_a_device_follow_their_light(sphere_scene: dict[str, Any], torch: Any) -> None:
    """Poisson counts of 20 samples: chi-square per pixel 1 within five standard errors, sqrt(2 / pixels)."""
    scenes = scenes_of({**sphere_scene, "samples": 20})
    chi = [
        (sample.images["epi"] - sample.photons["epi"].clip(0) - 10.0) ** 2 / (sample.photons["epi"].clip(0) + 10.0)
        for sample in simulate_many(scenes, device="torch:cpu")
    ]
    assert np.mean(chi) == pytest.approx(1, abs=5 * (2 / np.size(chi)) ** 0.5)


# ---- strangers -------------------------------------------------------------------------------------------------------
class Flat(Component):
    """A stranger's microscope that knows only NumPy: it fails, or gives NumPy's arrays back."""

    kind: Literal["flat"] = "flat"
    gives: Literal["error", "numpy", "shape", "right"] = "right"

    def image(self, emitters: Emitters, grid: Grid) -> Any:
        if self.gives == "error":
            return np.histogramdd(emitters.xyz_nm, photons=1)
        if self.gives == "numpy":
            return np.full(grid.shape, np.asarray(emitters.photons).sum())
        rows = grid.shape[1] + (self.gives == "shape")
        return emitters.photons.new_ones((grid.shape[0], rows, grid.shape[2])) * emitters.photons.sum()


class HostNoise(Component):
    """A stranger's noise."""

    kind: Literal["host_noise"] = "host_noise"

    def detect(self, photons: Any, rng: Generator) -> Any:
        if type(photons) is not np.ndarray:
            raise TypeError("only NumPy's arrays")
        return rng.poisson(photons.clip(0)).astype(np.uint16)


class HostNoises(HostNoise):
    """One that says it takes batches, but knows only NumPy."""

    def detect_many(self, photons: Any, rngs: Any) -> Any:
        return np.stack([self.detect(image, rng) for image, rng in zip(photons, rngs, strict=True)])


def with_part(scene: mishape.Scene, **parts: Any) -> mishape.Scene:
    return scene.model_copy(update={"views": {"epi": scene.views["epi"].model_copy(update=parts)}})


@pytest.mark.parametrize(
    ("gives", "told"),
    [
        ("error", r"^microscope 'flat' cannot image arrays of torch \(TypeError: .*\): use --device cpu$"),
        ("numpy", r"^microscope 'flat' gave ndarray of shape \(2, 24, 20\): image\(\) must return an array of torch, "),
        ("shape", r"^microscope 'flat' gave Tensor of shape \(2, 25, 20\): .* shape \(2, 24, 20\); else use --device"),
    ],
)
def test_a_microscope_that_knows_only_numpy(gives: str, told: str, sphere_scene: dict[str, Any], torch: Any) -> None:
    scenes = [with_part(scene, microscope=Flat(gives=gives)) for scene in scenes_of(sphere_scene)]
    with pytest.raises(mishape.PluginError, match=told):
        simulate_many(scenes, device="torch:cpu")


def test_a_microscope_without_the_batch_form(sphere_scene: dict[str, Any], torch: Any) -> None:
    scenes = [with_part(scene, microscope=Flat()) for scene in scenes_of(sphere_scene)]
    for sample in simulate_many(scenes, device="torch:cpu"):
        assert_allclose(sample.photons["epi"], sample.emitters.photons.sum(), rtol=1e-5)


def test_a_noise_without_the_batch_form_gets_the_host_s_arrays(sphere_scene: dict[str, Any], torch: Any) -> None:
    scenes = [with_part(scene, noise=HostNoise()) for scene in scenes_of(sphere_scene)]
    for sample in simulate_many(scenes, device="torch:cpu"):
        assert sample.images["epi"].sum() == pytest.approx(sample.photons["epi"].sum(), rel=0.1)


def test_a_noise_whose_batch_form_knows_only_numpy(sphere_scene: dict[str, Any], torch: Any) -> None:
    scenes = [with_part(scene, noise=HostNoises()) for scene in scenes_of(sphere_scene)]
    told = r"^noise 'host_noise' cannot detect arrays of torch \(TypeError: only NumPy's arrays\): use --device cpu$"
    with pytest.raises(mishape.PluginError, match=told):
        simulate_many(scenes, device="torch:cpu")


class OutOfMemoryError(RuntimeError):
    """Named as CuPy's and torch's are."""


def test_a_device_too_small_for_the_noise(
    sphere_scene: dict[str, Any], torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mishape.plugins.noises.poisson import Poisson

    def full(*_: Any) -> None:
        raise OutOfMemoryError

    monkeypatch.setattr(Poisson, "detect_many", full)
    with pytest.raises(mishape.MishapeError) as error:
        mishape.simulate(scenes_of(sphere_scene)[0], device="torch:cpu")
    assert said(error) == (
        "the device ran out of memory over the noise of 1 image(s) of (2, 24, 20) pixels: make the field smaller, "
        "free the device, or use --device cpu"
    )


# ---- datasets --------------------------------------------------------------------------------------------------------
def test_a_dataset_on_torch(sphere_scene: dict[str, Any], tmp_path: Path, torch: Any) -> None:
    """The same bytes for other shards, workers and after an interruption; verified on the device that made it."""
    sphere_scene["views"]["epi"]["noise"] = {"kind": "scmos", "background": {"$uniform": [5, 15]}}
    spec = mishape.load_spec(sphere_scene)
    dataset = mishape.generate(spec, tmp_path / "d", device="torch:cpu")
    about = json.loads((tmp_path / "d/dataset.json").read_text())
    assert (about["device"], about["versions"]["torch"]) == ("torch:cpu", str(torch.__version__))
    others = mishape.generate(spec.with_values(shard_size=3), tmp_path / "s", workers=2, device="torch:cpu")
    assert contents(others) == contents(dataset)
    before = (tmp_path / "d/shards/000001/epi.image.ome.tif").read_bytes()
    shutil.rmtree(tmp_path / "d/shards/000001")
    mishape.generate(spec, tmp_path / "d", device="torch:cpu")
    assert (tmp_path / "d/shards/000001/epi.image.ome.tif").read_bytes() == before
    verdict = mishape.verify(dataset)
    assert (verdict.faults, len(verdict.remade)) == ([], 3)


def test_the_device_is_part_of_a_dataset(
    sphere_scene: dict[str, Any], tmp_path: Path, torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run on another is refused, with the option that goes on; `verify` needs the same."""
    spec = mishape.load_spec({**sphere_scene, "samples": 1})
    for there, here in (("torch:cpu", "cpu"), ("cpu", "torch:cpu")):
        mishape.generate(spec, tmp_path / there, device=there)
        with pytest.raises(mishape.DatasetError) as error:
            mishape.generate(spec, tmp_path / there, device=here)
        assert said(error).splitlines()[1:-1] == [f"  device: {there} there, {here} here (--device {there})"]
    monkeypatch.setattr(devices, "find_spec", lambda _: None)
    dataset = mishape.open_dataset(tmp_path / "torch:cpu")
    assert mishape.verify(dataset).faults == [
        "no sample can be made anew: device 'torch:cpu' needs torch, which is not installed: "
        "pip install 'mishape[learn]'; all files are as they were written"
    ]
    assert not mishape.verify(dataset, remake=0).faults


def test_a_manifest_of_before_there_were_devices(sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    mishape.generate(mishape.load_spec({**sphere_scene, "samples": 1}), tmp_path / "d")
    path = tmp_path / "d/dataset.json"
    about = json.loads(path.read_text())
    assert about.pop("device") == "cpu"
    path.write_text(json.dumps(about))
    assert not mishape.verify(mishape.open_dataset(tmp_path / "d")).faults


def test_render_on_a_device(sphere_scene: dict[str, Any], folder: Path, run: Run, torch: Any) -> None:
    import tifffile

    Path("scene.yaml").write_text(yaml.safe_dump(sphere_scene))
    assert run("render", "scene.yaml", "--sample", "2", "--device", "torch:cpu")[0] == 0
    expected = mishape.simulate(scenes_of(sphere_scene)[2], device="torch:cpu").images["epi"]
    assert_array_equal(tifffile.imread("scene-000002.epi.image.ome.tif"), expected)


@pytest.mark.usefixtures("called_a_gpu")
def test_a_dataset_in_batches(two_views: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU samples are made together, and `verify` allows for its rounding, but for nothing else."""
    sizes: list[int] = []

    def watched(scenes: Any, **options: Any) -> list[mishape.Sample]:
        sizes.append(len(scenes))
        return simulate_many(scenes, **options)

    monkeypatch.setattr(shard, "simulate_many", watched)
    monkeypatch.setattr(shard, "BATCH_SAMPLES", 3)
    spec = mishape.load_spec(two_views).with_values(shard_size=5)
    dataset = mishape.generate(spec, tmp_path / "d", device="torch:cpu")
    assert sizes == [3, 2]
    assert [item.record["index"] for item in dataset] == [0, 1, 2, 3, 4]
    assert not mishape.verify(dataset, remake=5).faults
    monkeypatch.setattr(shard, "BATCH_PIXELS", 2 * (2 * 24 * 20 + 2 * 16 * 20))
    again = mishape.generate(spec, tmp_path / "e", device="torch:cpu")
    assert sizes[2:] == [2, 2, 1]
    for one, other in zip(dataset, again, strict=True):
        assert_array_equal(one["emitters"], other["emitters"])
        assert np.mean(one["epi.image"] != other["epi.image"]) < 0.01
    from mishape.plugins.noises.scmos import Scmos

    detect_many = Scmos.detect_many
    monkeypatch.setattr(Scmos, "detect_many", lambda self, photons, rngs: detect_many(self, 1.2 * photons, rngs))
    assert mishape.verify(dataset, remake=1).faults[0].endswith("epi.image differs from a fresh simulation")


@pytest.mark.usefixtures("called_a_gpu")
def test_light_that_differs_is_found_after_a_gpu(
    two_views: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the detector draws on the host, whose counts are not compared."""
    dataset = mishape.generate(mishape.load_spec(two_views), tmp_path / "d", device="torch:cpu")
    image_many = PSFMicroscope.image_many
    monkeypatch.setattr(PSFMicroscope, "image_many", lambda *given: image_many(*given) * 1.001)
    assert mishape.verify(dataset, remake=1).faults[0].endswith("its record differs from a fresh simulation")


@pytest.mark.usefixtures("called_a_gpu")
@pytest.mark.parametrize("device", ["torch:cpu", "cpu"])
def test_an_error_in_a_batch_names_its_sample(device: str, sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    """Of five samples made together the third puts its emitters below the coverslip."""
    sphere_scene["views"]["epi"]["microscope"] = {
        "kind": "epi",
        "preset": "epi2",
        "sample_index": 1.33,
        "depth_nm": {"$cycle": [5000, 5000, 50, 5000, 50]},
    }
    spec = mishape.load_spec(sphere_scene).with_values(shard_size=5)
    option = "" if device == "cpu" else " --device torch:cpu"
    with pytest.raises(mishape.MishapeError) as error:
        mishape.generate(spec, tmp_path / "d", device=device)
    told, note, _ = said(error).splitlines()
    assert told.startswith("views.epi.microscope: an emitter at z -")
    assert note == f"This was sample 2; to see it alone: mishape render SCENE --sample 2{option}"


@pytest.mark.usefixtures("called_a_gpu")
def test_a_full_device_makes_smaller_batches(
    sphere_scene: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mishape.plugins.noises.poisson import Poisson

    tried: list[int] = []
    detect_many: Callable[..., Any] = Poisson.detect_many

    def small(self: Any, photons: Any, rngs: Any) -> Any:
        tried.append(len(rngs))
        if len(rngs) > 2:
            raise OutOfMemoryError
        return detect_many(self, photons, rngs)

    monkeypatch.setattr(Poisson, "detect_many", small)
    spec = mishape.load_spec(sphere_scene).with_values(shard_size=5)
    dataset = mishape.generate(spec, tmp_path / "d", device="torch:cpu")
    assert tried[:4] == [5, 2, 3, 1]
    assert [item.record["index"] for item in dataset] == [0, 1, 2, 3, 4]


def test_a_newer_image_is_used_on_a_device(torch: Any, sphere_scene: dict[str, Any]) -> None:
    """A microscope that changes its base's `image` is not passed by through the base's `image_many`."""

    class Half(Epi):
        def image(self, emitters: Emitters, grid: Grid) -> Any:
            return 0.5 * super().image(emitters, grid)

    (scene,) = scenes_of(sphere_scene)[:1]
    view = scene.views["epi"]
    other = Half.model_validate(view.microscope.model_dump(exclude_unset=True))
    halved = scene.model_copy(update={"views": {"epi": view.model_copy(update={"microscope": other})}})
    (whole,), (half,) = (simulate_many([s], device="torch:cpu") for s in (scene, halved))
    assert half.photons["epi"].max() == pytest.approx(0.5 * whole.photons["epi"].max(), rel=1e-5)
