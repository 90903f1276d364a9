"""An image as networks of shapes are given it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mishape.learn.light import OPTICS, LightError, light_of, noise_of, optics_of
from mishape.plugins.microscopes.measured import Measured
from tests.small_light import view_of


def spots(planes: int = 1, background: float = 100.0) -> NDArray[np.int64]:
    """An image with Poisson noise, an eighth of it bright."""
    expected = np.full((planes, 64, 64), background)
    expected[:, 24:40, 16:48] += 5 * background
    return np.random.default_rng(3).poisson(expected)


def test_brightness_goes_from_0_to_1() -> None:
    """Percentiles 20 and 99.8 become 0 and 1, whatever the camera's gain and offset."""
    counts = spots(3)
    light = light_of(counts, view_of(3, 64))
    np.testing.assert_allclose(np.percentile(light.planes, (20, 99.8)), (0, 1), atol=1e-5)
    assert light.planes.shape == (3, 64, 64)
    assert light.planes.dtype == np.float32
    again = light_of(7.0 * counts + 400.0, view_of(3, 64))
    np.testing.assert_allclose(again.planes, light.planes, atol=1e-5)
    np.testing.assert_allclose(again.optics, light.optics, atol=1e-4)
    np.testing.assert_allclose(light.focus_um, view_of(3, 64).focus_in_sample_nm() / 1000, atol=1e-6)
    np.testing.assert_allclose(light.half_um, (3.2, 3.2), atol=1e-6)


@pytest.mark.parametrize("background", [20.0, 100.0, 1000.0])
def test_noise_is_estimated(background: float) -> None:
    """Within 15 % of the standard deviation of the background's photons."""
    counts = spots(3, background)
    dark, bright = np.percentile(counts, (20, 99.8))
    planes = light_of(counts, view_of(3, 64)).planes
    assert noise_of(planes) == pytest.approx(background**0.5 / (bright - dark), rel=0.15)


def test_padded_planes_are_not_lit() -> None:
    padded = light_of(spots(2), view_of(2, 64)).padded(5)
    assert padded["planes"].shape == (5, 64, 64)
    assert padded["lit"].tolist() == [1, 1, 0, 0, 0]
    assert padded["focus_um"].shape == (5,)
    assert not padded["planes"][2:].any()


def test_optics_tell_microscopes_apart() -> None:
    """Pixel size, aperture, emission; excitation and pinhole of a confocal microscope alone; the mismatch's depth."""
    epi, confocal = (optics_of(view_of(1, kind=kind), 0.1) for kind in ("epi", "confocal"))
    assert epi.shape == confocal.shape == (OPTICS,)
    assert epi[:3] == pytest.approx([0.0, 5 * 0.12, 0.88], abs=1e-5)
    assert epi[3] == epi[4] == 0
    assert (confocal[3:5] > 0.5).all()
    assert not epi[5:7].any()
    deep = optics_of(view_of(1, sample_index=1.33, depth_nm=5000), 0.1)
    assert deep[5:7] == pytest.approx([10 * (1 - 1.33 / 1.515)] * 2, rel=1e-5)


def with_a_nan(counts: NDArray[Any]) -> NDArray[Any]:
    spoilt = counts.astype(float)
    spoilt[0, 3, 4] = np.nan
    return spoilt


WRONG: dict[str, tuple[NDArray[Any], str]] = {
    "constant": (np.full((1, 64, 64), 100), "the image is the same all over: it shows no shape"),
    "not a number": (with_a_nan(spots()), "the image has pixels that are no number (NaN, infinite): replace them"),
    "of other planes": (
        spots(3),
        "an image of shape (3, 64, 64) given, the view has (1, 64, 64) planes, rows, columns",
    ),
    "flat": (spots()[0], "an image of shape (64, 64) given, the view has (1, 64, 64) planes, rows, columns"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_images(name: str) -> None:
    counts, said = WRONG[name]
    with pytest.raises(LightError) as error:
        light_of(counts, view_of(1, 64))
    assert said in str(error.value)


def test_a_measured_psf_does_not_say_what_light_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if it is given an aperture and a wavelength."""
    monkeypatch.setattr("mishape.plugins.microscopes.measured._psf", lambda key: None)  # the bead is of no matter here
    (tmp_path / "bead.tif").touch()
    bead = Measured(file=str(tmp_path / "bead.tif"), na=1.4, emission_nm=600.0)
    with pytest.raises(LightError, match="microscope 'measured' does not say its na, emission_nm and media: networks"):
        light_of(spots(), view_of(1, 64).model_copy(update={"microscope": bead}))
