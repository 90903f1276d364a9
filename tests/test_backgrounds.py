"""Background fields and uneven illumination: exact means, stated shapes, no draw where nothing is random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from jsonschema import Draft7Validator
from pydantic import ValidationError

from mishape.engine.errors import SpecError
from mishape.engine.schema import scene_schema
from mishape.engine.spec import load_spec
from mishape.plugins.noises.background import Gradient, Smooth
from mishape.plugins.noises.emccd import Emccd
from mishape.plugins.noises.illumination import Illumination
from mishape.plugins.noises.pmt import Pmt
from mishape.plugins.noises.poisson import Poisson
from mishape.plugins.noises.scmos import Scmos
from mishape.testing import check_noise

DETECTORS = [Poisson, Scmos, Emccd, Pmt]
FIELDS: list[dict[str, Any]] = [
    {"kind": "gradient", "mean": 40, "direction_deg": 30},
    {"kind": "smooth", "mean": 40, "correlation_px": 20},
]


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field["kind"])
def test_every_detector_takes_every_field(detector: Any, field: dict[str, Any]) -> None:
    noise = detector(background=field, illumination={"corner": 0.8})
    check_noise(noise)
    assert noise.model_dump(mode="json", exclude_unset=True)["background"] == field
    assert noise.digest != detector(background=40, illumination={"corner": 0.8}).digest


@pytest.mark.parametrize("detector", DETECTORS)
def test_even_fields_give_the_bytes_of_a_constant(detector: Any) -> None:
    photons = np.full((2, 20, 30), 7.0)
    flat = detector(background={"kind": "gradient", "mean": 40, "relative_range": 0}, illumination={"corner": 1})
    np.testing.assert_array_equal(flat.detect(photons, rng()), detector(background=40).detect(photons, rng()))


def test_gradient() -> None:
    field = Gradient(kind="gradient", mean=60, relative_range=0.5).light(20, 31, None)
    assert field.mean() == pytest.approx(60, rel=1e-12)
    np.testing.assert_allclose(field[:, [0, -1]], np.tile([45.0, 75.0], (20, 1)), rtol=1e-12)
    np.testing.assert_allclose(np.diff(field, axis=1), 1.0, rtol=1e-9)  # 30 over 30 steps
    np.testing.assert_array_equal(field, np.broadcast_to(field[0], field.shape))


def test_gradient_direction() -> None:
    down = Gradient(kind="gradient", mean=60, direction_deg=90).light(11, 5, None)
    assert (np.diff(down, axis=0) > 0).all()
    np.testing.assert_allclose(down, np.broadcast_to(down[:, :1], down.shape), rtol=1e-12)
    aslant = Gradient(kind="gradient", mean=60, relative_range=2, direction_deg=225).light(9, 17, None)
    assert aslant.min() == pytest.approx(0, abs=1e-9)
    assert aslant[0, 0] == aslant.max() == pytest.approx(120)
    assert aslant.mean() == pytest.approx(60, rel=1e-12)


def test_one_pixel_has_the_mean() -> None:
    for field in (Gradient(kind="gradient", mean=60), Smooth(kind="smooth", mean=60)):
        np.testing.assert_allclose(field.light(1, 1, rng()), [[60.0]], rtol=1e-12)
    assert Illumination(corner=0.3).profile(1, 1) == 1


def test_smooth_has_its_mean_and_spread() -> None:
    smooth = Smooth(kind="smooth", mean=30, relative_sd=0.4, correlation_px=10)
    fields = [smooth.light(300, 300, rng(seed)) for seed in range(8)]
    for field in fields:
        assert field.mean() == pytest.approx(30, rel=1e-12)
        assert field.min() > 0
    assert np.mean([field.std() for field in fields]) / 30 == pytest.approx(0.4, rel=0.05)
    skew = np.mean([((field / 30 - 1) ** 3).mean() for field in fields]) / 0.4**3
    assert skew == pytest.approx(3 * 0.4 + 0.4**3, rel=0.3)  # of a logarithmic normal distribution


def test_smooth_correlation_length() -> None:
    smooth = Smooth(kind="smooth", mean=1, relative_sd=0.05, correlation_px=12)
    logs = [np.log(smooth.light(256, 256, rng(seed))) for seed in range(10)]
    for distance, expected in ((6, np.exp(-0.25)), (12, np.exp(-1)), (24, np.exp(-4))):
        found = [np.corrcoef(log[:, distance:].ravel(), log[:, :-distance].ravel())[0, 1] for log in logs]
        found += [np.corrcoef(log[distance:].ravel(), log[:-distance].ravel())[0, 1] for log in logs]
        assert np.mean(found) == pytest.approx(expected, abs=0.05)


def test_a_field_narrower_than_its_correlation_is_nearly_flat() -> None:
    field = Smooth(kind="smooth", mean=30, relative_sd=0.5, correlation_px=5000).light(64, 64, rng())
    assert field.std() / field.mean() < 0.02


def test_planes_share_the_field_and_samples_do_not() -> None:
    noise = Poisson(background=Smooth(kind="smooth", mean=5e3, relative_sd=0.3, correlation_px=8))
    image = noise.detect(np.zeros((2, 80, 80)), rng(1)).astype(float)
    other = noise.detect(np.zeros((1, 80, 80)), rng(2)).astype(float)[0]
    correlation = np.corrcoef([image[0].ravel(), image[1].ravel(), other.ravel()])
    assert correlation[0, 1] > 0.99
    assert abs(correlation[0, 2]) < 0.3


def test_only_a_smooth_field_draws() -> None:
    for background, draws in ((9.0, False), (Gradient(kind="gradient", mean=9), False), (FIELDS[1], True)):
        generator, untouched = rng(), rng()
        noise = Scmos.model_validate({"background": background})
        noise.background_light(np.zeros((1, 8, 8)), generator)
        assert (generator.bit_generator.state != untouched.bit_generator.state) == draws


def test_same_seed_same_bytes() -> None:
    noise = Scmos.model_validate({"background": FIELDS[1]})
    first, again = (noise.detect(np.ones((2, 40, 40)), rng(5)).tobytes() for _ in range(2))
    assert first == again


def test_expectation_of_a_smooth_field_is_its_mean() -> None:
    noise = Poisson.model_validate({"background": FIELDS[1]})
    np.testing.assert_array_equal(noise.expected(np.zeros((1, 6, 6))), np.full((1, 6, 6), 40.0))
    drawn = noise.expected(np.zeros((1, 6, 6)), rng())
    assert drawn.std() > 0
    assert drawn.mean() == pytest.approx(40)


@pytest.mark.parametrize("definition", ["peak_over_background", "contrast", "foreground_mean"])
@pytest.mark.parametrize("background", [100, *({**field, "mean": 100} for field in FIELDS)], ids=str)
def test_sbr_refers_to_the_mean_background(definition: str, background: Any) -> None:
    y, x = np.mgrid[-64:65, -64:65]
    light = np.exp(-(x**2 + y**2) / 200.0)[None]
    noise = Poisson.model_validate({"background": background, "sbr": 3, "sbr_definition": definition})
    seed = 4
    signal = noise.expected(light, rng(seed)) - noise.expected(0 * light, rng(seed))
    image = noise.detect(light, rng(seed)) - signal
    assert np.median(image) == pytest.approx(100, rel=0.05 if isinstance(background, dict) else 0.01)
    assert image.mean() == pytest.approx(100, rel=0.01)
    found = {
        "peak_over_background": 1 + signal.max() / 100,
        "contrast": signal.max() / 100,
        "foreground_mean": signal[light >= 0.5].mean() / 100,
    }
    assert found[definition] == pytest.approx(3)


# Illumination


def test_profile() -> None:
    profile = Illumination(corner=0.6).profile(41, 61)
    assert profile[20, 30] == profile.max() == 1
    np.testing.assert_allclose(profile[[0, 0, -1, -1], [0, -1, 0, -1]], 0.6, rtol=1e-12)
    assert profile[20, 0] == pytest.approx(0.6 ** (30**2 / (20**2 + 30**2)))
    assert profile[35, 30] < profile[25, 30]


def test_profile_off_centre() -> None:
    profile = Illumination(corner=0.6, center_px=(5, -8)).profile(41, 61)
    assert np.unravel_index(np.argmax(profile), profile.shape) == (25, 22)
    assert profile[0, -1] < 0.6 < profile[-1, 0]


def test_light_is_dimmed_and_background_is_not() -> None:
    noise = Poisson(background=7, illumination=Illumination(corner=0.5))
    profile = Illumination(corner=0.5).profile(21, 21)
    np.testing.assert_allclose(noise.expected(np.full((2, 21, 21), 100.0)), np.stack([7 + 100 * profile] * 2))
    for detector in (Scmos, Emccd, Pmt):
        uneven = detector(illumination=Illumination(corner=0.5))
        np.testing.assert_array_equal(uneven.fluorescence(np.ones((1, 21, 21))), profile[None])


# Errors and schema


@pytest.mark.parametrize(
    ("parameters", "place", "text"),
    [
        (
            {"background": "abc"},
            "background",
            "'abc' is not a number (background light in photons per pixel and exposure)",
        ),
        ({"background": True}, "background", "true is not a number"),
        ({"background": [1, 2]}, "background", "[1, 2] is not a number"),
        ({"background": -3}, "background", "-3 is too small: must be at least 0"),
        ({"background": {"kind": "slope"}}, "background.kind", "'slope' is not known: (known: gradient, smooth)"),
        ({"background": {"kind": "smoth"}}, "background.kind", "did you mean 'smooth'?"),
        ({"background": {"mean": 3}}, "background.kind", "required key is missing (``gradient`` or ``smooth``)"),
        (
            {"background": {"kind": "smooth"}},
            "background.mean",
            "required key is missing (mean over the image's pixels",
        ),
        ({"background": {"kind": "gradient", "mean": -3}}, "background.mean", "-3 is too small: must be at least 0"),
        (
            {"background": {"kind": "smooth", "mean": 3, "corelation_px": 4}},
            "background.corelation_px",
            "unknown key 'corelation_px': did you mean 'correlation_px'?",
        ),
        (
            {"background": {"kind": "gradient", "mean": 3, "relative_range": 2.1}},
            "background.relative_range",
            "2.1 is too large: must be at most 2 (highest less lowest pixel over the mean, 0 to 2)",
        ),
        ({"illumination": "even"}, "illumination", "'even' is not a mapping of keys to values"),
        ({"illumination": {"corner": 0}}, "illumination.corner", "0 is too small: must be above 0 (level at"),
        ({"illumination": {"center_px": [1]}}, "illumination.center_px.1", "item 2 is missing (row and column"),
    ],
)
def test_error_texts(parameters: dict[str, Any], place: str, text: str) -> None:
    for detector in (Scmos, Emccd, Pmt):
        with pytest.raises(ValidationError) as caught:
            detector.model_validate(parameters)
        (line,) = caught.value.errors()
        assert ".".join(map(str, line["loc"])) == place
        assert text in line["msg"]


def test_the_mean_of_a_field_has_the_limits_of_a_constant() -> None:
    with pytest.raises(ValidationError, match="too large: must be at most 65535 \\(background light in photoelectrons"):
        Poisson.model_validate({"background": {"kind": "gradient", "mean": 99999}})
    with pytest.raises(ValidationError, match="background is 0: set background, for example 100"):
        Poisson.model_validate({"background": {"kind": "gradient", "mean": 0}, "sbr": 3})


def scene(noise: dict[str, Any]) -> dict[str, Any]:
    return {
        "mishape": 1,
        "objects": [{"shape": {"kind": "implicit", "form": "sphere", "radius_nm": 300}}],
        "views": {
            "epi": {
                "grid": {"shape": [1, 8, 8], "pixel_nm": 100},
                "microscope": {"kind": "epi", "preset": "epi1"},
                "noise": noise,
            }
        },
    }


DRAWN = {"$uniform": [50, 100]}
NOISES: list[tuple[dict[str, Any], bool]] = [
    ({"background": DRAWN}, True),
    ({"background": {"kind": "gradient", "mean": DRAWN, "direction_deg": {"$uniform": [0, 360]}}}, True),
    ({"background": {"kind": "smooth", "mean": DRAWN, "relative_sd": {"$loguniform": [0.1, 0.5]}}}, True),
    ({"background": {"$choice": [5, {"kind": "smooth", "mean": 9}]}}, True),
    ({"illumination": {"corner": {"$uniform": [0.5, 1]}, "center_px": [{"$normal": [0, 4]}, 0]}}, True),
    ({"background": {"kind": "slope", "mean": 3}}, False),
    ({"background": {"mean": 3}}, False),
    ({"background": {"kind": "smooth"}}, False),
    ({"background": "abc"}, False),
    ({"background": -1}, False),
    ({"illumination": {"corner": 2}}, False),
]


@pytest.mark.parametrize("kind", ["poisson", "scmos", "emccd", "pmt"])
def test_schema_and_reader_agree(kind: str) -> None:
    validator = Draft7Validator(scene_schema())
    for parameters, right in NOISES:
        document = scene({"kind": kind, **parameters})
        assert validator.is_valid(document) == right, parameters
        if right:
            load_spec(document).scene(0)
        else:
            with pytest.raises(SpecError, match=r"views\.epi\.noise\."):
                load_spec(document)


def test_an_end_of_a_draw_inside_a_field_is_checked() -> None:
    with pytest.raises(SpecError, match=r"noise\.background\.mean: -1 is too small.*\$uniform can give this"):
        load_spec(scene({"kind": "scmos", "background": {"kind": "smooth", "mean": {"$uniform": [-1, 3]}}}))
