"""Label volumes of electron microscopy: every format gives the same voxels, and no damaged file gives a traceback."""

from __future__ import annotations

import functools
import itertools
import json
import shutil
import struct
import threading
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
from mishape.em.open import open_volume
from mishape.em.volumes import Box, Volume
from mishape.engine.errors import VolumeError

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
        metadata |= {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}}}
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


def refused(path: Path | str, **options: Any) -> str:
    """Return the text of the error when a volume is opened, or read if it opens."""
    with pytest.raises(VolumeError) as caught:
        volume = opened(path, **options)
        volume.read(Box((0, 0, 0), volume.shape))
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
