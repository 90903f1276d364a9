"""Label volumes of electron microscopy: every format gives the same voxels, and no damaged file gives a traceback."""

from __future__ import annotations

import functools
import gzip
import itertools
import json
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pytest
import tensorstore
import tifffile

from mishape.em import chunked
from mishape.em.blocks import Cut, Foreground, table_path
from mishape.em.jobs import ScanJob, Source
from mishape.em.open import open_volume
from mishape.em.volumes import Box, Volume
from mishape.engine.errors import VolumeError
from mishape.engine.execute import named_executor

SHAPE = (23, 17, 12)
LABELS = np.random.default_rng(1).integers(0, 60_000, SHAPE).astype(np.uint16)
"""Along x, y, z; all three sizes differ."""
ZYX = LABELS.transpose()
VOXEL_NM, ORIGIN_NM = (4.0, 5.0, 30.0), (40.0, 250.0, 900.0)
CHUNK = (8, 6, 5)
WHOLE = Box((0, 0, 0), SHAPE)
Json = dict[str, Any]
OPEN_ORGANELLE = {"axes": ["z", "y", "x"], "scale": VOXEL_NM[::-1], "translate": ORIGIN_NM[::-1], "units": ["nm"] * 3}


def nifti(path: Path, array: Any = LABELS, nm: float = 1e3, version: int = 1, endianness: str = "<") -> Path:
    affine = np.diag([*(v / nm for v in VOXEL_NM), 1.0])
    affine[:3, 3] = [o / nm for o in ORIGIN_NM]
    image = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}[version]
    header = image.header_class(endianness=endianness)
    header.set_data_dtype(array.dtype)
    header.set_xyzt_units({1e3: "micron", 1e6: "mm"}[nm])
    nibabel.save(image(array, affine, header), path)
    return path


def imagej(path: Path, unit: str = "nm", nm: float = 1.0) -> Path:
    per = (nm / VOXEL_NM[0], nm / VOXEL_NM[1])
    metadata = {"axes": "ZYX", "spacing": VOXEL_NM[2] / nm, "unit": unit}
    tifffile.imwrite(path, ZYX, imagej=True, resolution=per, metadata=metadata)
    return path


def ome_tiff(path: Path) -> Path:
    sizes = {f"PhysicalSize{axis}": size / 1e3 for axis, size in zip("XYZ", VOXEL_NM, strict=True)}
    tifffile.imwrite(path, ZYX, ome=True, metadata={"axes": "ZYX", **sizes}, compression="zlib")
    return path


def pages(path: Path, array: Any = ZYX, **options: Any) -> Path:
    tifffile.imwrite(path, array, photometric="minisblack", metadata=None, **options)
    return path


def slices(folder: Path) -> Path:
    folder.mkdir()
    for number, page in enumerate(ZYX, start=1):
        tifffile.imwrite(folder / f"s{number}.tif", page)
    (folder / "._s1.tif").write_bytes(b"what a Mac leaves behind")
    return folder


def hdf5(path: Path, keys: Json, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("volumes/labels", data=ZYX, **options)
        dataset.attrs.update(keys)
        file["volumes/other"] = h5py.SoftLink("/nowhere")
    return path


def chunks(folder: Path, driver: str, array: Any = ZYX, **metadata: Any) -> Path:
    """Write an array; N5 lists its axes the other way round."""
    array, chunk = (array.T, CHUNK) if driver == "n5" else (array, CHUNK[::-1])
    names = {"zarr": "chunks", "n5": "blockSize"}
    if driver == "zarr3":
        metadata = {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}}, **metadata}
    else:
        metadata |= {names[driver]: chunk}
    if driver == "n5":
        metadata |= {"compression": {"type": "gzip"}}
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": str(folder)}, "metadata": metadata}
    store = tensorstore.open(
        {**spec, "store_data_equal_to_fill_value": True}, create=True, dtype=array.dtype.name, shape=array.shape
    ).result()
    store[...] = array
    return folder


def edit(path: Path, **keys: Any) -> Path:
    """Set keys of a JSON file."""
    held = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(held | keys))
    return path.parent


def ngff(factor: float, unit: str, axes: str = "zyx") -> Json:
    """Return OME-NGFF's multiscales, the coarser first; a part of the size is that of all scales."""
    voxel, origin = ([s / factor for s in sizes[::-1]] for sizes in (VOXEL_NM, ORIGIN_NM))
    coarse = {"type": "scale", "scale": [v * 2 for v in voxel]}
    fine = [{"type": "scale", "scale": voxel}, {"type": "translation", "translation": [o / 2 for o in origin]}]
    return {
        "axes": [{"name": axis, "type": "space", "unit": unit} for axis in axes],
        "datasets": [
            {"path": "s1", "coordinateTransformations": [coarse]},
            {"path": "s0", "coordinateTransformations": fine},
        ],
        "coordinateTransformations": [{"type": "translation", "translation": [o / 2 for o in origin]}],
    }


def ngff04(folder: Path) -> Path:
    chunks(folder / "s0", "zarr", dimension_separator="/")
    chunks(folder / "s1", "zarr", ZYX[::2, ::2, ::2])
    edit(folder / ".zgroup", zarr_format=2)
    return edit(folder / ".zattrs", multiscales=[ngff(1e3, "micrometer")])


def ngff05(folder: Path) -> Path:
    chunks(folder / "s0", "zarr3")
    chunks(folder / "s1", "zarr3", ZYX[::2, ::2, ::2])
    held = {"ome": {"version": "0.5", "multiscales": [ngff(1.0, "nanometer")]}}
    return edit(folder / "zarr.json", zarr_format=3, node_type="group", attributes=held)


def open_organelle(folder: Path, driver: str) -> Path:
    """Write ``labels/mito_seg`` with its scales as OpenOrganelle does, and return the group."""
    group, file = folder / "labels" / "mito_seg", {"n5": "attributes.json", "zarr": ".zattrs"}[driver]
    chunks(group / "s0", driver)
    chunks(group / "s1", driver, ZYX[::2, ::2, ::2])
    edit(group / "s0" / file, transform=OPEN_ORGANELLE, pixelResolution={"dimensions": VOXEL_NM, "unit": "nm"})
    coarse = {**OPEN_ORGANELLE, "scale": [2 * v for v in VOXEL_NM[::-1]]}
    datasets = [{"path": "s1", "transform": coarse}, {"path": "s0", "transform": OPEN_ORGANELLE}]
    return edit(group / file, multiscales=[{"datasets": datasets, "name": "mito_seg"}])


def zarr2(folder: Path) -> Path:
    return edit(chunks(folder, "zarr") / ".zattrs", resolution=VOXEL_NM[::-1], offset=ORIGIN_NM[::-1])


def sharded(folder: Path) -> Path:
    inner = {"chunk_shape": CHUNK[::-1], "codecs": [{"name": "bytes"}, {"name": "zstd"}]}
    grid = {"name": "regular", "configuration": {"chunk_shape": [2 * size for size in CHUNK[::-1]]}}
    return chunks(folder, "zarr3", chunk_grid=grid, codecs=[{"name": "sharding_indexed", "configuration": inner}])


def n5(folder: Path) -> Path:
    return edit(chunks(folder, "n5") / "attributes.json", pixelResolution=[v / 1e3 for v in VOXEL_NM])


def npy(path: Path, array: Any = ZYX) -> Path:
    np.save(path, array, allow_pickle=True)
    return path


CREMI = {"resolution": VOXEL_NM[::-1], "offset": ORIGIN_NM[::-1]}
UM = {"element_size_um": [v / 1e3 for v in VOXEL_NM[::-1]]}
NONE, PAGE = (None, (0, 0, 0)), (23, 17, 1)
SIZE, PLACE = (VOXEL_NM, (0, 0, 0)), (VOXEL_NM, ORIGIN_NM)
# name -> how it is written, (voxel, origin) that it says, its chunk, and the name of its volume
FORMATS: dict[str, tuple[Callable[[Path], Path | str], Any, tuple[int, int, int], str]] = {
    "a b%41.nii": (nifti, PLACE, SHAPE, "a_b_41"),
    "b.nii.gz": (nifti, PLACE, SHAPE, "b"),
    "big-endian.nii": (lambda path: nifti(path, LABELS[..., None], 1e6, 2, ">"), PLACE, SHAPE, "big-endian"),
    "imagej.tif": (imagej, SIZE, PAGE, "imagej"),
    "micron.tif": (lambda path: imagej(path, "\\u00B5m", 1e3), SIZE, PAGE, "micron"),
    "c.ome.tif": (ome_tiff, SIZE, PAGE, "c.ome"),
    "pages.tiff": (lambda path: pages(path, bigtiff=True, byteorder=">"), NONE, PAGE, "pages"),
    "tiles.TIF": (lambda path: pages(path, tile=(16, 16), compression="zlib"), NONE, PAGE, "tiles"),
    "one_block.tif": (lambda path: one_block(imagej(path)), SIZE, PAGE, "one_block"),
    "slices": (slices, NONE, PAGE, "slices"),
    "d.h5": (lambda path: hdf5(path, CREMI), PLACE, SHAPE, "d"),
    "e.hdf5": (lambda p: f"{hdf5(p, UM, chunks=CHUNK[::-1], compression='gzip')}:/volumes/labels", SIZE, CHUNK, "e"),
    "f.zarr": (zarr2, PLACE, CHUNK, "f"),
    "a b%41.zarr": (lambda folder: chunks(folder, "zarr3"), NONE, CHUNK, "a_b_41"),
    "sharded.zarr": (sharded, NONE, CHUNK, "sharded"),
    "g.n5": (n5, SIZE, CHUNK, "g"),
    "ngff04.zarr": (ngff04, PLACE, CHUNK, "ngff04"),
    "ngff05.zarr": (ngff05, PLACE, CHUNK, "ngff05"),
    "cell.n5": (lambda folder: open_organelle(folder, "n5"), PLACE, CHUNK, "mito_seg"),
    "s0.n5": (lambda folder: open_organelle(folder, "n5") / "s0", PLACE, CHUNK, "s0"),
    "cell.zarr": (lambda folder: open_organelle(folder, "zarr"), PLACE, CHUNK, "mito_seg"),
    "s0.zarr": (lambda folder: open_organelle(folder, "zarr") / "s0", PLACE, CHUNK, "s0"),
    "h.npy": (npy, NONE, SHAPE, "h"),
    "big.npy": (lambda path: npy(path, np.asfortranarray(ZYX).astype(">u2")), NONE, SHAPE, "big"),
}


def one_block(path: Path) -> Path:
    """Cut all pages but the first out of the directory, as ImageJ does above 4 GiB."""
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        first, order = file.pages[0], file.byteorder
        count = len(first.tags)
        end = first.offset + 2 + 12 * count
    data = bytearray(path.read_bytes())
    data[end : end + 4] = struct.pack(f"{order}I", 0)
    path.write_bytes(data)
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
    return path


def boxes(count: int) -> Iterator[Box]:
    rng = np.random.default_rng(2)
    for _ in range(count):
        ends = np.sort([rng.choice(size + 1, 2, replace=False) for size in SHAPE], axis=1)
        yield Box(tuple(ends[:, 0].tolist()), tuple(ends[:, 1].tolist()))


def opened(path: Path | str, **options: Any) -> Volume:
    scratch = Path(str(path).split(":/")[0]).parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return open_volume(path, scratch, **options)


def whole(path: Path | str, **options: Any) -> Any:
    volume = opened(path, **options)
    return volume.read(Box((0, 0, 0), volume.shape))


def refused(path: Path | str, **options: Any) -> str:
    """Return the text of the error when a volume is opened, or read if it opens."""
    with pytest.raises(VolumeError) as caught:
        whole(path, **options)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Libraries say nothing of their own."""
    yield
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("file", FORMATS)
def test_all_formats_give_the_same_boxes(tmp_path: Path, file: str) -> None:
    write, (voxel_nm, origin_nm), chunk, name = FORMATS[file]
    volume = opened(write(tmp_path / file))
    assert (volume.name, volume.shape, volume.dtype, volume.chunk) == (name, SHAPE, np.uint16, chunk)
    assert volume.voxel_nm is None if voxel_nm is None else volume.voxel_nm == pytest.approx(voxel_nm, rel=1e-6)
    assert volume.origin_nm == pytest.approx(origin_nm, rel=1e-6)
    for box in (WHOLE, *boxes(8)):
        found = volume.read(box)
        assert found.dtype == np.uint16
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, LABELS[box.slices])
    assert not getattr(volume, "missing", ())


@pytest.mark.parametrize("axes", ["".join(order) for order in itertools.permutations("xyz")])
def test_a_user_names_the_axes(tmp_path: Path, axes: str) -> None:
    array = LABELS.transpose([("xyz").index(axis) for axis in axes])
    sizes = [VOXEL_NM[("xyz").index(axis)] for axis in axes]
    group = edit(chunks(tmp_path / "a.zarr", "zarr", array) / ".zattrs", resolution=sizes)
    turned = edit(
        chunks(tmp_path / "b.n5", "n5", array.T) / "attributes.json", pixelResolution=[s / 1e3 for s in sizes]
    )
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("labels", data=array).attrs["resolution"] = sizes
    for path in (group, turned, tmp_path / "c.h5", npy(tmp_path / "d.npy", array), pages(tmp_path / "e.tif", array)):
        volume = opened(path, axes=axes.upper())
        np.testing.assert_array_equal(volume.read(WHOLE), LABELS)
        if path.suffix in (".zarr", ".n5", ".h5"):
            assert volume.voxel_nm == pytest.approx(VOXEL_NM)


def test_a_url_is_read(tmp_path: Path) -> None:
    ngff05(tmp_path / "ngff05.zarr")
    handler = functools.partial(_Silent, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        volume = open_volume(f"{url}/ngff05.zarr/", tmp_path)
        np.testing.assert_array_equal(volume.read(WHOLE), LABELS)
        assert (volume.name, volume.origin_nm) == ("ngff05", ORIGIN_NM)
        with pytest.raises(VolumeError, match=r"other: 'http://.*/other.zarr/' holds neither a Zarr nor an N5 array"):
            open_volume(f"{url}/other.zarr", tmp_path)
        server.shutdown()


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_server_that_is_not_there_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(chunked.PATIENCE, "max_retries", 1)
    with pytest.raises(VolumeError, match=r"a: 'http://127\.0\.0\.1:9/a.zarr/' cannot be read: .*Could not connect"):
        open_volume("http://127.0.0.1:9/a.zarr", tmp_path)
    with pytest.raises(VolumeError, match=r"a: 'ftp://host/a.zarr' cannot be opened: .*unsupported URL scheme"):
        open_volume("ftp://host/a.zarr", tmp_path)


def test_no_archive_is_opened_within_a_url(tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "a"), "zip", chunks(tmp_path / "a.zarr", "zarr"))
    with pytest.raises(VolumeError, match="holds neither a Zarr nor an N5 array"):
        open_volume(f"{(tmp_path / 'a.zip').as_uri()}|zip:", tmp_path)


def cut(path: Path, part: float = 0.6) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


def patched(path: Path, at: int, data: bytes) -> Path:
    held = bytearray(path.read_bytes())
    held[at : at + len(data)] = data
    path.write_bytes(held)
    return path


def packed(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data))
    return path


def huge_nifti(path: Path) -> Path:
    """Declare 10 000 voxels along each axis, with no data."""
    header = nibabel.Nifti1Header()
    header.set_data_shape((10_000, 10_000, 10_000))
    header.set_data_dtype(np.uint16)
    return packed(path, header.binaryblock + bytes(4)) if path.suffix == ".gz" else written(path, header.binaryblock)


def written(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def wrong_checksum(path: Path) -> Path:
    nifti(path)
    return patched(path, len(path.read_bytes()) - 8, b"\0\0\0\0")


def scaled(path: Path) -> Path:
    nifti(path)
    # Of NIfTI-1: scl_slope and scl_inter.
    return patched(path, 112, struct.pack("<2f", 2.0, 1.0))


def huge_tiff(path: Path, tag: str, page: int = 0, **options: Any) -> Path:
    pages(path, **options)
    with tifffile.TiffFile(path) as file:
        at = file.pages[page].aspage().tags[tag].offset
    return patched(path, at + 2, struct.pack("<HII", 4, 1, 1 << 24))


def lzw(path: Path) -> Path:
    """Say LZW of what is deflated; without imagecodecs, LZW cannot be read at all."""
    pages(path, compression="zlib")
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].tags["Compression"].offset
    return patched(path, at + 8, struct.pack("<H", 5))


def mixed(folder: Path, array: Any, copies: int = 1) -> Path:
    slices(folder)
    tifffile.imwrite(folder / "s3.tif", np.stack([array] * copies) if copies > 1 else array)
    return folder


def external(path: Path) -> Path:
    other = written(path.with_name("secret.raw"), bytes(60))
    with h5py.File(path, "w") as file:
        file.create_dataset("labels", (3, 4, 5), np.uint8, external=[(str(other), 0, 60)])
    return path


def virtual(path: Path) -> Path:
    hdf5(path.with_name("other.h5"), {})
    layout = h5py.VirtualLayout(ZYX.shape, ZYX.dtype)
    layout[...] = h5py.VirtualSource("other.h5", "volumes/labels", ZYX.shape)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("labels", layout)
    return path


def linked(path: Path) -> Path:
    hdf5(path.with_name("other.h5"), {})
    with h5py.File(path, "w") as file:
        file["labels"] = h5py.ExternalLink("other.h5", "/volumes/labels")
    return path


def several(path: Path) -> Path:
    hdf5(path, {})
    with h5py.File(path, "a") as file:
        file["raw"], file["flat"], file["empty"] = ZYX, ZYX[0], h5py.Empty("u2")
    return path


def large_chunk(folder: Path) -> Path:
    metadata = {"zarr_format": 2, "shape": [9, 9, 9], "chunks": [4096, 4096, 4096], "dtype": "<u8", "filters": None}
    return edit(folder / ".zarray", **metadata, compressor=None, order="C", fill_value=0)


def leads_outside(folder: Path) -> Path:
    chunks(folder.with_name("s0"), "zarr")
    scales = {**ngff(1.0, "nanometer"), "datasets": [{"path": "../s0"}]}
    return edit(folder / ".zattrs", multiscales=[scales])


def damaged_chunk(folder: Path, driver: str) -> Path:
    chunks(folder, driver)
    largest = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    patched(largest, 0, bytes([0xA5] * 40))
    return folder


def group_of(folder: Path, **scales: Any) -> Path:
    chunks(folder / "s0", "zarr")
    held = ngff(1.0, "nanometer")
    return edit(folder / ".zattrs", multiscales=[{**held, "datasets": held["datasets"][1:], **scales}])


def archive(path: Path) -> Path:
    np.savez(path.with_suffix(".npz"), labels=LABELS)
    return path.with_suffix(".npz").rename(path)


OBJECTS = np.array([[[None, 1], [2, 3]]], object)
# name -> how it is written, and what the error says
BAD: dict[str, tuple[Callable[[Path], Path | str], str]] = {
    "cut.nii": (lambda p: cut(nifti(p)), "cut: the file is cut short: 5841 of 9736 bytes are there"),
    "head.nii": (lambda p: cut(nifti(p), 0.02), "head.nii' is not a NIfTI volume, or is damaged"),
    "text.nii": (lambda p: written(p, "labels\n" * 200), "text.nii' is not a NIfTI volume, or is damaged"),
    "cut.nii.gz": (lambda p: cut(nifti(p)), "cut: the file is cut short or damaged after "),
    "short.nii.gz": (lambda p: packed(p, nifti(p.with_name("a.nii")).read_bytes()[:5000]), "short: 5000 of 9736 bytes"),
    "checksum.nii.gz": (wrong_checksum, "cut short or damaged after 9736 bytes: CRC check failed"),
    "plain.nii.gz": (lambda p: nifti(p.with_name("a.nii")).rename(p), "damaged: Not a gzipped file"),
    "bomb.nii.gz": (huge_nifti, "declares 1862.6 GiB unpacked, more than the limit of 64.0 GiB: raise --max-gib"),
    "huge.nii": (huge_nifti, "huge: the file is cut short: 348 of 2000000000352 bytes are there"),
    "scaled.nii": (scaled, "the header scales its values by 2 and adds 1: save labels as integers"),
    "flat.nii": (lambda p: nifti(p, LABELS[0]), "an array of shape (17, 12) given: label volumes have three axes"),
    "film.nii": (
        lambda p: nifti(p, np.stack([LABELS] * 2, -1)),
        "shape (23, 17, 12, 2) given: label volumes have three",
    ),
    "complex.nii": (lambda p: nifti(p, LABELS.astype(np.complex64)), "array of complex64 given: labels are whole numb"),
    "cut.tif": (lambda p: cut(pages(p)), "cut.tif' is not a TIFF file, or is cut short: its pages go on at byte "),
    "deflated.tif": (lambda p: cut(pages(p, compression="zlib"), 0.95), "deflated.tif is cut short: page 11 ends at"),
    "head.tif": (lambda p: cut(pages(p), 0.01), "head.tif' is not a TIFF file, or is cut short"),
    "empty.tif": (lambda p: written(p, ""), "empty.tif' is not a TIFF file, or is cut short"),
    "huge.tif": (lambda p: huge_tiff(p, "ImageLength"), "huge: a page of 16777216 x 23 declares 0.7 GiB, more than"),
    "tile.tif": (lambda p: huge_tiff(p, "TileWidth", tile=(16, 16)), "a page of 17 x 23 declares 0.5 GiB, more than"),
    "later.tif": (lambda p: huge_tiff(p, "TileWidth", 4, tile=(16, 16)), "a page of 17 x 23 declares 0.5 GiB, more"),
    "lzw.tif": (lambda p: lzw(p), "lzw.tif' cannot be read, or is damaged: "),
    "rgb.tif": (lambda p: (tifffile.imwrite(p, np.zeros((4, 5, 3), "u1"), photometric="rgb"), p)[1], "(4, 5, 3) given"),
    "film.npy": (
        lambda p: npy(p, ZYX[None]),
        "film: an array of shape (1, 12, 17, 23) given: label volumes have three",
    ),
    "flat.npy": (lambda p: npy(p, ZYX[0]), "flat: an array of shape (17, 23) given: label volumes have three axes"),
    "none.npy": (lambda p: npy(p, ZYX[:0]), "none: an array of shape (0, 17, 23) given: it holds no voxels"),
    "objects.npy": (lambda p: npy(p, OBJECTS), "objects.npy' is not a .npy array of numbers, or is cut short: "),
    "words.npy": (lambda p: npy(p, ZYX.astype("U5")), "words: an array of <U5 given: labels are whole numbers"),
    "cut.npy": (lambda p: cut(npy(p)), "cut.npy' is not a .npy array of numbers, or is cut short: "),
    "archive.npy": (archive, "archive.npy' is not a .npy array of numbers, or is cut short: "),
    "sizes": (
        lambda p: mixed(p, ZYX[0, 1:]),
        "page 0 of s3.tif is of shape (16, 23) and type uint16, the first page of",
    ),
    "types": (
        lambda p: mixed(p, ZYX[0] > 9),
        "is of shape (17, 23) and type bool, the first page of (17, 23) and",
    ),
    "many": (lambda p: mixed(p, ZYX[0], 2), "slice s3.tif has 2 pages: one is expected of each file of a folder"),
    "colours": (lambda p: mixed(p, np.stack([ZYX[0]] * 3, -1)), "page 0 of s3.tif is of shape (17, 23, 3) and type"),
    "no_slices": (
        lambda p: written(p / "a.png", "").parent,
        "holds no files that end in .tif or .tiff, and is no Zarr",
    ),
    "cut.h5": (lambda p: cut(hdf5(p, {})), "cut.h5' is not an HDF5 file, or is cut short: "),
    "text.h5": (lambda p: written(p, "labels"), "text.h5' is not an HDF5 file, or is cut short: "),
    "several.h5": (several, "three axes: raw, volumes/labels. Name one: several.h5:/raw"),
    "typo.h5": (
        lambda p: f"{several(p)}:/volumes/lables",
        "did you mean 'volumes/labels'? (known: raw, volumes/labels)",
    ),
    "link.h5": (linked, "holds these datasets of three axes: none. Name one: link.h5:/dataset"),
    "followed.h5": (lambda p: f"{linked(p)}:/labels", "followed: "),
    "external.h5": (external, "dataset 'labels' keeps its voxels in other files: copy them into one"),
    "virtual.h5": (virtual, "dataset 'labels' keeps its voxels in other files: copy them into one"),
    "chunk.h5": (lambda p: flipped_hdf5(p), "chunk: a chunk of voxels (0, 0, 0) to (23, 17, 12) is damaged: "),
    "a.png": (
        lambda p: written(p, "PNG"),
        "a.png' is of no known format: .nii, .nii.gz, .tif, .tiff or a folder",
    ),
    "absent.nii": (lambda p: p, "absent.nii' does not exist: a label volume is expected (.nii, .nii.gz, .tif,"),
    "nul.nii": (lambda p: f"{p}\0", "does not exist: a label volume is expected"),
    "group.zarr": (lambda p: edit(p / ".zgroup", zarr_format=2), "group of scales: name the array itself"),
    "group3.zarr": (lambda p: edit(p / "zarr.json", node_type="group"), "group of scales: name the array itself"),
    "root.n5": (lambda p: edit(p / "attributes.json", n5="4.0.0"), "group of scales: name the array itself"),
    "json.zarr": (lambda p: cut(zarr2(p) / ".zarray").parent, "json.zarr/.zarray' is damaged: "),
    "list.zarr": (lambda p: written(zarr2(p) / ".zattrs", "[1]").parent, "list.zarr/.zattrs' is damaged: "),
    "deep.zarr": (lambda p: written(p / ".zarray", "[" * 100_000).parent, "deep.zarr/.zarray' is damaged: "),
    "shape.zarr": (lambda p: edit(zarr2(p) / ".zarray", shape=[1, "a", 2]), "cannot be opened as zarr: "),
    "rank.zarr": (lambda p: chunks2d(p), "an array of shape (17, 23) given: label volumes have three axes"),
    "large.zarr": (
        large_chunk,
        "chunks of [4096, 4096, 4096] declare 512.0 GiB each, more than 4: store the",
    ),
    "outside.zarr": (leads_outside, "cannot be understood: ValueError(\"path '../s0' does not lead into the group\")"),
    "absent.zarr": (
        lambda p: group_of(p, datasets=[{"path": "s9"}]),
        "absent.zarr/s9/' holds neither a Zarr nor an N5",
    ),
    "scales.zarr": (lambda p: group_of(p, datasets=[]), "the multiscales of "),
    "words.zarr": (lambda p: group_of(p, datasets="s0"), "cannot be understood: TypeError"),
    "chunk.zarr": (
        lambda p: damaged_chunk(p, "zarr"),
        "chunk: the chunks of voxels (0, 0, 0) to (23, 17, 12) are",
    ),
    "chunk.n5": (
        lambda p: damaged_chunk(p, "n5"),
        "chunk: the chunks of voxels (0, 0, 0) to (23, 17, 12) are",
    ),
}


def flipped_hdf5(path: Path) -> Path:
    hdf5(path, {}, chunks=(12, 17, 23), compression="gzip")
    with h5py.File(path) as file:
        at = file["volumes/labels"].id.get_chunk_info(0).byte_offset
    return patched(path, at, bytes([0xA5] * 40))


def chunks2d(folder: Path) -> Path:
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(folder)}}
    tensorstore.open(spec, create=True, dtype="uint16", shape=(17, 23)).result()[...] = ZYX[0]
    return folder


@pytest.mark.parametrize("file", BAD)
def test_bad_input_is_refused_in_words(tmp_path: Path, file: str) -> None:
    write, text = BAD[file]
    found = refused(write(tmp_path / file), max_bytes=1 << (36 if "bomb" in file else 28))
    assert text in found
    assert "Traceback" not in found


def test_limits_can_be_raised(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii.gz")
    assert "more than the limit of 0.0 GiB: raise --max-gib" in refused(path, max_bytes=9_735)
    assert opened(path, max_bytes=9_736).shape == SHAPE
    assert "a page of 17 x 23" in refused(pages(tmp_path / "a.tif"), max_bytes=781)
    assert opened(pages(tmp_path / "a.tif"), max_bytes=782).shape == SHAPE


def test_a_header_that_lies_low_is_not_unpacked_further(tmp_path: Path) -> None:
    packed(tmp_path / "a.nii.gz", nifti(tmp_path / "a.nii").read_bytes() + bytes(1 << 20))
    np.testing.assert_array_equal(opened(tmp_path / "a.nii.gz").read(WHOLE), LABELS)
    assert (tmp_path / "scratch" / "a.nii").stat().st_size == 9736


def test_what_is_unpacked_is_not_unpacked_again(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii.gz")
    opened(path)
    unpacked, changed_ns = tmp_path / "scratch" / "a.nii", path.stat().st_mtime_ns
    patched(unpacked, 352, b"\7\0")
    os.utime(unpacked, ns=(changed_ns, changed_ns))
    assert opened(path).read(Box((0, 0, 0), (1, 1, 1))) == 7
    os.utime(path, ns=(changed_ns, changed_ns + 1))  # another file of that name and size
    assert opened(path).read(Box((0, 0, 0), (1, 1, 1))) == ZYX[0, 0, 0]


@pytest.mark.parametrize("axes", ["xyt", "zy", "zyxc", ""])
def test_axes_are_x_y_and_z(tmp_path: Path, axes: str) -> None:
    expected = f"a: axes {axes!r} given: x, y and z in the order of the file's axes are expected (zyx)"
    assert refused(npy(tmp_path / "a.npy"), axes=axes) == expected


def test_metadata_that_say_too_little_leave_the_size_unknown(tmp_path: Path) -> None:
    for name, scales in {
        "pixels": {"axes": [{"name": axis, "unit": "pixel"} for axis in "zyx"]},
        "early": {"axes": list("zyx")},
        "bare": {"datasets": [{"path": "s0"}], "coordinateTransformations": []},
    }.items():
        volume = opened(group_of(tmp_path / f"{name}.zarr", **scales))
        assert volume.voxel_nm is None, name
        np.testing.assert_array_equal(volume.read(WHOLE), LABELS)
    odd: list[Json] = [
        {"resolution": [1, 2]},
        {"resolution": "4nm"},
        {"pixelResolution": {"unit": "nm"}},
        {"transform": 1},
    ]
    for number, attributes in enumerate(odd):
        assert opened(edit(chunks(tmp_path / f"{number}.zarr", "zarr") / ".zattrs", **attributes)).voxel_nm is None
    for number, keys in enumerate([{"resolution": "4nm"}, {"voxel_size": [1.0, 2.0]}]):
        assert opened(hdf5(tmp_path / f"{number}.h5", keys)).voxel_nm is None


def test_an_array_says_what_its_group_does_not(tmp_path: Path) -> None:
    group = group_of(tmp_path / "a.zarr", axes=[{"name": axis} for axis in "xyz"])
    edit(group / "s0" / ".zattrs", resolution=VOXEL_NM, offset=ORIGIN_NM)
    volume = opened(group)
    assert volume.shape == SHAPE[::-1]
    assert volume.voxel_nm == pytest.approx(VOXEL_NM)
    assert volume.origin_nm == ORIGIN_NM


def test_pages_of_other_files_are_not_followed(tmp_path: Path) -> None:
    """An OME-XML may name further files; pages are those of the file given."""
    (tmp_path / "inner").mkdir()
    secret = ome_tiff(tmp_path / "secret.ome.tif")
    with tifffile.TiffFile(secret) as file:
        xml = file.ome_metadata
    xml = xml.replace("<TiffData", '<TiffData><UUID FileName="../secret.ome.tif">urn:uuid:1</UUID></TiffData><TiffData')
    path = tmp_path / "inner" / "a.ome.tif"
    tifffile.imwrite(path, ZYX[:2] * 0, description=xml, metadata=None, photometric="minisblack")
    volume = opened(path)
    assert volume.shape == (23, 17, 2)
    assert not volume.read(Box((0, 0, 0), volume.shape)).any()


MISSING = {"zarr": "1.1.1", "zarr3": "c/1/1/1", "n5": "1/1/1"}


@pytest.mark.parametrize("driver", MISSING)
def test_missing_chunks_are_background_and_noted(tmp_path: Path, driver: str) -> None:
    folder = chunks(tmp_path / "a.zarr", driver)
    (folder / MISSING[driver]).unlink()
    volume = opened(folder)
    assert isinstance(volume, chunked.ChunkedVolume)
    gap = Box((8, 6, 5), (16, 12, 10))
    expected = LABELS.copy()
    expected[gap.slices] = 0
    for box in (WHOLE, gap, Box((0, 0, 0), (8, 6, 5)), *boxes(6)):
        np.testing.assert_array_equal(volume.read(box), expected[box.slices])
        meets = all(a < d and c < b for a, b, c, d in zip(box.low, box.high, gap.low, gap.high, strict=True))
        assert (box in volume.missing) == meets


def test_other_processes_note_missing_chunks(tmp_path: Path) -> None:
    folder = chunks(tmp_path / "a.zarr", "zarr")
    (folder / "1.1.1").unlink()
    source = Source.of(folder, None, tmp_path, 1 << 30)
    cut = Cut(SHAPE, CHUNK, (1, 1, 1))
    job = ScanJob(source, cut, tmp_path, Foreground())
    assert sorted(named_executor("processes", 2).imap(job, range(len(cut)))) == list(range(len(cut)))
    noted = []
    for number in range(len(cut)):
        with np.load(table_path(tmp_path, number)) as table:
            noted.append(bool(table["missing"]))
    assert [cut.box(number).low for number in np.flatnonzero(noted)] == [(8, 6, 5)]


@pytest.mark.parametrize("file", FORMATS)
def test_a_damaged_file_gives_labels_or_a_volume_error(tmp_path: Path, file: str) -> None:
    """Bytes at random places are cut, zeroed, or overwritten."""
    rng = np.random.default_rng(zlib.crc32(file.encode()))
    place = FORMATS[file][0](tmp_path / "whole" / file) if (tmp_path / "whole").mkdir() is None else ""
    for number in range(8):
        copy = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", copy)
        files = sorted(path for path in copy.rglob("*") if path.is_file())
        data = bytearray((path := files[rng.integers(len(files))]).read_bytes())
        at = int(rng.integers(min(len(data), 600)))
        data[at : at + 8] = [b"", bytes(8), b"\xff" * 8, rng.bytes(8)][number % 4]
        path.write_bytes(data[:at] if number % 4 == 0 else data)
        try:
            found = whole(str(place).replace(str(tmp_path / "whole"), str(copy)), max_bytes=1 << 26)
        except VolumeError as error:
            assert str(error)  # noqa: PT017  either will do
        else:
            assert found.ndim == 3
