"""Large fields in tiles, transfer functions read anew, and what a process remembers: none of it changes an image."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from mishape.engine import images, operators, slabs, tiling
from mishape.engine.arrays import to_numpy
from mishape.engine.component import Keyed
from mishape.engine.errors import MishapeError
from mishape.engine.grid import Grid
from mishape.engine.imaging import PSFMicroscope, direct_sum
from mishape.engine.quality import QUALITIES
from mishape.engine.recent import Recent
from mishape.engine.types import Emitters
from mishape.plugins.microscopes.epi import Epi

from . import CON1, EPI2, NAMES, PIXEL_NM, SCOPES, emitter
from .test_backends import as_strict, moved
from .test_forms import Coma
from .test_imaging import difference, scattered, together

Cut = Callable[[int, int], list[tiling.Tile]]
EPI2_WINDOW = QUALITIES[EPI2.quality].window
MEMORY = """
import sys
import numpy as np
from mishape.engine.grid import Grid
from mishape.engine.types import Emitters
from mishape.plugins.microscopes.epi import Epi

planes, size, count = map(int, sys.argv[1:])
box = np.array([80.0 * size, 80 * size, 250 * planes])
xyz = np.random.default_rng(3).uniform(-0.5, 0.5, (count, 3)) * box
emitters, grid = Emitters(xyz, np.full(count, 100.0)), Grid((planes, size, size), 80.0, z_step_nm=250.0)
image = Epi(preset="epi2").image(emitters, grid)
print(image.sum(dtype=float) / (100 * count * planes))
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
BYTES = """
import hashlib
import numpy as np
from mishape.engine.grid import Grid
from mishape.engine.types import Emitters
from mishape.plugins.microscopes.epi import Epi

rng = np.random.default_rng(2)
emitters = Emitters(rng.uniform(-1, 1, (50, 3)) * [1500, 1200, 1500], rng.uniform(1, 1000, 50))
image = Epi(preset="epi2").image(emitters, Grid((2, 24, 31), 80.0, z_step_nm=300.0))
print(hashlib.sha256(image.tobytes()).hexdigest())
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No modes and operators of other tests, nor for them."""
    _forget()
    yield
    _forget()


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Cut:
    """Cut every field into tiles of so many rows and columns from now on; return the tiles that are made."""

    def into(rows: int, columns: int) -> list[tiling.Tile]:
        made: list[tiling.Tile] = []
        tile_image = images._tile_image

        def counted(lots: Any, tile: tiling.Tile, *rest: Any) -> Any:
            made.append(tile)
            return tile_image(lots, tile, *rest)

        def shape(demand: Any, field: Any, modes: int, beyond: float) -> tuple[int, int]:
            return min(rows, field[1]), min(columns, field[2])

        monkeypatch.setattr(tiling, "_tile_shape", shape)
        monkeypatch.setattr(images, "_tile_image", counted)
        return made

    return into


def _forget() -> None:
    slabs._modes.clear()
    images._operators.clear()


def bytes_of(image: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


# ---- tiles -----------------------------------------------------------------------------------------------------------
def at_borders(grid: Grid) -> Emitters:
    """On the edges of halves and quarters of a field, on its corners, 2 um outside, and anywhere, in three slabs."""
    half_x, half_y = grid.half_field_nm()
    corners = [(x * half_x, y * half_y) for x in (-1, -0.5, 0, 0.5, 1) for y in (-1, -0.5, 0, 0.5, 1)]
    corners += [(half_x + 2000, 0), (-half_x - 2000, half_y + 2000)]
    xyz = np.column_stack([corners, np.linspace(-1000, 1000, len(corners))])
    return together(Emitters(xyz, np.full(len(xyz), 500.0)), scattered(9, 40, (half_x, half_y, 1000.0)))


@pytest.mark.parametrize("shape", [(2, 120, 141), (1, 47, 230), (2, 201, 33)])
@pytest.mark.parametrize("scope", [EPI2, CON1], ids=["epi2", "con1"])
def test_tiles_do_not_show(scope: PSFMicroscope, shape: tuple[int, int, int], each_path: str, cut: Cut) -> None:
    """A field cut into tiles is the whole one, at the seams too: 1e-5 of the peak, 2e-5 for a confocal.

    Transfer functions are read linearly between their steps, at frequencies that depend on the size of the field.
    """
    grid = Grid(shape, 150.0, planes_nm=(-100.0, 420.0)[: shape[0]])
    emitters = at_borders(grid)
    whole = scope.image(emitters, grid)
    made = cut(40, 50)
    assert difference(scope.image(emitters, grid), whole) < (1e-5 if scope is EPI2 else 2e-5)
    assert len(made) == -(-shape[1] // 40) * -(-shape[2] // 50)


def test_tiles_of_a_psf_in_x_and_y(cut: Cut) -> None:
    grid = Grid((1, 60, 71), 120.0)
    whole = Coma().image(at_borders(grid), grid)
    made = cut(40, 50)
    assert difference(Coma().image(at_borders(grid), grid), whole) < 1e-5
    assert len(made) == 4


def test_tiles_of_a_batch_on_a_device(cut: Cut) -> None:
    """Two images, one deeper, in array-api-strict's arrays: numpy's, each alone and whole, to 1e-5 of the peak."""
    grid = Grid((2, 60, 71), 80.0, z_step_nm=400.0)
    near = at_borders(grid)
    batch = [near, Emitters(near.xyz_nm + np.array([0.0, 0.0, 2500.0]), near.photons)]
    whole = [EPI2.image(emitters, grid) for emitters in batch]
    made = cut(40, 50)
    found = to_numpy(EPI2.image_many([moved(emitters, as_strict) for emitters in batch], grid))
    assert len(made) == 4
    for one, other in zip(found, whole, strict=True):
        assert difference(one, other) < 1e-5


def test_emitters_at_the_ends_of_what_tiles_hold(each_path: str) -> None:
    """At and about each distance from the field up to which its grids hold emitters: a larger field's, to 1e-5."""
    for pixel_nm, scope in ((80.0, EPI2), (150.0, EPI2), (150.0, CON1)):
        grid, large = Grid((1, 20, 31), pixel_nm), Grid((1, 220, 231), pixel_nm)
        reach_nm = next(slabs.lots_of(Keyed.of(scope), [emitter(0, 0)], grid)).modes.reach_nm
        for level in images.BEYOND:
            for nudge_nm in (-0.01, 0.0, 0.01):
                x, y = (half + level * reach_nm + nudge_nm for half in grid.half_field_nm())
                emitters = together(*(emitter(*place) for place in ((x, 0), (-x, 30), (10, y), (0, -y), (5, 5))))
                image, around = scope.image(emitters, grid), scope.image(emitters, large)
                assert difference(image, around[:, 100:120, 100:131]) < 1e-5


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.float16, np.float32])
def test_positions_of_other_types(dtype: type, each_path: str, cut: Cut) -> None:
    """Whole or rounded positions are those numbers, in a tiled field too."""
    xyz = np.array([[30, 450, 100], [3000, 2000, 0], [7000, 800, 300]], dtype)
    grid = Grid((1, 61, 70), 150.5)
    for _ in range(2):
        expected, image = (EPI2.image(Emitters(at, np.ones(3)), grid) for at in (xyz.astype(float), xyz))
        np.testing.assert_array_equal(image, expected)
        cut(40, 50)


def test_large_fields_are_cut_and_small_ones_are_not() -> None:
    demand = tiling.Demand(80.0, 1, 5500.0, 5e-3, EPI2_WINDOW, by_series=True)
    small, large = Grid((3, 128, 96), 80.0, z_step_nm=250.0), Grid((3, 2000, 1100), 80.0, z_step_nm=250.0)
    assert [*tiling.tiles_of(small, demand, 7, 0.0)] == [tiling.Tile(0, 0, (128, 96))]
    tiles = [*tiling.tiles_of(large, demand, 7, 0.0)]
    assert tiles == [tiling.Tile(250 * i, 275 * j, (250, 275)) for i in range(8) for j in range(4)]


def test_tiles_add(cut: Cut) -> None:
    """Test 1 over slabs and tiles: 1e-5 of the peak."""
    grid = Grid((2, 90, 101), 80.0, z_step_nm=400.0)
    made = cut(50, 50)
    parts = [at_borders(grid), scattered(4, 30, (4000.0, 3600, 3000))]
    apart = sum(EPI2.image(part, grid) for part in parts)
    assert difference(EPI2.image(together(*parts), grid), apart) < 1e-5
    assert len(made) > 6


def test_tiles_are_those_of_the_exact_sum(cut: Cut) -> None:
    """A lone emitter where four tiles meet: within the quality, 0.3 %."""
    grid, lone, made = Grid((1, 80, 80), 80.0), emitter(0.0, 0.0, 100.0), cut(40, 40)
    assert difference(EPI2.image(lone, grid), direct_sum(EPI2, lone, grid)) < 3e-3
    assert len(made) == 4


def _in_another_process(code: str, *arguments: int, **environment: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return ran.stdout.split()


def test_the_memory_of_a_large_field() -> None:
    """1024 x 1024 x 16 with 40 emitters, 64 MiB of image: below 1.5 GB; 2 % of the light falls outside."""
    light, peak_kib = map(float, _in_another_process(MEMORY, 16, 1024, 40))
    assert light == pytest.approx(1, abs=0.03)
    assert peak_kib * 1024 < 1.5e9


@pytest.mark.long
def test_the_memory_of_the_largest_field() -> None:
    """4096 x 4096 x 32 with 100 000 emitters, 2 GiB of image: below 4 GB, 5 CPU minutes."""
    light, peak_kib = map(float, _in_another_process(MEMORY, 32, 4096, 100_000))
    assert light == pytest.approx(1, abs=0.03)
    assert peak_kib * 1024 < 4e9


# ---- transfer functions that are not held ----------------------------------------------------------------------------
@pytest.mark.parametrize("scope", SCOPES, ids=NAMES)
def test_transfer_functions_read_anew(scope: PSFMicroscope, each_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator too large to hold its transfer functions reads a few rows at a time: 1e-6 of the peak."""
    grid, emitters = Grid((3, 40, 51), PIXEL_NM[scope], z_step_nm=300.0), scattered(3, 40, (2000.0, 1500, 1000))
    held = scope.image(emitters, grid)
    monkeypatch.setattr(operators, "HELD_BYTES", 0)
    monkeypatch.setattr(operators, "POINTS_AT_ONCE", 1 << 9)
    images._operators.clear()
    assert difference(scope.image(emitters, grid), held) < 1e-6
    assert all(operator.held is None for operator in images._operators._values.values())


# ---- the same bytes --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["0", "1"], ids=["core", "fast"])
def test_the_same_bytes_in_another_process(path: str, use_path: Any) -> None:
    """Twice here, before and after another image, and in a process of its own."""
    use_path("fast" if path == "1" else "core")
    grid, rng = Grid((2, 24, 31), 80.0, z_step_nm=300.0), np.random.default_rng(2)
    emitters = Emitters(rng.uniform(-1, 1, (50, 3)) * [1500, 1200, 1500], rng.uniform(1, 1000, 50))
    first = bytes_of(EPI2.image(emitters, grid))
    CON1.image(scattered(1, 5, (900.0, 900, 900)), grid)
    assert bytes_of(EPI2.image(emitters, grid)) == first
    assert _in_another_process(BYTES, MISHAPE_FAST=path) == [first]


def test_what_is_made_again_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modes and operators that were forgotten between images, or that no memory is left for, give the same bytes."""
    grid, emitters = Grid((2, 24, 31), 80.0, z_step_nm=300.0), scattered(6, 30, (1500.0, 1200, 2500))
    first = bytes_of(EPI2.image(emitters, grid))
    _forget()
    assert bytes_of(EPI2.image(emitters, grid)) == first
    monkeypatch.setattr(slabs._modes, "limit_bytes", 0)
    monkeypatch.setattr(images._operators, "limit_bytes", 0)
    assert bytes_of(EPI2.image(emitters, grid)) == first
    assert (len(slabs._modes), len(images._operators)) == (1, 1)
    assert bytes_of(EPI2.image(emitters, grid)) == first


def test_microscopes_of_equal_parameters_share_operators() -> None:
    """Equal by value; another quality or pixel is another operator."""
    grid, lone = Grid((2, 16, 17), 80.0, z_step_nm=300.0), emitter(0, 0)
    for scope in (Epi(preset="epi2"), Epi(preset="epi2"), Epi(**EPI2.model_dump(exclude={"preset"}), preset="epi2")):
        scope.image(lone, grid)
    assert (len(slabs._modes), len(images._operators)) == (1, 1)
    Epi(preset="epi2", quality="preview").image(lone, grid)
    assert (len(slabs._modes), len(images._operators)) == (2, 2)
    Epi(preset="epi2").image(lone, Grid((2, 16, 17), 81.0, z_step_nm=300.0))
    assert (len(slabs._modes), len(images._operators)) == (3, 3)
    # Another field of the same pixels and planes has an operator of its own, and the same modes.
    Epi(preset="epi2").image(lone, Grid((2, 40, 17), 80.0, z_step_nm=300.0))
    assert (len(slabs._modes), len(images._operators)) == (3, 4)


def test_the_least_recently_used_is_forgotten() -> None:
    made: list[str] = []
    recent: Recent[str] = Recent(3, len)

    def get(key: str) -> str:
        return recent.get(key, lambda: made.append(key) or key)  # type: ignore[func-returns-value]

    for key in "abcab":
        assert get(key) == key
    get("d")  # c, not a: a and b were asked for since
    assert made == [*"abcd"]
    assert [get(key) for key in "abd"] == [*"abd"]
    assert made == [*"abcd"]
    get("c")
    assert made == [*"abcdc"]
    get("large")  # the latest stays, however large, alone
    assert (len(recent), made[-1]) == (1, "large")
    recent.clear()
    assert len(recent) == 0


# ---- too large -------------------------------------------------------------------------------------------------------
def test_a_tile_that_no_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "MAX_POINTS", 1000)
    tiling._tile_shape.cache_clear()
    with pytest.raises(
        MishapeError,
        match=r"^imaging 16 x 16 pixels of 80 nm with light that reaches \d+ nm needs grids of \S+ points, more "
        r"than 1e\+03: use pixels nearer to the light's own width$",
    ):
        EPI2.image(emitter(0, 0), Grid((1, 16, 16), 80.0))


def test_a_field_of_single_pixels() -> None:
    """A line of pixels across an emitter and a single pixel are those of a larger field: 1e-3 of the peak."""
    lone = emitter(20.0, -10.0, 50.0)
    large = EPI2.image(lone, Grid((1, 41, 41), 80.0))
    for shape, part in (
        ((1, 1, 1), large[:, 20:21, 20:21]),
        ((1, 1, 41), large[:, 20:21]),
        ((1, 41, 1), large[..., 20:21]),
    ):
        image = EPI2.image(lone, Grid(shape, 80.0))
        assert image.shape == shape
        assert difference(image, part, large.max()) < 1e-3
        assert math.isfinite(float(image.sum()))
