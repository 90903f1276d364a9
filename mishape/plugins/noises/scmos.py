"""A scientific CMOS camera with per-pixel offset, gain, read noise and response."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, PrivateAttr

from mishape.engine.component import Real
from mishape.engine.inputs import find_input
from mishape.plugins.noises.calibration import LIMITS, check_maps, region
from mishape.plugins.noises.detector import Map
from mishape.plugins.noises.sensor import Camera


class Scmos(Camera):
    """An sCMOS camera after the linear model of the EMVA 1288 standard, with a fixed pattern.

    In this order: (photons + background) * QE * response -> + dark electrons -> Poisson -> full well -> + read noise
    -> / gain + offset -> round -> clip to the bit depth. With K = 1 / gain, the counts of a pixel have the mean
    ``offset + K * electrons`` and the variance ``K**2 * read_noise**2 + 1/12 + K * (mean - offset)``.

    The defaults are round values typical of current back-illuminated cameras at 600-700 nm, assumed by this project
    and not those of any maker's model. The maps are drawn by `camera_seed`; measured ones may stand in their place.

    Presets
    -------
    orca_fusion_bt
        Hamamatsu ORCA-Fusion BT (C15440-20UP), ultra-quiet scan. Published (Hamamatsu, technical note "ORCA-Fusion,
        ORCA-Fusion BT", August 2021): QE 95 % at its peak (green light), full well 15 000 e-, read noise 0.7 e- rms
        over the pixels, 0.24 e-/count, offset 100 counts, 16 bits. Assumed: dark current 1 e-/s, a read noise spread of
        0.3 (which makes the median 0.64 e-), non-uniformity 0.06 % for response and gain together, offset spread 0.3
        e-.
    prime_95b
        Teledyne Photometrics Prime 95B, 16-bit combined gain, air-cooled to -20 C. Published (Photometrics, "Prime 95B"
        data sheet, July 2020): QE 95 % at its peak (green light), full well 80 000 e-, read noise 1.6 e- median and 1.8
        e- rms over the pixels, dark current 0.55 e-/s. From these: a read noise spread of sqrt(ln(1.8 / 1.6)) = 0.34,
        as for a logarithmic normal distribution. Assumed: 1.23 e-/count, by which the full well fits 16 bits; offset
        100 counts; the other spreads.
    """

    on_device = True
    presets: ClassVar = {
        "orca_fusion_bt": {
            "qe": 0.95,
            "dark_current_e_per_s": 1.0,
            "full_well_e": 15000.0,
            "read_noise_e": 0.64,
            "read_noise_spread": 0.3,
            "gain_e_per_count": 0.24,
            "gain_spread": 0.0,
            "offset": 100.0,
            "offset_spread": 1.25,
            "prnu": 0.0006,
            "bit_depth": 16,
        },
        "prime_95b": {
            "qe": 0.95,
            "dark_current_e_per_s": 0.55,
            "full_well_e": 80000.0,
            "read_noise_e": 1.6,
            "read_noise_spread": 0.343,
            "gain_e_per_count": 1.23,
            "offset": 100.0,
            "bit_depth": 16,
        },
    }

    kind: Literal["scmos"] = "scmos"
    preset: Literal["orca_fusion_bt", "prime_95b"] | None = None
    """A named camera with its maker's published figures; single parameters given beside it win. Default none."""
    dark_current_e_per_s: Real = Field(default=0.5, ge=0, le=1e5)
    """Dark current in electrons per pixel and second; 0 to 1e5. Default 0.5, typical with air cooling."""
    full_well_e: Real = Field(default=45000.0, gt=0, le=1e7)
    """Electrons that a pixel can hold; above 0, up to 1e7. Default 45000, typical of 6.5 um pixels."""
    read_noise_e: Real = Field(default=1.6, ge=0, le=1000)
    """Read noise in electrons: the median over the pixels of each one's standard deviation; 0 to 1000. Default 1.6,
    typical."""
    read_noise_spread: Real = Field(default=0.3, ge=0, le=2)
    """Standard deviation of the logarithm of read noise over the pixels; 0 to 2. Default 0.3: a tail of noisy
    pixels."""
    gain_e_per_count: Real = Field(default=0.7, gt=0, le=1000)
    """Electrons per count; above 0, up to 1000. Default 0.7: the default full well just fits 16 bits."""
    gain_spread: Real = Field(default=0.01, ge=0, le=0.2)
    """Relative standard deviation of gain over the pixels; 0 to 0.2. Default 0.01, assumed."""
    response_map: str | None = None
    """TIFF of measured relative sensitivity, 0 to 10 and about 1, in place of `prnu`. Like all maps: one greyscale
    plane, of the image's size or of the whole sensor (then `roi_origin_px` says where the image lies); a relative path
    starts at the scene file's folder. Default none: drawn by `camera_seed`."""
    gain_map: str | None = None
    """TIFF of measured electrons per count, above 0 and up to 1000, in place of `gain_e_per_count` and its spread.
    Default none."""
    offset_map: str | None = None
    """TIFF of measured counts in the dark, 0 to 65535, in place of `offset` and its spread. Default none."""
    read_noise_map: str | None = None
    """TIFF of measured read noise in electrons (standard deviation), 0 to 1000, in place of `read_noise_e` and its
    spread. Default none."""
    _files: dict[str, Path] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """Find the measured maps while the scene file's folder is known."""
        given = {parameter: getattr(self, parameter) for parameter in LIMITS}
        self._files = {name: find_input(name, path, context) for name, path in given.items() if path is not None}
        check_maps(self._files)

    def input_files(self) -> Mapping[str, Path]:
        """Return the measured maps' files, by parameter."""
        return self._files

    def check_size(self, rows: int, columns: int) -> None:
        """Make sure that every measured map holds an image of this size.

        Raises
        ------
        MishapeError
            If one does not, naming it.
        """
        for parameter in self._files:
            self._measured(parameter, rows, columns)

    def response(self, rows: int, columns: int) -> Map:
        """Return the relative sensitivity of the region's pixels, (Y, X), mean 1."""
        measured = self._measured("response_map", rows, columns)
        return super().response(rows, columns) if measured is None else measured

    def offsets(self, rows: int, columns: int) -> Map:
        """Return the counts of the region's pixels in the dark, (Y, X), without dark current."""
        measured = self._measured("offset_map", rows, columns)
        return super().offsets(rows, columns) if measured is None else measured

    def gains(self, rows: int, columns: int) -> Map:
        """Return the electrons per count of the region's pixels, (Y, X)."""
        measured = self._measured("gain_map", rows, columns)
        if measured is not None:
            return measured
        # Five standard deviations at the largest spread still leave a positive gain.
        return self.gain_e_per_count * (1 + self.gain_spread * np.clip(self.pattern("gain", rows, columns), -4.5, 4.5))

    def read_noises(self, rows: int, columns: int) -> Map:
        """Return the standard deviation of the region's pixels in electrons, (Y, X)."""
        measured = self._measured("read_noise_map", rows, columns)
        if measured is not None:
            return measured
        return self.read_noise_e * np.exp(self.read_noise_spread * self.pattern("read_noise", rows, columns))

    def _measured(self, parameter: str, rows: int, columns: int) -> Map | None:
        path = self._files.get(parameter)
        return None if path is None else region(parameter, path, (rows, columns), self.roi_origin_px)
