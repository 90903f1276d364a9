"""Files that components read: found, hashed, and read as TIFF without trusting them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pydantic_core import PydanticCustomError

from mishape.engine import inputs
from mishape.engine.errors import MishapeError
from mishape.engine.inputs import find_input, input_hash, read_stack

STACK = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)


def test_imagej_states_its_sizes(tmp_path: Path) -> None:
    about = {"axes": "ZYX", "unit": "micron", "spacing": 0.25}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(12.5, 10.0), metadata=about)
    stack = read_stack(tmp_path / "a.tif")
    np.testing.assert_array_equal(stack.data, STACK)
    assert stack.data.dtype == np.float64
    assert stack.pixel_nm == pytest.approx((100, 80))
    assert stack.z_step_nm == pytest.approx(250)
    assert stack.largest == 65535


def test_ome_states_its_sizes(tmp_path: Path) -> None:
    about: dict[str, Any] = {"axes": "ZYX", "PhysicalSizeX": 0.08, "PhysicalSizeY": 100, "PhysicalSizeYUnit": "nm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK.astype(np.float32), metadata=about | {"PhysicalSizeZ": 0.25})
    stack = read_stack(tmp_path / "a.ome.tif")
    assert stack.pixel_nm == pytest.approx((100, 80))
    assert stack.z_step_nm == pytest.approx(250)
    assert stack.largest is None


def test_a_plain_tiff_states_pixels_at_most(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0].astype(np.uint8), resolution=(1e5, 1e5), resolutionunit="CENTIMETER")
    tifffile.imwrite(tmp_path / "b.tif", STACK, photometric="minisblack")
    one, two = read_stack(tmp_path / "a.tif"), read_stack(tmp_path / "b.tif")
    assert (one.data.shape, one.pixel_nm, one.z_step_nm, one.largest) == ((1, 4, 5), (100, 100), None, 255)
    assert (two.data.shape, two.pixel_nm, two.z_step_nm) == ((3, 4, 5), None, None)


def test_sizes_in_unknown_units_count_as_not_stated(tmp_path: Path) -> None:
    about = {"axes": "ZYX", "unit": "furlong", "spacing": 1}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(1, 1), metadata=about)
    stack = read_stack(tmp_path / "a.tif")
    assert (stack.pixel_nm, stack.z_step_nm) == (None, None)


@pytest.mark.parametrize(
    ("axes", "shape", "text"),
    [
        ("CYX", (2, 4, 5), "expected one channel and one time point"),
        ("TYX", (9, 4, 5), "where planes were saved as frames, swap them in ImageJ"),
        ("TZYX", (2, 3, 4, 5), "has the axes {'T': 2, 'Z': 3, 'Y': 4, 'X': 5}: expected one channel"),
        ("YXS", (4, 5, 3), "expected a greyscale image or stack"),
    ],
)
def test_what_is_no_greyscale_stack_is_refused(axes: str, shape: tuple[int, ...], text: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), imagej=True, metadata={"axes": axes})
    with pytest.raises(MishapeError, match=r"a\.tif") as caught:
        read_stack(tmp_path / "a.tif")
    assert text in str(caught.value)


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK.astype(np.complex64), photometric="minisblack")
    with pytest.raises(MishapeError, match="complex64: expected a greyscale image or stack"):
        read_stack(tmp_path / "a.tif")


@pytest.mark.parametrize("content", [b"", b"no image", b"II*\0\xff\xff\xff\xff"])
def test_what_is_no_tiff_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(MishapeError, match=r"a.tif' cannot be read as TIFF: \w+"):
        read_stack(tmp_path / "a.tif")


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64), np.uint16))
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(MishapeError, match="cannot be read as TIFF"):
        read_stack(tmp_path / "a.tif")


def test_sizes_are_looked_at_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2000, 4000), np.uint8))
    monkeypatch.setattr(inputs, "MAX_BYTES", 2 * 10**7)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(MishapeError, match=r"a.tif' would fill 0.1 GB: crop it to 0.0 GB at most"):
        read_stack(tmp_path / "a.tif")


def test_inputs_are_found_beside_the_scene(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    assert find_input("file", "a.tif", {"folder": tmp_path}) == tmp_path / "a.tif"
    assert find_input("file", str(tmp_path / "a.tif"), None) == tmp_path / "a.tif"
    with pytest.raises(PydanticCustomError, match=r"file 'b.tif' does not exist: there is no file '.*b.tif'"):
        find_input("file", "b.tif", {"folder": tmp_path})


def test_a_hash_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"one")
    first = input_hash(path)
    assert first == input_hash(path)
    path.write_bytes(b"three")
    assert input_hash(path) != first
