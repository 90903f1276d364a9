"""What cameras share: light becomes electrons in pixels that are the same in every sample."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.component import Real, Whole
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Array
from mishape.plugins.noises.detector import Detector, Map, digitized

TILE_PX = 256
"""The sensor's maps are drawn in tiles of this size, so that a pixel is the same in every region of interest."""
MAX_SENSOR_PX = 2**20
_CACHED_TILES = 512  # of 256 kB: four maps of a 2048 x 2048 sensor take 256

Pixel = Annotated[Whole, Field(ge=0, le=MAX_SENSOR_PX)]


class Camera(Detector):
    """A camera after the linear model of the EMVA 1288 standard, up to the electrons held and from there to counts.

    Each camera says its own dark current and full well.
    """

    qe: Real = Field(default=0.9, gt=0, le=1)
    """Quantum efficiency, electrons per photon; above 0 and at most 1. Default 0.9, typical of back-illuminated
    sensors."""
    exposure_ms: Real = Field(default=100.0, gt=0, le=1e6)
    """Exposure time in ms, up to 1e6; only the dark current depends on it. Default 100, usual for live cells."""
    dark_current_e_per_s: Real
    full_well_e: Real
    offset: Real = Field(default=100.0, ge=0, le=65535)
    """Counts of a dark pixel; 0 to 65535. Default 100, customary."""
    offset_spread: Real = Field(default=2.0, ge=0, le=1000)
    """Standard deviation of offset over the pixels, counts; 0 to 1000. Default 2, assumed."""
    prnu: Real = Field(default=0.005, ge=0, le=0.2)
    """Photo-response non-uniformity: relative standard deviation of sensitivity; 0 to 0.2. Default 0.005,
    typical."""
    camera_seed: Whole = Field(default=0, ge=0)
    """Which specimen of the camera: fixes all of its maps, in every sample; a whole number from
    0. Default 0."""
    bit_depth: Whole = Field(default=16, ge=1, le=16)
    """Bits of the converter, 1 to 16. Default 16."""
    roi_origin_px: tuple[Pixel, Pixel] = (0, 0)
    """Row and column on the sensor of the image's first pixel; 0 to 1048576. Default the sensor's corner."""

    @property
    def dark_e(self) -> float:
        """Mean dark electrons per pixel and exposure."""
        return self.dark_current_e_per_s * self.exposure_ms * 1e-3

    def response(self, rows: int, columns: int) -> Map:
        """Return the relative sensitivity of the region's pixels, (Y, X), mean 1."""
        return np.maximum(1 + self.prnu * self.pattern("response", rows, columns), 0.0)

    def offsets(self, rows: int, columns: int) -> Map:
        """Return the counts of the region's pixels in the dark, (Y, X), without dark current."""
        return self.offset + self.offset_spread * self.pattern("offset", rows, columns)

    def collect(self, photons: Array, rng: Generator, induced_e: float = 0.0) -> NDArray[np.float64]:
        """Return the electrons held, (Z, Y, X): light * QE * response -> + dark + induced -> Poisson -> full well."""
        light = self.fluorescence(photons)
        background = self.background_light(light, rng)
        expected = (light + background) * self.qe * self.response(*light.shape[1:]) + (self.dark_e + induced_e)
        return np.minimum(rng.poisson(expected), self.full_well_e)

    def convert(
        self, electrons: Map, read_noise_e: float | Map, gain_e_per_count: float | Map, rng: Generator
    ) -> NDArray[np.uint16]:
        """Return counts: electrons -> + read noise -> / gain + offset -> round -> clip to the bit depth."""
        read = electrons + read_noise_e * rng.standard_normal(electrons.shape)
        return digitized(read / gain_e_per_count + self.offsets(*electrons.shape[1:]), self.bit_depth)

    def pattern(self, name: str, rows: int, columns: int) -> Map:
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
