"""CPU time of radial PSF tables on one core, beside the nearest that psf-generator and psfmodels make (extra `peers`).

NA 1.4, 608 nm, oil 1.515, 61 planes over +-2 um, radii to 9 um. Neither package returns a radial table: psf-generator
makes fields at the distinct radii of its pixels and copies them there, so 87 x 87 pixels with some 860 radii come
nearest; psfmodels makes a table every 10 nm and interpolates 9 x 9 points in each of 141 x 141 pixels. Errors are 1e-9
here, 1e-6 in psf-generator (it computes in float32), 1e-4 in psfmodels and 3e-3 at n_s 1.33. psf-generator's layered
media are left out: they lack Fresnel's amplitudes and scale radii by n_s / n_i.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from mishape.engine.media import Media
from mishape.engine.optics import Optics, radial_psf

NA, EMISSION_NM, OIL, WATER = 1.4, 608.0, 1.515, 1.33
Image = NDArray[np.float64]
PLANES_NM: Image = np.linspace(-2013, 2013, 61)
R_NM: Image = np.linspace(0, 8990, 900)
PIXELS, PIXEL_NM = 87, 148.0
Model = Literal["vector", "scalar"]
Job = Callable[[], Image]


def table(model: Model, sample: float, r_nm: Image = R_NM) -> Image:
    """This project's, (61, len(r_nm)); the emitter lies on the coverslip."""
    optics = Optics(NA, EMISSION_NM, Media(OIL, OIL, sample, OIL, OIL), model)
    return radial_psf(optics, r_nm, np.zeros(len(PLANES_NM)), PLANES_NM)


def psf_generator(peer: Any, model: Model) -> Image:
    """psf-generator's, (61, 87 * 87) intensities at pixels and planes that span n steps in n - 1.

    `cos_factor` makes its scalar pupil even in q, `apod_factor` its vector pupil aplanatic; circular polarisation gives
    the intensity of unpolarised light. With 129 nodes its errors are near those of float32.
    """
    given: dict[str, Any] = {"n_pix_pupil": 129, "n_pix_psf": PIXELS, "pix_size": PIXEL_NM}
    given |= {"n_defocus": 61, "defocus_step": 66, "wavelength": EMISSION_NM, "na": NA, "n_i": OIL, "n_i0": OIL}
    if model == "scalar":
        made = peer.ScalarSphericalPropagator(**given, cos_factor=True)
    else:
        made = peer.VectorialSphericalPropagator(**given, apod_factor=True, e0x=1.0, e0y=1j)
    field = made.compute_focus_field().reshape(61, -1, PIXELS**2)
    return np.asarray((field.abs() ** 2).sum(1), dtype=float)


def psfmodels(peer: Any, model: Model, sample: float) -> Image:
    """psfmodels', (61, 141, 141) pixels of 90 nm; the emitter lies on the coverslip."""
    optics = {"NA": NA, "wvl": EMISSION_NM / 1e3, "ns": sample, "ni": OIL, "ni0": OIL}
    named = "vectorial" if model == "vector" else "scalar"
    return np.asarray(peer.make_psf(PLANES_NM / 1e3, 141, dxy=0.09, oversample_factor=9, model=named, **optics))


def relative_l2(found: Image, expected: Image) -> float:
    """The difference's L2 norm over the expected's, with the scale that makes it least."""
    scale = np.vdot(found, expected) / np.vdot(found, found)
    return float(np.linalg.norm(scale * found - expected) / np.linalg.norm(expected))


def installed(name: str) -> Any:
    """The package, or the test is skipped."""
    with warnings.catch_warnings(action="ignore"):
        return pytest.importorskip(name, reason="pip install 'mishape[peers]' to compare with other packages")


def timed(benchmark: BenchmarkFixture, job: Job) -> Image:
    """What the job made, timed on one thread."""
    with threadpool_limits(1):  # torch's threads too
        made: Image = benchmark(job)
    return made


cpu_time = pytest.mark.benchmark(timer=time.process_time)
CASES: dict[str, tuple[Model, float]] = {
    "vector, matched": ("vector", OIL),
    "vector, sample 1.33": ("vector", WATER),
    "scalar, matched": ("scalar", OIL),
}


@cpu_time
@pytest.mark.parametrize("case", CASES.values(), ids=[f"mishape, {name}: 61 planes x 900 radii" for name in CASES])
def test_mishape(benchmark: BenchmarkFixture, case: tuple[Model, float]) -> None:
    assert timed(benchmark, partial(table, *case)).shape == (61, 900)


@cpu_time
@pytest.mark.parametrize(
    "model",
    ["vector", "scalar"],
    ids=lambda model: f"psf-generator, {model}, matched: 61 planes x 860 radii, copied to 87 x 87 pixels",
)
def test_psf_generator(benchmark: BenchmarkFixture, model: Model) -> None:
    found = timed(benchmark, partial(psf_generator, installed("psf_generator"), model))
    x = np.linspace(-PIXELS / 2, PIXELS / 2, PIXELS) * PIXEL_NM
    assert relative_l2(found, table(model, OIL, np.hypot(x[:, None], x).ravel())) < 1e-5


@cpu_time
@pytest.mark.parametrize(
    "case",
    CASES.values(),
    ids=[f"psfmodels, {name}: 61 planes x 900 radii, interpolated to 141 x 141 pixels x 81 points" for name in CASES],
)
def test_psfmodels(benchmark: BenchmarkFixture, case: tuple[Model, float]) -> None:
    """Compared in the middle pixel."""
    found = timed(benchmark, partial(psfmodels, installed("psfmodels"), *case))
    points_nm = 10.0 * np.arange(-4, 5)
    expected = table(*case, np.hypot(points_nm[:, None], points_nm).ravel()).mean(axis=1)
    assert relative_l2(found[:, 70, 70], expected) < 5e-3
