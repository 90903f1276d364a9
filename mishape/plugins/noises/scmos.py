"""A scientific CMOS camera with per-pixel offset, gain, read noise and response."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.component import Component, Real, Whole
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Array
from mishape.plugins.noises.detector import digitized, incoming

TILE_PX = 256
"""The sensor's maps are drawn in tiles of this size, so that a pixel is the same in every region of interest."""
MAX_SENSOR_PX = 2**20
_CACHED_TILES = 512  # of 256 kB: four maps of a 2048 x 2048 sensor take 256

Pixel = Annotated[Whole, Field(ge=0, le=MAX_SENSOR_PX)]
Map = NDArray[np.float64]


class SensorMaps(NamedTuple):
    """The fixed pattern of a region of interest, each (Y, X) float64."""

    response: Map
    """Relative sensitivity, mean 1."""
    gain_e_per_count: Map
    offset: Map
    """Counts in the dark, without dark current."""
    read_noise_e: Map
    """Standard deviation, electrons."""


class Scmos(Component):
    """An sCMOS camera after the linear model of the EMVA 1288 standard, with a fixed pattern.

    In this order: (photons + background) * QE * response -> + dark electrons -> Poisson -> full well -> + read noise
    -> / gain + offset -> round -> clip to the bit depth. With K = 1 / gain, the counts of a pixel have the mean
    ``offset + K * electrons`` and the variance ``K**2 * read_noise**2 + 1/12 + K * (mean - offset)``.

    The defaults are round values typical of current back-illuminated cameras at 600-700 nm, assumed by this project
    and not those of any maker's model.
    """

    kind: Literal["scmos"] = "scmos"
    qe: Real = Field(default=0.9, gt=0, le=1)
    """Quantum efficiency, electrons per photon. Default 0.9, typical of back-illuminated sensors."""
    background: Real = Field(default=0.0, ge=0, le=1e6)
    """Background light in photons per pixel and exposure. Default 0: only the light of the emitters."""
    exposure_ms: Real = Field(default=100.0, gt=0, le=1e6)
    """Exposure time in ms; only the dark current depends on it. Default 100, usual for live cells."""
    dark_current_e_per_s: Real = Field(default=0.5, ge=0, le=1e5)
    """Dark current in electrons per pixel and second. Default 0.5, typical with air cooling."""
    full_well_e: Real = Field(default=45000.0, gt=0, le=1e7)
    """Electrons that a pixel can hold. Default 45000, typical of 6.5 um pixels."""
    read_noise_e: Real = Field(default=1.6, ge=0, le=1000)
    """Read noise in electrons: the median over the pixels of each one's standard deviation. Default 1.6, typical."""
    read_noise_spread: Real = Field(default=0.3, ge=0, le=2)
    """Standard deviation of the logarithm of read noise over the pixels. Default 0.3: a tail of noisy pixels."""
    gain_e_per_count: Real = Field(default=0.7, gt=0, le=1000)
    """Electrons per count. Default 0.7: the default full well just fits 16 bits."""
    gain_spread: Real = Field(default=0.01, ge=0, le=0.2)
    """Relative standard deviation of gain over the pixels. Default 0.01, assumed."""
    offset: Real = Field(default=100.0, ge=0, le=65535)
    """Counts of a dark pixel. Default 100, customary."""
    offset_spread: Real = Field(default=2.0, ge=0, le=1000)
    """Standard deviation of offset over the pixels, counts. Default 2, assumed."""
    prnu: Real = Field(default=0.005, ge=0, le=0.2)
    """Photo-response non-uniformity: relative standard deviation of sensitivity. Default 0.005, typical."""
    camera_seed: Whole = Field(default=0, ge=0)
    """Which specimen of the camera: fixes all of its maps, in every sample. Default 0."""
    bit_depth: Whole = Field(default=16, ge=1, le=16)
    """Bits of the converter, 1 to 16. Default 16."""
    roi_origin_px: tuple[Pixel, Pixel] = (0, 0)
    """Row and column on the sensor of the image's first pixel. Default the sensor's corner."""

    @property
    def dark_e(self) -> float:
        """Mean dark electrons per pixel and exposure."""
        return self.dark_current_e_per_s * self.exposure_ms * 1e-3

    def maps(self, rows: int, columns: int) -> SensorMaps:
        """Return the fixed pattern of the region of interest of this size."""
        return SensorMaps(
            response=np.maximum(1 + self.prnu * self._pattern("response", rows, columns), 0.0),
            # Five standard deviations at the largest spread still leave a positive gain.
            gain_e_per_count=self.gain_e_per_count
            * (1 + self.gain_spread * np.clip(self._pattern("gain", rows, columns), -4.5, 4.5)),
            offset=self.offset + self.offset_spread * self._pattern("offset", rows, columns),
            read_noise_e=self.read_noise_e
            * np.exp(self.read_noise_spread * self._pattern("read_noise", rows, columns)),
        )

    def detect(self, photons: Array, rng: Generator) -> NDArray[np.uint16]:
        """Return (Z, Y, X) counts; every plane is one exposure of the same pixels."""
        light = incoming(photons)
        maps = self.maps(*light.shape[1:])
        collected = rng.poisson((light + self.background) * self.qe * maps.response + self.dark_e)
        held = np.minimum(collected, self.full_well_e)
        read = held + maps.read_noise_e * rng.standard_normal(light.shape)
        return digitized(read / maps.gain_e_per_count + maps.offset, self.bit_depth)

    def _pattern(self, name: str, rows: int, columns: int) -> Map:
        """Return standard normal values that belong to the sensor's pixels, (rows, columns)."""
        first_row, first_column = self.roi_origin_px
        whole = np.block(
            [
                [_tile(self.camera_seed, row, column, name) for column in _tiles(first_column, columns)]
                for row in _tiles(first_row, rows)
            ]
        )
        top, left = first_row % TILE_PX, first_column % TILE_PX
        return whole[top : top + rows, left : left + columns].astype(np.float64)


def _tiles(first: int, count: int) -> range:
    return range(first // TILE_PX, (first + count - 1) // TILE_PX + 1)


@lru_cache(maxsize=_CACHED_TILES)
def _tile(camera_seed: int, row: int, column: int, name: str) -> NDArray[np.float32]:
    number = row * (2 * MAX_SENSOR_PX // TILE_PX) + column
    rng = stream(camera_seed, number, Stage.CAMERA, name)
    values = rng.standard_normal((TILE_PX, TILE_PX), dtype=np.float32)
    values.flags.writeable = False
    return values
