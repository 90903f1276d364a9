"""What cameras share: light becomes electrons in pixels that are the same in every sample."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mishape.engine.arrays import like, place
from mishape.engine.component import Keyed, Real, Whole
from mishape.engine.recent import Recent
from mishape.engine.seeding import Stage, stream
from mishape.engine.types import Array
from mishape.plugins.noises.detector import Detector, Map

TILE_PX = 256
"""The sensor's maps are drawn in tiles of this size, so that a pixel is the same in every region of interest."""
MAX_SENSOR_PX = 2**20
_CACHED_TILES = 512  # of 256 kB: four maps of a 2048 x 2048 sensor take 256

Pixel = Annotated[Whole, Field(ge=0, le=MAX_SENSOR_PX)]


class SensorMaps(NamedTuple):
    """The fixed pattern of a region of interest, each (Y, X) float64."""

    response: Map
    """Relative sensitivity, mean 1."""
    gain_e_per_count: Map
    offset: Map
    """Counts in the dark, without dark current."""
    read_noise_e: Map
    """Standard deviation, electrons."""


class _Pixels(NamedTuple):
    """What an image's pixels do, each (Y, X), where the image is and in its float type."""

    electrons_per_photon: Array
    read_noise_e: Array
    counts_per_e: Array
    offset: Array

    @classmethod
    def of(cls, qe: float, maps: SensorMaps, light: Array) -> Self:
        made = (qe * maps.response, maps.read_noise_e, 1 / maps.gain_e_per_count, maps.offset)
        return cls(*(like(values, light) for values in made))


_remembered: Recent[_Pixels] = Recent(1 << 28, lambda pixels: 32 * pixels.offset.shape[0] * pixels.offset.shape[1])


class Camera(Detector):
    """A camera after the linear model of the EMVA 1288 standard, up to the electrons held and from there to counts.

    Each camera says its own dark current, full well, gain and read noise.
    """

    qe: Real = Field(default=0.9, gt=0, le=1)
    """Quantum efficiency, electrons per photon; above 0 and at most 1. Default 0.9, typical of back-illuminated
    sensors."""
    exposure_ms: Real = Field(default=100.0, gt=0, le=1e6)
    """Exposure time in ms, up to 1e6; only the dark current depends on it. Default 100, usual for live cells."""
    dark_current_e_per_s: Real
    full_well_e: Real
    gain_e_per_count: Real
    read_noise_e: Real
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
        """Mean electrons per pixel and exposure in the dark."""
        return self.dark_current_e_per_s * self.exposure_ms * 1e-3

    def response(self, rows: int, columns: int) -> Map:
        """Return the relative sensitivity of the region's pixels, (Y, X), mean 1."""
        return np.maximum(1 + self.prnu * self.pattern("response", rows, columns), 0.0)

    def offsets(self, rows: int, columns: int) -> Map:
        """Return the counts of the region's pixels in the dark, (Y, X), without dark current."""
        return self.offset + self.offset_spread * self.pattern("offset", rows, columns)

    def gains(self, rows: int, columns: int) -> Map:
        """Return the electrons per count of the region's pixels, (Y, X)."""
        return np.full((rows, columns), self.gain_e_per_count)

    def read_noises(self, rows: int, columns: int) -> Map:
        """Return the standard deviation of the region's pixels in electrons, (Y, X)."""
        return np.full((rows, columns), self.read_noise_e)

    def maps(self, rows: int, columns: int) -> SensorMaps:
        """Return the fixed pattern of the region of interest of this size.

        Raises
        ------
        MishapeError
            If a measured map does not hold the region.
        """
        makers = (self.response, self.gains, self.offsets, self.read_noises)
        return SensorMaps(*(make(rows, columns) for make in makers))

    def _pixels(self, light: Array) -> _Pixels:
        """Return the pixels of an image, remembered in its library, float type and place."""
        rows, columns = light.shape[-2:]
        key = (Keyed(type(self), self.digest, self), rows, columns, place(light), str(light.dtype))
        return _remembered.get(key, lambda: _Pixels.of(self.qe, self.maps(rows, columns), light))

    def record(self, light: Array, background: Array | float, draws: Any) -> Array:
        """Return counts: light * QE * response -> + dark -> Poisson -> full well -> gain -> read noise -> converter."""
        pixels = self._pixels(light)
        light += background
        light *= pixels.electrons_per_photon
        light += self.dark_e
        electrons = self.multiply(draws.poisson(light, self.full_well_e), draws)
        return draws.digitize(electrons, pixels.read_noise_e, pixels.counts_per_e, pixels.offset, 2**self.bit_depth - 1)

    def multiply(self, electrons: Array, draws: Any) -> Array:
        """Return the electrons that reach the amplifier."""
        return electrons

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
