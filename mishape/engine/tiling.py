"""Fields in tiles: the grids that images are made on, and how small to cut a large field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mishape.engine.errors import MishapeError
from mishape.engine.fft_grids import FFTGrids
from mishape.engine.grid import Grid
from mishape.engine.grids import Grids
from mishape.engine.lattice import axis_of, for_fft
from mishape.engine.series_grids import SeriesGrids
from mishape.engine.spreading import Window

TILE_POINTS = 1 << 21
"""Points of a tile's grids: larger fields are cut, so that their maps fit the memory."""
MAX_POINTS = 10**8
"""Points that no tile may exceed: a few maps of them fill a computer's memory."""


TILE_WORK = 2e8
"""What a tile costs beside its transforms, about a millisecond, in the sums and products of `Grids.work`."""


@dataclass(frozen=True)
class Tile:
    """A part of a grid: its first row and column, and its rows and columns."""

    top: int
    left: int
    shape: tuple[int, int]

    @property
    def part(self) -> tuple[slice, slice]:
        """Its rows and columns in the grid."""
        return slice(self.top, self.top + self.shape[0]), slice(self.left, self.left + self.shape[1])

    def ends_nm(self, grid: Grid) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the world's lowest and highest x, and the same of y, to the outer edges of its pixels."""
        ends = []
        for first, count, whole in (
            (self.left, self.shape[1], grid.shape[2]),
            (self.top, self.shape[0], grid.shape[1]),
        ):
            low = (first - whole / 2) * grid.pixel_nm
            ends.append((low, low + count * grid.pixel_nm))
        return ends[0], ends[1]

    def middle_nm(self, grid: Grid) -> tuple[float, float]:
        """Return the world x and y of its middle."""
        (left, right), (bottom, top) = self.ends_nm(grid)
        return (left + right) / 2, (bottom + top) / 2


@dataclass(frozen=True)
class Demand:
    """What is asked of the grids of all tiles of an image.

    Parameters
    ----------
    pixel_nm, finer
        A pixel's edge, and points of the spreading grid per pixel.
    reach_nm
        How far an emitter's light counts.
    end_per_nm
        Where the transfer functions end.
    window
        What spreads the emitters.
    by_series
        Whether a real Fourier series can be made: on the host, of a symmetric PSF.
    """

    pixel_nm: float
    finer: int
    reach_nm: float
    end_per_nm: float
    window: Window
    by_series: bool


@lru_cache(maxsize=256)
def grids_of(demand: Demand, shape: tuple[int, int], beyond: float) -> Grids:
    """Return the grids of a tile that serve emitters up to some of the reach outside it."""
    ask = demand
    rows, columns = (
        axis_of(n, ask.pixel_nm, ask.finer, ask.reach_nm, beyond * ask.reach_nm, ask.end_per_nm, ask.window)
        for n in shape
    )
    if ask.by_series:
        return SeriesGrids(rows, columns, ask.window)
    return FFTGrids(for_fft(rows, ask.end_per_nm), for_fft(columns, ask.end_per_nm), ask.window)


def tiles_of(grid: Grid, demand: Demand, modes: int, beyond: float) -> Iterator[Tile]:
    """Cut a grid into tiles of one shape, the last ones overlapping.

    Parameters
    ----------
    modes
        Number of maps that are transformed.
    beyond
        How far outside the grid emitters lie, in reaches. Those of a tile that is a part of it lie all around.

    Raises
    ------
    MishapeError
        If no tile is small enough for the memory.
    """
    rows, columns = _tile_shape(demand, grid.shape, modes, beyond)
    for top in range(0, grid.shape[1], rows):
        for left in range(0, grid.shape[2], columns):
            yield Tile(min(top, grid.shape[1] - rows), min(left, grid.shape[2] - columns), (rows, columns))


@lru_cache(maxsize=256)
def _tile_shape(demand: Demand, shape: tuple[int, int, int], modes: int, beyond: float) -> tuple[int, int]:
    """Return the shape with the least work of those that fit the memory, or come nearest: the field's or a part."""
    planes, *sides = shape
    field = sides[0], sides[1]
    tried = {part: grids_of(demand, part, beyond if part == field else 1.0) for part in _halved(demand, field)}
    least = min(grids.points for grids in tried.values())
    if least > MAX_POINTS:
        raise MishapeError(
            f"imaging {field[0]} x {field[1]} pixels of {demand.pixel_nm:g} nm with light that reaches "
            f"{demand.reach_nm:.0f} nm needs grids of {least:.1e} points, more than {MAX_POINTS:.0e}: use pixels "
            "nearer to the light's own width"
        )
    fitting = [part for part, grids in tried.items() if grids.points <= max(TILE_POINTS, least)]

    def work(part: tuple[int, int]) -> float:
        tiles = -(-field[0] // part[0]) * -(-field[1] // part[1])
        return tiles * (TILE_WORK + tried[part].work(planes, modes))

    return min(fitting, key=work)


def _halved(demand: Demand, field: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield shapes, halved until what is left is the light's own reach."""
    rows, columns = field
    yield field
    while max(rows, columns) > max(1, demand.reach_nm / demand.pixel_nm):
        rows, columns = (-(-rows // 2), columns) if rows >= columns else (rows, -(-columns // 2))
        yield rows, columns
