"""microsim's ways: its `Simulation`, and its PSF and convolution alone.

Its light is vectorial, as here. It has no point emitters, so they are given as the voxels that hold them: `n` x voxels
are n times finer than pixels and planes, along every axis. It makes all planes of the volume at once, and its own
coarser output sums planes; the three in focus are taken instead. PSFs are normalised to the sum of their voxels; where
they have an even number of them the image moves by half a voxel, and the emitters are moved back. Spectra are kept out:
one emission wavelength. `Simulation` of release 0.0.12 does not cut its PSFs, although it says so: 608 nm are read as
608 um. The convolution alone cuts them at the 6 Airy radii meant, which is faster.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers.task import Image, Make, Task, Way, binned, voxelised

EMISSION_NM = {"widefield": 608.0, "confocal": 600.0}
EXCITATION_NM = 561.0
NEEDS = ("microsim.schema",)
DEPTH_STEPS = 8
"""Steps between planes that the volume is deep: its PSF, as deep, then reaches every emitter from every plane."""
RADII = 6.0
"""Airy radii at which PSFs are cut, half their width."""


class Volume:
    """The volume of voxels that an image is made in.

    Parameters
    ----------
    task
        The image to make.
    sampling
        Voxels to a pixel's side, and to a step between planes.
    radii
        Airy radii at which the PSF is cut, if at all.
    """

    def __init__(self, task: Task, sampling: int, radii: float | None = None) -> None:
        self.task, self.sampling = task, sampling
        self.confocal = task.modality == "confocal"
        # A widefield PSF has one more plane than the volume, a confocal one as many: odd in both cases.
        self.planes = DEPTH_STEPS * sampling + self.confocal
        self.pixels = task.pixels * sampling
        self.xy_nm, self.z_nm = task.pixel_nm / sampling, task.z_step_nm / sampling
        self.scale_um = (self.z_nm / 1e3, self.xy_nm / 1e3, self.xy_nm / 1e3)
        cut = self.pixels if radii is None else int(2 * radii * 0.61 * EMISSION_NM[task.modality] / 1.4 / self.xy_nm)
        self.psf_pixels = min(self.pixels, cut) | 1

    def voxels(self) -> Image:
        """Return the emitters' voxels, moved so that z = 0 is plane planes // 2 and the image lies where it belongs."""
        widened = 0 if self.confocal else 1  # microsim makes a widefield PSF one pixel wider than asked for
        even = (self.psf_pixels + widened) % 2 == 0
        return voxelised(
            self.task,
            self.xy_nm,
            self.z_nm,
            self.planes,
            self.pixels,
            (self.planes // 2 - (self.planes - 1) / 2, -0.5 * even),
        )

    @property
    def in_focus(self) -> list[int]:
        """Numbers of the planes in focus."""
        middle = self.planes // 2
        return [middle - self.sampling, middle, middle + self.sampling]


def simulation(task: Task, sampling: int) -> Make:
    """Prepare microsim's public way."""
    import microsim.schema as ms
    from microsim.schema.optical_config.config import LightSource

    _quiet()
    volume, wave = Volume(task, sampling), EMISSION_NM[task.modality]
    passed = ms.optical_config.Bandpass(bandcenter=wave, bandwidth=2, placement="EM")
    given: dict[str, Any] = {
        "scale": volume.scale_um,
        "objective_lens": ms.ObjectiveLens(numerical_aperture=1.4, specimen_ri=1.515),
        "channels": [ms.OpticalConfig(name="light", filters=[passed], lights=[LightSource.laser(EXCITATION_NM)])],
        "modality": ms.Confocal(pinhole_au=1) if volume.confocal else ms.Widefield(),
        "settings": ms.Settings(np_backend="numpy", cache=False),
        "output_space": ms.DownscaledSpace(downscale=(1, sampling, sampling)),
    }

    def make() -> Image:
        made = ms.Simulation.from_ground_truth(volume.voxels(), **given).digital_image(with_detector_noise=False)
        return np.asarray(made)[0, volume.in_focus]

    return make


def convolution(task: Task, sampling: int, radii: float | None = RADII) -> Make:
    """Prepare its PSF, and convolve with its own function."""
    import microsim.schema as ms
    from microsim.schema.backend import NumpyAPI

    _quiet()
    volume, xp = Volume(task, sampling, radii), NumpyAPI.create("numpy")
    xp.float_dtype = "float32"
    wave, modality = EMISSION_NM[task.modality], ms.Confocal(pinhole_au=1) if volume.confocal else ms.Widefield()
    psf = modality.psf(
        nz=volume.planes,
        nx=volume.psf_pixels,
        dx=volume.scale_um[1],
        dz=volume.scale_um[0],
        objective_lens=ms.ObjectiveLens(numerical_aperture=1.4, specimen_ri=1.515),
        em_wvl_nm=wave,
        ex_wvl_nm=EXCITATION_NM,
        xp=xp,
    )
    return lambda: binned(xp.fftconvolve(volume.voxels(), psf, mode="same")[volume.in_focus], sampling)


def _quiet() -> None:
    """Remember PSFs in memory alone, not on disk; no log."""
    import logging
    import os

    os.environ["MICROSIM_CACHE"] = "0"
    logging.disable(logging.INFO)


def _ways() -> dict[str, Way]:
    finest, finest_cut = "microsim: 8x", "microsim, its convolution alone: 8x"
    ways = {
        finest: Way(partial(convolution, sampling=8, radii=None), runs=0),
        finest_cut: Way(partial(convolution, sampling=8), runs=0),
    }
    for sampling, runs in ((1, 9), (2, 5), (4, 3)):
        ways[f"microsim: {sampling}x"] = Way(partial(simulation, sampling=sampling), runs, finest)
        alone = Way(partial(convolution, sampling=sampling), runs, finest_cut)
        ways[f"microsim, its convolution alone: {sampling}x"] = alone
    return ways


WAYS = {"widefield": _ways(), "confocal": _ways()}
