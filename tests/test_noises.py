"""Detectors against what is known of them: photon transfer, EMVA 1288, the definitions of SBR, renewal statistics."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np
import pytest
from conftest import Accuracy
from numpy.typing import NDArray
from pydantic import ValidationError

from mishape.engine.arrays import to_numpy
from mishape.engine.errors import MishapeError
from mishape.plugins.noises.emccd import Emccd
from mishape.plugins.noises.none import NoNoise
from mishape.plugins.noises.pmt import Pmt
from mishape.plugins.noises.poisson import Poisson
from mishape.plugins.noises.scmos import Scmos

EVEN: dict[str, Any] = {
    "read_noise_spread": 0.0,
    "gain_spread": 0.0,
    "offset_spread": 0.0,
    "prnu": 0.0,
}
"""An sCMOS without a fixed pattern."""


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(level: float, shape: tuple[int, int, int] = (1, 300, 300)) -> NDArray[np.float64]:
    return np.full(shape, level)


def blob(peak: float = 100.0) -> NDArray[np.float64]:
    """Three planes with a Gaussian spot, brightest in the middle one and dark towards the edges."""
    y, x = np.mgrid[-64:65, -64:65]
    spot: NDArray[np.float64] = np.exp(-(x**2 + y**2) / 200.0)
    return np.multiply.outer([0.5 * peak, peak, 0.25 * peak], spot)


ALL = [
    NoNoise(),
    Poisson(background=20),
    Poisson(background=100, sbr=3),
    Scmos(background=10),
    Emccd(background=10),
    Emccd(em_gain=1),
    Pmt(),
    Pmt(mode="counting"),
]


@pytest.mark.usefixtures("each_path")
@pytest.mark.parametrize("noise", ALL, ids=repr)
def test_same_seed_same_bytes(noise: Any, accuracy: Accuracy) -> None:
    first, again = noise.detect(blob(), rng(5)), noise.detect(blob(), rng(5))
    assert first.dtype == np.uint16
    assert first.shape == (3, 129, 129)
    changed = np.count_nonzero(first != again)
    accuracy(21, "pixels that differ between equal seeds", changed, abs=0.0, case=noise.kind)
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("noise", ALL, ids=repr)
def test_photons_of_any_array_library(noise: Any) -> None:
    foreign = array_api_strict.asarray(blob())
    np.testing.assert_array_equal(noise.detect(foreign, rng(5)), noise.detect(blob(), rng(5)))


@pytest.mark.parametrize("noise", ALL, ids=repr)
def test_nan_is_refused(noise: Any) -> None:
    with pytest.raises(MishapeError, match=r"expected photons hold NaN or infinity: the microscope's image is wrong"):
        noise.detect(flat(np.nan), rng())


@pytest.mark.usefixtures("each_path")
@pytest.mark.parametrize(
    ("noise", "highest"),
    [
        (NoNoise(), 65535),
        (Poisson(), 65535),
        (Scmos(offset_spread=0, gain_spread=0, read_noise_e=0), 100 + round(45000 / 0.7)),
        (Emccd(), 65535),
        (Emccd(em_gain=1, offset_spread=0, read_noise_e=0), 100 + 80000 // 5),
        (Pmt(), 65535),
        (Pmt(mode="counting", dwell_us=1, dead_time_ns=50), 20),
    ],
    ids=repr,
)
def test_light_beyond_every_limit_saturates(noise: Any, highest: int) -> None:
    assert np.unique(noise.detect(flat(1e300, (1, 4, 4)), rng())).tolist() == [highest]


def test_rounding_below_zero_is_no_light() -> None:
    assert NoNoise().detect(np.array([[[-1e-9, 0.4, 0.6, 7e4]]]), rng()).tolist() == [[[0, 0, 1, 65535]]]
    many = NoNoise(counts_per_photon=50)
    assert many.detect(np.array([[[-1e-9, 0.4, 0.61, 7e4]]]), rng()).tolist() == [[[0, 20, 30, 65535]]]


# Poisson


@pytest.mark.usefixtures("each_path")
def test_poisson_keeps_photons_and_their_variance(accuracy: Accuracy) -> None:
    image = Poisson().detect(flat(50), rng()).astype(float)
    accuracy(18, "image sum / photons", image.sum() / (50 * 300 * 300), 1, abs=0.005, case="poisson")
    accuracy(18, "variance / mean", image.var() / image.mean(), 1, abs=0.02, case="poisson")


def test_poisson_qe_comes_before_the_draw() -> None:
    image = Poisson(qe=0.7, background=5).detect(flat(50), rng()).astype(float)
    assert image.mean() == pytest.approx(0.7 * 50 + 5, rel=0.005)
    assert image.var() / image.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("sbr", [2, 3, 4])
def test_sbr_peak_over_background(sbr: float, accuracy: Accuracy) -> None:
    noise = Poisson(background=100, sbr=sbr)
    expected = noise.expected(blob(0.37))
    assert expected.max() == pytest.approx(sbr * 100)
    assert expected[0].max() == pytest.approx(100 + (sbr - 1) * 100 / 2), "a stack shares one scale"
    corner = noise.detect(blob(0.37), rng())[:, :40, :40]
    accuracy(20, "background's median / b", np.median(corner) / 100, 1, abs=0.01, case=f"SBR {sbr}")
    accuracy(20, "noise-free peak / (SBR b)", expected.max() / (sbr * 100), 1, abs=0.01, case=f"SBR {sbr}")


def test_sbr_contrast() -> None:
    expected = Poisson(background=50, sbr=3, sbr_definition="contrast").expected(blob())
    assert (expected.max() - 50) / 50 == pytest.approx(3)


def test_sbr_foreground_mean() -> None:
    image = blob()
    signal = Poisson(background=50, sbr=3, sbr_definition="foreground_mean").expected(image) - 50
    mask = image >= image.max() / 2
    assert 0 < mask.sum() < mask.size / 2
    assert signal[mask].mean() / 50 == pytest.approx(3)


@pytest.mark.parametrize("definition", ["peak_over_background", "contrast", "foreground_mean"])
def test_sbr_of_nothing_is_background(definition: str) -> None:
    noise = Poisson.model_validate({"background": 100, "sbr": 2, "sbr_definition": definition})
    assert noise.detect(flat(0), rng()).mean() == pytest.approx(100, rel=0.005)


def test_sbr_does_not_truncate() -> None:
    levels = Poisson(background=1, sbr=1.5).expected(np.array([[[0.0, 1.0, 2.0]]]))
    np.testing.assert_allclose(levels, [[[1.0, 1.25, 1.5]]])


def test_only_sbr_rescales() -> None:
    assert Poisson(background=100, sbr=2).rescales
    assert not Poisson(background=100).rescales


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"sbr": 3}, "sbr is a ratio to the background, and background is 0: set background, for example 100"),
        ({"sbr": 0.5, "background": 9}, "sbr 0.5 with peak_over_background puts the peak below the background"),
        ({"sbr": 3, "background": 9, "qe": 0.5}, "qe has no effect: leave out qe or sbr"),
        ({"background": -1}, "-1 is too small: must be at least 0 (background light in photoelectrons per pixel)"),
        ({"qe": 1.5}, "1.5 is too large: must be at most 1 (quantum efficiency, photoelectrons per photon"),
        ({"sbr_definition": "contrst"}, "'contrst' is not known: did you mean 'contrast'?"),
        ({"backgruond": 1}, "unknown key 'backgruond': did you mean 'background'?"),
    ],
)
def test_poisson_error_texts(parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Poisson.model_validate(parameters)
    assert text in caught.value.errors()[0]["msg"]


# sCMOS


def ideal_scmos(**changes: Any) -> Scmos:
    ideal = {"qe": 1.0, "gain_e_per_count": 1.0, "read_noise_e": 0.0, "dark_current_e_per_s": 0.0, "offset": 0.0}
    return Scmos.model_validate({**ideal, **EVEN, **changes})


def test_ideal_scmos_keeps_photons(accuracy: Accuracy) -> None:
    image = ideal_scmos().detect(flat(200), rng()).astype(float)
    accuracy(18, "image sum / photons", image.sum() / (200 * 300 * 300), 1, abs=0.005, case="scmos")
    accuracy(18, "variance / mean", image.var() / image.mean(), 1, abs=0.02, case="scmos")


@pytest.mark.usefixtures("each_path")
def test_photon_transfer_slope_is_one_over_gain(accuracy: Accuracy) -> None:
    camera = ideal_scmos(gain_e_per_count=0.5, offset=100.0, read_noise_e=2.0, full_well_e=1e6)
    levels = np.linspace(200, 4000, 12)
    images = [camera.detect(flat(level), rng(number)).astype(float) for number, level in enumerate(levels)]
    slope = np.polyfit([image.mean() for image in images], [image.var() for image in images], 1)[0]
    accuracy(18, "photon-transfer slope, counts per electron", slope, 1 / 0.5, rel=0.01)


@pytest.mark.usefixtures("each_path")
def test_emva_mean_and_variance() -> None:
    camera = Scmos(
        qe=0.7, background=20, exposure_ms=500, dark_current_e_per_s=4, gain_e_per_count=2.0, read_noise_e=3.0, **EVEN
    )
    gain = 1 / 2.0
    image = camera.detect(flat(100, (1, 1000, 1000)), rng()).astype(float)
    electrons = 0.7 * (100 + 20) + 4 * 0.5
    assert image.mean() == pytest.approx(100 + gain * electrons, rel=0.001)
    assert image.var() == pytest.approx(gain**2 * 3.0**2 + 1 / 12 + gain * (image.mean() - 100), rel=0.01)


def test_qe_comes_before_the_draw(accuracy: Accuracy) -> None:
    image = ideal_scmos(qe=0.7).detect(flat(300), rng()).astype(float)
    assert image.mean() == pytest.approx(210, rel=0.005)
    accuracy(25, "QE 0.7: variance / mean", image.var() / image.mean(), 1, abs=0.02)


def test_full_well_clips_before_the_gain() -> None:
    image = ideal_scmos(full_well_e=1000.0, gain_e_per_count=2.0, offset=10.0).detect(flat(5000), rng())
    assert np.unique(image).tolist() == [510]


def test_converter_clips_at_its_bit_depth() -> None:
    assert np.unique(ideal_scmos(bit_depth=8).detect(flat(5000), rng())).tolist() == [255]


@pytest.mark.usefixtures("each_path")
def test_dark_frames_reproduce_the_offset_map() -> None:
    camera = Scmos(dark_current_e_per_s=0, camera_seed=3)
    truth = camera.maps(24, 24)
    frames = camera.detect(np.zeros((1000, 24, 24)), rng()).astype(float)
    assert np.std(truth.offset) == pytest.approx(2, rel=0.15)
    residuals = [np.std(frames[:count].mean(axis=0) - truth.offset) for count in (10, 1000)]
    assert residuals[0] / residuals[1] == pytest.approx(10, rel=0.15)
    noise = np.sqrt((truth.read_noise_e / truth.gain_e_per_count) ** 2 + 1 / 12)
    np.testing.assert_allclose(frames.std(axis=0), noise, rtol=0.12)
    assert residuals[1] == pytest.approx(np.sqrt((noise**2).mean() / 1000), rel=0.1)


@pytest.mark.usefixtures("each_path")
def test_gain_and_response_maps_are_those_of_the_light() -> None:
    camera = Scmos(read_noise_e=0, gain_spread=0.05, prnu=0.05)
    truth = camera.maps(16, 16)
    mean = camera.detect(flat(2000, (500, 16, 16)), rng()).mean(axis=0)
    expected = truth.offset + (2000 * 0.9 * truth.response + camera.dark_e) / truth.gain_e_per_count
    np.testing.assert_allclose(mean, expected, rtol=0.006)


def test_read_noise_is_a_median() -> None:
    noise = Scmos(read_noise_e=1.2, read_noise_spread=0.5).maps(512, 512).read_noise_e
    assert np.median(noise) == pytest.approx(1.2, rel=0.01)
    assert np.log(noise).std() == pytest.approx(0.5, rel=0.01)


def test_fixed_pattern_belongs_to_the_sensor() -> None:
    whole = Scmos().maps(600, 520)
    part = Scmos(roi_origin_px=(250, 300)).maps(70, 200)
    for name in whole._fields:
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[250:320, 300:500], err_msg=name)


def test_tiles_differ_from_each_other_and_between_cameras() -> None:
    offset = Scmos().maps(512, 512).offset
    tiles = [offset[:256, :256], offset[256:, :256], offset[:256, 256:], Scmos(camera_seed=1).maps(256, 256).offset]
    correlation = np.corrcoef([tile.ravel() for tile in tiles])
    assert np.abs(correlation - np.eye(4)).max() < 0.02


def test_maps_differ_from_each_other() -> None:
    correlation = np.corrcoef([values.ravel() for values in Scmos().maps(256, 256)])
    assert np.abs(correlation - np.eye(4)).max() < 0.02


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"bit_depth": 24}, "24 is too large: must be at most 16 (bits of the converter, 1 to 16)"),
        ({"qe": 0}, "0 is too small: must be above 0 (quantum efficiency, electrons per photon)"),
        ({"read_noise": 1.6}, "unknown key 'read_noise': did you mean 'read_noise_e'?"),
        ({"camera_seed": 1.5}, "1.5 is not a whole number (which specimen of the camera: fixes all of its maps"),
        ({"roi_origin_px": [0, -1]}, "-1 is too small: must be at least 0"),
    ],
)
def test_scmos_error_texts(parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Scmos.model_validate(parameters)
    assert text in caught.value.errors()[0]["msg"]


# PMT


@pytest.mark.usefixtures("each_path")
@pytest.mark.parametrize("factor", [1.0, 1.1, 1.5])
def test_pmt_excess_noise(factor: float) -> None:
    pmt = Pmt(qe=0.5, dark_counts=0, excess_noise_factor=factor, read_noise_e=0, gain_counts_per_e=50, offset=0)
    electrons = pmt.detect(flat(40), rng()) / 50
    assert electrons.mean() == pytest.approx(20, rel=0.005)
    assert electrons.var() / electrons.mean() == pytest.approx(factor**2, rel=0.02)


def test_pmt_in_the_dark() -> None:
    image = Pmt(dark_counts=0, read_noise_e=0.5).detect(flat(0), rng()).astype(float)
    assert image.mean() == pytest.approx(100, rel=0.001)
    assert image.std() == pytest.approx(5, rel=0.01)


def test_pmt_background_and_dark_counts() -> None:
    image = Pmt(qe=0.5, background=8, dark_counts=3).detect(flat(10), rng())
    assert (image.mean() - 100) / 10 == pytest.approx(0.5 * (10 + 8) + 3, rel=0.005)


@pytest.mark.usefixtures("each_path")
def test_counting_without_dead_time_is_poisson() -> None:
    image = Pmt(mode="counting", qe=0.4, dead_time_ns=0, dark_counts=0).detect(flat(50), rng()).astype(float)
    assert image.mean() == pytest.approx(20, rel=0.005)
    assert image.var() / image.mean() == pytest.approx(1, abs=0.02)


def counted_pulse_by_pulse(mean: float, dead: float, dwells: int) -> NDArray[np.int64]:
    """Count by following every pulse: the slow reference for the draw from the distribution."""
    random, counts = rng(7), np.zeros(dwells, dtype=np.int64)
    for dwell in range(dwells):
        free = 0.0
        for pulse in np.sort(random.random(random.poisson(mean))):
            if pulse >= free:
                counts[dwell] += 1
                free = pulse + dead
    return counts


@pytest.mark.parametrize(("mean", "dead_ns"), [(3.0, 50.0), (20.0, 50.0), (40.0, 5.0)])
def test_dead_time_as_pulse_by_pulse(mean: float, dead_ns: float) -> None:
    pmt = Pmt(mode="counting", qe=1, dark_counts=0, dwell_us=1, dead_time_ns=dead_ns)
    drawn = pmt.detect(flat(mean, (1, 200, 200)), rng()).ravel()
    followed = counted_pulse_by_pulse(mean, dead_ns * 1e-3, 10_000)
    assert drawn.mean() == pytest.approx(followed.mean(), rel=0.01)
    assert drawn.var() == pytest.approx(followed.var(), rel=0.06)
    top = max(drawn.max(), followed.max()) + 1
    distance = np.bincount(drawn, minlength=top) / drawn.size - np.bincount(followed, minlength=top) / followed.size
    assert np.abs(np.cumsum(distance)).max() < 0.02  # Kolmogorov-Smirnov, p = 1e-3 at 0.022


def test_a_dead_time_as_long_as_the_dwell_counts_once() -> None:
    image = Pmt(mode="counting", dwell_us=1, dead_time_ns=5000, qe=1, dark_counts=0).detect(flat(1.0), rng())
    assert image.max() == 1
    assert image.mean() == pytest.approx(1 - np.exp(-1), rel=0.01)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"excess_noise_factor": 0.9}, "0.9 is too small: must be at least 1 (F, analogue only)"),
        ({"mode": "analog"}, "'analog' is not known: did you mean 'analogue'?"),
        ({"qe": "high"}, "'high' is not a number (quantum efficiency, photoelectrons per photon)"),
    ],
)
def test_pmt_error_texts(parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Pmt.model_validate(parameters)
    assert text in caught.value.errors()[0]["msg"]


# Float types, large stacks, batches and devices


DEVICE = [
    NoNoise(),
    Poisson(background=20, qe=0.5),
    Poisson(background=100, sbr=3),
    Poisson(background=100, sbr=3, sbr_definition="foreground_mean"),
    Scmos(background=10),
    Scmos.model_validate({"background": {"kind": "smooth", "mean": 30}, "illumination": {"corner": 0.5}}),
]


def batch() -> NDArray[np.float64]:
    return np.stack([blob(peak) for peak in (10.0, 100.0, 1000.0)])


def library(name: str) -> Any:
    return array_api_strict if name == "strict" else pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["strict", "torch"])
@pytest.mark.parametrize("noise", DEVICE, ids=repr)
def test_a_batch_on_a_device(name: str, noise: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images leave the device once, as counts, and a sample's are the same whatever its batch is."""
    left: list[Any] = []

    def leaving(array: Any) -> NDArray[Any]:
        left.append(array)
        return to_numpy(array)

    monkeypatch.setattr("mishape.plugins.noises.detector.to_numpy", leaving)
    monkeypatch.setattr("mishape.plugins.noises.none.to_numpy", leaving)
    photons = library(name).asarray(batch())
    counts = noise.detect_many(photons, [rng(5), rng(6), rng(7)])
    assert [(tuple(array.shape), array.dtype) for array in left] == [((3, 3, 129, 129), library(name).uint16)]
    assert counts.dtype == np.uint16
    assert counts.shape == (3, 3, 129, 129)
    np.testing.assert_array_equal(counts[2:], noise.detect_many(photons[2:, :, :, :], [rng(7)]))
    if not isinstance(noise, NoNoise):
        assert np.mean(counts[1] != noise.detect_many(photons[1:2, :, :, :], [rng(8)])[0]) > 0.5
    host = np.stack([noise.detect(image, rng(seed)) for image, seed in zip(batch(), (5, 6, 7), strict=True)])
    means = [many.astype(float).mean(axis=(1, 2, 3)) for many in (counts, host)]
    # A smooth background is drawn by the same numbers on both; the rest is independent: counts of at most 1 / 0.7 e.
    assert np.all(np.abs(means[0] - means[1]) <= 5 * np.sqrt(2 * means[1] / 0.7 / host[0].size))


@pytest.mark.parametrize("name", ["strict", "torch"])
def test_emva_on_a_device(name: str) -> None:
    camera = Scmos(qe=0.7, background=20, exposure_ms=500, gain_e_per_count=2.0, read_noise_e=3.0, **EVEN)
    photons = library(name).asarray(flat(100, (1, 600, 600))[None])
    image = camera.detect_many(photons, [rng()]).astype(float)
    electrons = 0.7 * (100 + 20) + 0.5 * 0.5
    assert image.mean() == pytest.approx(100 + electrons / 2, rel=0.001)
    assert image.var() == pytest.approx((9 + electrons) / 4 + 1 / 12, rel=0.01)


@pytest.mark.parametrize("noise", [*ALL, *DEVICE], ids=repr)
def test_a_batch_on_the_host_has_the_bytes_of_its_samples(noise: Any) -> None:
    """So has one on a device, of a detector whose gains can only be drawn on the host."""
    counts = noise.detect_many(batch(), [rng(5), rng(6), rng(7)])
    for number, image in enumerate(batch()):
        np.testing.assert_array_equal(counts[number], noise.detect(image, rng(5 + number)))
    if isinstance(noise, Emccd | Pmt):
        foreign = array_api_strict.asarray(batch())
        np.testing.assert_array_equal(counts, noise.detect_many(foreign, [rng(5), rng(6), rng(7)]))


def test_a_batch_needs_a_generator_for_each_sample() -> None:
    for photons in (batch(), array_api_strict.asarray(batch())):
        with pytest.raises(MishapeError, match=r"^a batch of 3 images needs 3 generators, not 1: give one for each"):
            Scmos().detect_many(photons, [rng(5)])


def test_nan_on_a_device_is_refused() -> None:
    with pytest.raises(MishapeError, match=r"expected photons hold NaN or infinity"):
        Scmos().detect_many(array_api_strict.asarray(flat(np.inf, (1, 4, 4))[None]), [rng()])


@pytest.mark.usefixtures("each_path")
@pytest.mark.parametrize("noise", ALL, ids=repr)
def test_single_precision_is_enough(noise: Any) -> None:
    """The same seed gives the same law from float32 photons, as imaging makes them."""
    single, double = (noise.detect(blob().astype(dtype), rng(5)).astype(float) for dtype in (np.float32, np.float64))
    assert single.mean() == pytest.approx(double.mean(), rel=0.01)
    assert single.std() == pytest.approx(double.std(), rel=0.02)


def test_a_large_stack_is_detected_in_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes beyond a slab go on with the same generator: the law and the fixed pattern stay."""
    monkeypatch.setattr("mishape.plugins.noises.detector.SLAB_PX", 5 * 32 * 32)
    camera = Scmos(camera_seed=2, prnu=0.05, gain_spread=0.05)
    image = camera.detect(flat(500, (402, 32, 32)), rng()).astype(float)
    truth = camera.maps(32, 32)
    expected = truth.offset + (500 * 0.9 * truth.response + camera.dark_e) / truth.gain_e_per_count
    np.testing.assert_allclose(image.mean(axis=0), expected, rtol=0.011)
    assert abs(np.corrcoef((image[[0, 5]] - expected).reshape(2, -1))[0, 1]) < 0.15
