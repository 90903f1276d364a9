"""Cameras: exact counting statistics, the electron-multiplying register, named models, measured maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import Accuracy
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats

import mishape
from mishape.engine.errors import MishapeError, SpecError
from mishape.engine.spec import load_spec
from mishape.plugins.noises.emccd import Emccd
from mishape.plugins.noises.poisson import Poisson
from mishape.plugins.noises.scmos import Scmos
from mishape.testing import check_noise

IDEAL: dict[str, Any] = {"qe": 1.0, "dark_current_e_per_s": 0.0, "offset": 0.0, "offset_spread": 0.0, "prnu": 0.0}


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(level: float, shape: tuple[int, int, int] = (1, 300, 300)) -> NDArray[np.float64]:
    return np.full(shape, level)


def scmos(**changes: Any) -> Scmos:
    """Return an sCMOS that counts electrons, without noise of its own or a fixed pattern, but for what is given."""
    none = {"read_noise_e": 0.0, "read_noise_spread": 0.0, "gain_spread": 0.0, "gain_e_per_count": 1.0}
    return Scmos.model_validate({**IDEAL, **none, **changes})


def emccd(**changes: Any) -> Emccd:
    """Return an EMCCD without noise of its own, dark electrons or a fixed pattern, but for what is given."""
    none = {"read_noise_e": 0.0, "clock_induced_charge_e": 0.0, "gain_e_per_count": 1.0}
    return Emccd.model_validate({**IDEAL, **none, **changes})


# Exactness


@pytest.mark.usefixtures("each_path")
@pytest.mark.parametrize("mean", [0.04, 0.7, 3.3, 21.5, 480.25, 20000.75])
def test_counts_are_poisson(mean: float) -> None:
    for noise in (Poisson(), scmos(), emccd(em_gain=1.0)):
        counts = noise.detect(flat(mean, (1, 400, 400)), rng(3)).ravel()
        law = stats.poisson(mean)
        edges = np.unique(law.ppf(np.linspace(0.01, 0.99, 30))).astype(int)  # the last of each bin
        observed = np.histogram(counts, [-1, *edges + 0.5, np.inf])[0]
        expected = np.diff([0, *law.cdf(edges), 1]) * counts.size
        assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_qe_after_the_draw_would_be_found() -> None:
    """The tolerance by which a QE of 0.7 is checked refuses a camera that thins nothing and multiplies counts by QE."""
    wrong = 0.7 * rng().poisson(flat(300))
    assert wrong.var() / wrong.mean() == pytest.approx(0.7, abs=0.02)
    for noise in (scmos(qe=0.7), emccd(qe=0.7, em_gain=1.0)):
        counts = noise.detect(flat(300), rng()).astype(float)
        assert counts.mean() == pytest.approx(210, rel=0.005)
        assert counts.var() / counts.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.usefixtures("each_path")
@pytest.mark.parametrize("camera", [scmos, emccd])
def test_read_noise_and_quantisation(camera: Any) -> None:
    dark = camera(read_noise_e=1.5, gain_e_per_count=1.5, offset=100.0).detect(flat(0, (1, 1000, 1000)), rng())
    assert dark.mean() == pytest.approx(100, abs=0.005)
    assert dark.var() == pytest.approx(1 + 1 / 12, rel=0.006)


@pytest.mark.parametrize("camera", [Scmos(camera_seed=3), Emccd(camera_seed=3, em_gain=1, clock_induced_charge_e=0)])
def test_dark_frames_average_to_the_offset_map(camera: Any, accuracy: Accuracy) -> None:
    camera = camera.model_copy(update={"dark_current_e_per_s": 0.0})
    frames = camera.detect(np.zeros((1000, 32, 32)), rng()).astype(float)
    residuals = [np.std(frames[:count].mean(axis=0) - camera.offsets(32, 32)) for count in (10, 100, 1000)]
    np.testing.assert_allclose(residuals, residuals[0] * np.sqrt([1, 0.1, 0.01]), rtol=0.1)
    fall = residuals[0] / residuals[2]
    accuracy(25, "residual to the offset map, 10 / 1000 dark frames", fall, 10, rel=0.1, case=camera.kind)
    assert residuals[0] == pytest.approx(np.sqrt(frames.var(axis=0).mean() / 10), rel=0.1)


# EMCCD


def test_register_gives_gamma_sums_of_poisson_electrons() -> None:
    mean, gain = 3.0, 100.0
    counts = np.sort(emccd(em_gain=gain).detect(flat(mean), rng()).ravel())
    electrons = np.arange(1, 60)
    levels = np.arange(counts[-1] + 1)
    sums = stats.gamma.cdf((levels[:, None] + 0.5) / gain, electrons)
    exact = np.exp(-mean) + sums @ stats.poisson.pmf(electrons, mean)
    found = np.searchsorted(counts, levels, side="right") / counts.size
    assert np.abs(found - exact).max() < 1.95 / np.sqrt(counts.size)  # Kolmogorov-Smirnov, p = 1e-3


@pytest.mark.usefixtures("each_path")
@pytest.mark.parametrize("gain", [50.0, 300.0, 1000.0])
def test_excess_factor_squared_is_two(gain: float) -> None:
    counts = emccd(em_gain=gain, gain_e_per_count=gain / 100, register_full_well_e=1e8).detect(flat(20), rng()) / 100
    assert counts.mean() == pytest.approx(20, rel=0.005)
    assert counts.var() / counts.mean() == pytest.approx(2, abs=0.04)


@pytest.mark.usefixtures("each_path")
def test_gain_of_one_has_neither_excess_noise_nor_a_register() -> None:
    camera = emccd(em_gain=1.0, register_full_well_e=1.0)
    np.testing.assert_array_equal(camera.detect(flat(50), rng()), scmos().detect(flat(50), rng()))


def test_read_noise_comes_after_the_gain() -> None:
    camera = emccd(em_gain=200.0, read_noise_e=100.0, gain_e_per_count=4.0, offset=400.0)
    dark = camera.detect(flat(0), rng())
    assert dark.mean() == pytest.approx(400, abs=0.5)
    assert dark.std() == pytest.approx(100 / 4, rel=0.01)


def test_dark_electrons_and_clock_induced_charge_are_amplified() -> None:
    camera = emccd(
        em_gain=100.0, clock_induced_charge_e=0.3, dark_current_e_per_s=2.0, exposure_ms=100.0, register_full_well_e=1e8
    )
    assert camera.detect(flat(0), rng()).mean() / 100 == pytest.approx(0.3 + 0.2, rel=0.02)


@pytest.mark.usefixtures("each_path")
def test_wells_and_converter_clip_in_their_order() -> None:
    bright = flat(1e6, (1, 200, 200))
    image_area = emccd(full_well_e=400.0, em_gain=10.0).detect(bright, rng())
    assert image_area.mean() == pytest.approx(4000, rel=0.002)
    assert image_area.std() == pytest.approx(10 * np.sqrt(400), rel=0.02)  # the register's noise alone
    register = emccd(full_well_e=1e5, em_gain=10.0, register_full_well_e=5e4, gain_e_per_count=2.0, offset=7.0)
    assert np.unique(register.detect(bright, rng())).tolist() == [25007]
    assert np.unique(emccd(bit_depth=14, register_full_well_e=5e4).detect(bright, rng())).tolist() == [2**14 - 1]


def test_emccd_has_the_fixed_pattern_of_its_sensor() -> None:
    camera = emccd(em_gain=1.0, offset=100.0, offset_spread=3.0, prnu=0.05, camera_seed=2)
    mean = camera.detect(flat(2000, (500, 16, 16)), rng()).mean(axis=0)
    np.testing.assert_allclose(mean, camera.offsets(16, 16) + 2000 * camera.response(16, 16), rtol=0.004)
    part = camera.model_copy(update={"roi_origin_px": (250, 300)})
    np.testing.assert_array_equal(part.response(9, 8), camera.response(300, 400)[250:259, 300:308])


# Named cameras

PRESETS = [(cls, name) for cls in (Scmos, Emccd) for name in cls.presets]


@pytest.mark.parametrize(("camera", "name"), PRESETS)
def test_presets_conform_and_yield_to_parameters(camera: Any, name: str) -> None:
    preset = camera(preset=name)
    check_noise(preset)
    assert {key: getattr(preset, key) for key in preset.presets[name]} == preset.presets[name]
    changed = camera(preset=name, qe=0.5, offset=7.0)
    assert (changed.qe, changed.offset, changed.full_well_e) == (0.5, 7.0, preset.full_well_e)
    assert all(key in camera.model_fields for key in preset.presets[name])


@pytest.mark.parametrize(("camera", "name"), PRESETS)
def test_a_full_well_lies_within_the_converter(camera: Any, name: str) -> None:
    preset = camera(preset=name, **({"em_gain": 1.0} if camera is Emccd else {}))
    brightest = preset.detect(flat(1e9, (1, 64, 64)), rng())
    assert np.median(brightest) == pytest.approx(preset.offset + preset.full_well_e / preset.gain_e_per_count, rel=0.01)
    assert brightest.max() <= 65535


def test_read_noise_of_presets_is_the_published_one() -> None:
    for name, rms, median in (("orca_fusion_bt", 0.7, None), ("prime_95b", 1.8, 1.6)):
        noise = Scmos(preset=name).maps(512, 512).read_noise_e  # type: ignore[arg-type]
        assert np.sqrt((noise**2).mean()) == pytest.approx(rms, rel=0.01)
        if median is not None:
            assert np.median(noise) == pytest.approx(median, rel=0.01)


# Measured maps


@pytest.fixture
def maps(tmp_path: Path) -> dict[str, NDArray[np.float32]]:
    """Write the four maps of a sensor of 40 x 50 pixels."""
    random = rng(9)
    measured = {
        "response_map": random.normal(1, 0.05, (40, 50)),
        "gain_map": random.normal(0.5, 0.02, (40, 50)),
        "offset_map": random.normal(120, 6, (40, 50)),
        "read_noise_map": random.uniform(0.5, 4, (40, 50)),
    }
    for name, values in measured.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", values.astype(np.float32))
    return {name: values.astype(np.float32) for name, values in measured.items()}


def measured_camera(folder: Path, *names: str, **changes: Any) -> Scmos:
    files = {name: f"{name}.tif" for name in names}
    return Scmos.model_validate({**files, **changes}, context={"folder": folder})


def test_measured_maps_stand_in_for_drawn_ones(tmp_path: Path, maps: dict[str, NDArray[np.float32]]) -> None:
    camera = measured_camera(tmp_path, *maps, qe=1.0, dark_current_e_per_s=0.0)
    used = camera.maps(40, 50)
    for name, values in zip(("response", "gain", "offset", "read_noise"), used, strict=True):
        np.testing.assert_array_equal(values, maps[f"{name}_map"])
    dark = camera.detect(np.zeros((600, 40, 50)), rng())
    np.testing.assert_allclose(dark.mean(axis=0), used.offset, atol=1.5)
    spread = np.sqrt((used.read_noise_e / used.gain_e_per_count) ** 2 + 1 / 12)
    np.testing.assert_allclose(dark.std(axis=0), spread, rtol=0.15)
    bright = camera.detect(np.full((400, 40, 50), 5000.0), rng()).mean(axis=0)
    np.testing.assert_allclose(bright, used.offset + 5000 * used.response / used.gain_e_per_count, rtol=0.004)


def test_a_map_beside_drawn_ones_leaves_those_as_they_are(tmp_path: Path, maps: Any) -> None:
    drawn, mixed = Scmos().maps(40, 50), measured_camera(tmp_path, "offset_map").maps(40, 50)
    np.testing.assert_array_equal(mixed.offset, maps["offset_map"])
    for name in ("response", "gain_e_per_count", "read_noise_e"):
        np.testing.assert_array_equal(getattr(mixed, name), getattr(drawn, name))


def test_a_region_is_cut_from_the_sensor(tmp_path: Path, maps: Any) -> None:
    part = measured_camera(tmp_path, "offset_map", roi_origin_px=(7, 11)).maps(16, 20).offset
    np.testing.assert_array_equal(part, maps["offset_map"][7:23, 11:31])
    whole = measured_camera(tmp_path, "offset_map", roi_origin_px=(900, 900)).maps(40, 50).offset
    np.testing.assert_array_equal(whole, maps["offset_map"])


def test_maps_are_part_of_the_digest(tmp_path: Path, maps: Any) -> None:
    first = measured_camera(tmp_path, "offset_map")
    assert list(first.input_files()) == ["offset_map"]
    assert first.digest == measured_camera(tmp_path, "offset_map").digest
    tifffile.imwrite(tmp_path / "offset_map.tif", maps["offset_map"] + 1)
    again = measured_camera(tmp_path, "offset_map")
    assert again.digest != first.digest
    np.testing.assert_array_equal(again.maps(40, 50).offset, maps["offset_map"] + 1)


def test_maps_lie_beside_the_scene(tmp_path: Path, maps: Any) -> None:
    (tmp_path / "scene.yaml").write_text(
        "mishape: 1\n"
        "objects: [{shape: {kind: implicit, form: sphere, radius_nm: 300}}]\n"
        "views:\n"
        "  epi:\n"
        "    grid: {shape: [2, 40, 50], pixel_nm: 100, z_step_nm: 100}\n"
        "    microscope: {kind: epi, preset: epi1}\n"
        "    noise: {kind: scmos, offset_map: offset_map.tif}\n"
    )
    image = mishape.simulate(load_spec(tmp_path / "scene.yaml").scene(0)).images["epi"]
    corners = np.ix_([0, 1], [0, -1], [0, -1])
    np.testing.assert_allclose(image[corners], np.stack([maps["offset_map"][corners[1:]]] * 2)[:, 0], atol=25)
    (tmp_path / "offset_map.tif").unlink()
    with pytest.raises(SpecError, match=r"scene\.yaml:7:.*offset_map 'offset_map\.tif' does not exist"):
        load_spec(tmp_path / "scene.yaml")


WRONG: list[tuple[str, Any, str]] = [
    (
        "offset_map",
        np.full((40, 50), -1.0),
        "offset_map 'wrong.tif' holds -1 at row 0, column 0 (2000 such pixels in "
        "all): every value must be from 0 to 65535 (counts)",
    ),
    ("offset_map", np.where(np.eye(40, 50, 3), np.nan, 100.0), "holds nan at row 0, column 3 (40 such pixels in all)"),
    ("read_noise_map", np.full((40, 50), -0.1), "holds -0.1 at row 0, column 0"),
    ("read_noise_map", np.full((40, 50), np.inf), "holds inf at row 0, column 0"),
    (
        "gain_map",
        np.zeros((40, 50)),
        "holds 0 at row 0, column 0 (2000 such pixels in all): every value must be from "
        "1e-06 to 1000 (electrons per count)",
    ),
    ("response_map", np.full((40, 50), 4000.0), "every value must be from 0 to 10 (relative sensitivity, about 1)"),
    ("offset_map", np.ones((2, 40, 50)), "offset_map 'wrong.tif' has 2 planes: give one, such as the mean of frames"),
    ("offset_map", np.ones((40, 50, 3), np.uint8), "wrong.tif' holds YXS uint8: expected a greyscale image or stack"),
    (
        "gain_map",
        np.ones((40, 49)),
        "maps of one sensor must have one shape, these have rows x columns: "
        "gain_map 40 x 49, read_noise_map 40 x 50: crop them alike",
    ),
]


@pytest.mark.parametrize(
    ("parameter", "values", "text"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.usefixtures("maps")
def test_wrong_maps_are_refused(tmp_path: Path, parameter: str, values: Any, text: str) -> None:
    tifffile.imwrite(tmp_path / "wrong.tif", values.astype(np.float32) if values.dtype == float else values)
    other = {} if parameter == "read_noise_map" else {"read_noise_map": "read_noise_map.tif"}
    with pytest.raises(ValidationError) as caught:
        Scmos.model_validate({parameter: "wrong.tif", **other}, context={"folder": tmp_path})
    assert text in caught.value.errors()[0]["msg"]


def test_files_that_are_no_maps_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("no TIFF")
    for path, text in (("text.tif", "cannot be read as TIFF"), ("none.tif", "offset_map 'none.tif' does not exist")):
        with pytest.raises(ValidationError, match=text):
            Scmos.model_validate({"offset_map": path}, context={"folder": tmp_path})
    with pytest.raises(ValidationError, match="3 is not text \\(TIFF of measured counts in the dark"):
        Scmos.model_validate({"offset_map": 3})


@pytest.mark.usefixtures("maps")
def test_a_map_that_does_not_hold_the_image(tmp_path: Path) -> None:
    camera = measured_camera(tmp_path, "gain_map", roi_origin_px=(30, 0))
    with pytest.raises(MishapeError) as caught:
        camera.detect(np.ones((1, 16, 16)), rng())
    assert str(caught.value) == (
        "gain_map 'gain_map.tif' has 40 x 50 pixels, the image has 16 x 16 from row 30 and column 0 of the sensor "
        "(roi_origin_px): give a map of the image's size, or one of the sensor that holds this region"
    )
