"""Zarr v2 and v3 and N5, in a folder or behind a URL, by tensorstore: an array, or the finest of a group of scales."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from mishape.em.multiscales import Metadata, Placed, attributes_of, finest, of_array
from mishape.em.volumes import AXES, Box, Volume, check_array, check_axes, in_order
from mishape.engine.errors import VolumeError

DRIVERS = {"zarr.json": "zarr3", ".zarray": "zarr", "attributes.json": "n5"}
USUAL_AXES = {"zarr3": "zyx", "zarr": "zyx", "n5": "xyz"}
MAX_CHUNK_BYTES = 1 << 32
PATIENCE = {"max_retries": 5, "initial_delay": "250ms", "max_delay": "8s"}
"""Of requests that fail: about 8 s; tensorstore's own would be a quarter of an hour."""


def open_chunked(url: str, name: str, axes: str | None) -> Volume:
    """Open an array, or the finest scale of a group.

    Parameters
    ----------
    url
        ``file://``, ``http(s)://``, ``s3://`` (without credentials) or ``gs://``.
    axes
        The array's axes; where nothing is given, as its metadata name them, else zyx (N5: xyz).

    Raises
    ------
    VolumeError
        If there is no such array, its metadata are damaged, or its chunks are larger than 4 GiB.
    """
    store, placed = _store(url, name), None
    metadata = _metadata(store, name)
    driver = _driver(metadata)
    if driver is None and (found := _finest(metadata, url, name)):
        path, placed = found
        store = _store(f"{url}/{quote(path)}", name)
        metadata = _metadata(store, name)
        driver = _driver(metadata)
    if driver is None:
        raise VolumeError(
            f"{name}: {store.url!r} holds neither a Zarr nor an N5 array (no {', '.join(DRIVERS)} of one), nor a group "
            "of scales: name the array itself"
        )
    if placed is None or placed.voxel_nm is None:
        placed = of_array(attributes_of(metadata), placed.axes if placed else USUAL_AXES[driver]) or placed
    if placed and driver == "n5":
        # N5's dimensions run the other way round than the arrays whose axes are named.
        placed = placed.along_xyz()
    own = placed.axes if placed else USUAL_AXES[driver]
    return ChunkedVolume(name, store, driver, check_axes(axes or own, name), placed)


def _store(url: str, name: str) -> Any:
    import tensorstore

    context = {f"{kind}_request_retries": PATIENCE for kind in ("http", "s3", "gcs")}
    context["aws_credentials"] = {"type": "anonymous"}
    try:
        # A bar would open an archive within the URL.
        return tensorstore.KvStore.open(f"{url}/".replace("|", "%7C"), context=tensorstore.Context(context)).result()
    except ValueError as error:
        raise VolumeError(f"{name}: {url!r} cannot be opened: {error}") from None


def _metadata(store: Any, name: str) -> dict[str, Metadata]:
    """Return the metadata files that are there."""
    found: dict[str, Metadata] = {}
    for file in (*DRIVERS, ".zattrs"):
        try:
            answer = store.read(file).result()
        except (ValueError, OSError) as error:
            raise VolumeError(f"{name}: {store.url!r} cannot be read: {error}") from None
        if answer.state == "value":
            try:
                found[file] = dict(json.loads(answer.value))
                attributes_of(found)
            except (ValueError, TypeError, RecursionError) as error:
                raise VolumeError(f"{name}: {store.url + file!r} is damaged: {error}") from None
    return found


def _driver(metadata: Mapping[str, Metadata]) -> str | None:
    """Return what reads the array that these are the metadata of; nothing for a group."""
    file = next((file for file in DRIVERS if file in metadata), "")
    group = (file == "zarr.json" and metadata[file].get("node_type") != "array") or (
        file == "attributes.json" and "dimensions" not in metadata[file]
    )
    return None if group else DRIVERS.get(file)


def _finest(metadata: Mapping[str, Metadata], url: str, name: str) -> tuple[str, Placed | None] | None:
    try:
        return finest(attributes_of(metadata))
    except Exception as error:  # a stranger's file may fail in any way
        raise VolumeError(f"{name}: the multiscales of {url!r} cannot be understood: {error!r}") from None


class ChunkedVolume(Volume):
    """A Zarr or N5 array.

    Parameters
    ----------
    store
        The key-value store at the array.
    driver
        Of tensorstore.
    axes
        The array's axes, first to last.
    placed
        What metadata say about them, in this order.
    """

    def __init__(self, name: str, store: Any, driver: str, axes: str, placed: Placed | None) -> None:
        self.name, self._axes = name, axes
        self._filled = _opened(store, driver, name, fill_missing=True)
        self._strict = _opened(store, driver, name, fill_missing=False)
        self.dtype = np.dtype(self._filled.dtype.numpy_dtype)
        check_array(self._filled.shape, self.dtype, name)
        chunk = [int(size) for size in self._filled.chunk_layout.read_chunk.shape]
        size = math.prod(chunk) * self.dtype.itemsize
        if size > MAX_CHUNK_BYTES:
            raise VolumeError(
                f"{name}: chunks of {chunk} declare {size / 2**30:.1f} GiB each, more than "
                f"{MAX_CHUNK_BYTES / 2**30:g}: store the volume anew in smaller chunks"
            )
        self.shape, self.chunk = in_order(self._filled.shape, axes), in_order(chunk, axes)
        if placed is not None and placed.voxel_nm is not None:
            self.voxel_nm = np.array(in_order(placed.voxel_nm, axes), np.float64)
            x, y, z = in_order(placed.origin_nm, axes)
            self.origin_nm = (float(x), float(y), float(z))
        self.missing: set[Box] = set()

    def read(self, box: Box) -> NDArray[Any]:
        array = self._read(self._strict, box)
        if array is None:
            # All three formats leave out chunks that hold the fill value alone: no error, but worth saying.
            self.missing.add(box)
            array = self._read(self._filled, box)
        return np.asarray(np.transpose(array, in_order(range(3), self._axes)))

    def _read(self, store: Any, box: Box) -> Any:
        """Return the array's own box, or nothing if a chunk is missing."""
        try:
            return store[tuple(box.slices[AXES.index(axis)] for axis in self._axes)].read().result()
        except Exception as error:  # a stranger's file may fail in any way
            if store is self._strict and str(error).startswith("NOT_FOUND"):
                return None
            raise VolumeError(
                f"{self.name}: the chunks of voxels {box.low} to {box.high} are damaged: {error}"
            ) from None


def _opened(store: Any, driver: str, name: str, *, fill_missing: bool) -> Any:
    import tensorstore

    spec = {"driver": driver, "fill_missing_data_reads": fill_missing}
    try:
        return tensorstore.open(spec, kvstore=store, open=True, read=True).result()
    except Exception as error:  # a stranger's file may fail in any way
        raise VolumeError(f"{name}: {store.url!r} cannot be opened as {driver}: {error}") from None
