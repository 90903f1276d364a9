"""Zarr v2 and v3 and N5, in a folder or behind a URL, by tensorstore.

A path names an array or a group of scales: OME-NGFF's ``multiscales`` or OpenOrganelle's, of which the finest is read.
Sizes and places come from there, else from the array's own ``transform``, ``pixelResolution`` or ``resolution``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.em.volumes import AXES, Box, Volume, check_axes, in_order
from mishape.engine.errors import VolumeError

DRIVERS = {"zarr.json": "zarr3", ".zarray": "zarr", "attributes.json": "n5"}
GROUPS = ("zarr.json", ".zattrs", "attributes.json")
NM_PER_UNIT = {"nanometer": 1.0, "nm": 1.0, "micrometer": 1e3, "um": 1e3, "µm": 1e3, "angstrom": 0.1, "millimeter": 1e6}
MAX_CHUNK_BYTES = 1 << 32


@dataclass(frozen=True)
class Placed:
    """What metadata say about an array: its axes, first to last, its voxels' size and its first voxel's place, nm."""

    axes: str
    voxel_nm: Sequence[float]
    origin_nm: Sequence[float]


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
    inner, placed = _finest(url, name)
    store = _store(f"{url}/{inner}" if inner else url, name)
    attributes = _metadata(store, name)
    driver = next((DRIVERS[file] for file in DRIVERS if file in attributes), None)
    if driver == "n5" and "dimensions" not in attributes["attributes.json"]:
        driver = None
    if driver == "zarr3" and attributes["zarr.json"].get("node_type") != "array":
        driver = None
    if driver is None:
        raise VolumeError(
            f"{name}: {url!r} holds neither a Zarr nor an N5 array (no {', '.join(DRIVERS)} of one), nor a group of "
            "scales: name the array itself"
        )
    # N5 lists its axes the other way round than it names them.
    own = placed or _of_array(attributes, "xyz" if driver == "n5" else "zyx")
    return ChunkedVolume(name, store, driver, check_axes(axes or (own.axes if own else _usual(driver)), name), own)


def _usual(driver: str) -> str:
    return "xyz" if driver == "n5" else "zyx"


def _store(url: str, name: str) -> Any:
    import tensorstore

    spec: Any = url.rstrip("/") + "/"
    if url.startswith("s3://"):
        bucket, _, path = url[5:].rstrip("/").partition("/")
        spec = {"driver": "s3", "bucket": bucket, "path": path + "/", "aws_credentials": {"type": "anonymous"}}
    try:
        return tensorstore.KvStore.open(spec).result()
    except ValueError as error:
        raise VolumeError(f"{name}: {url!r} cannot be opened: {error}") from None


def _metadata(store: Any, name: str) -> dict[str, dict[str, Any]]:
    """Return the metadata files that are there."""
    found = {}
    for file in (*DRIVERS, ".zattrs"):
        try:
            answer = store.read(file).result()
        except (ValueError, OSError) as error:
            raise VolumeError(f"{name}: {store.url!r} cannot be read: {error}") from None
        if answer.state == "value":
            try:
                found[file] = dict(json.loads(answer.value))
            except (ValueError, TypeError) as error:
                raise VolumeError(f"{name}: {store.url + file!r} is damaged: {error}") from None
    return found


def _finest(url: str, name: str) -> tuple[str, Placed | None]:
    """Return the path of a group's finest scale and what the group says of it; nothing for an array."""
    attributes = _metadata(_store(url, name), name)
    held: dict[str, Any] = {}
    for file in GROUPS:
        own = attributes.get(file, {})
        held |= own.get("attributes", {}) if file == "zarr.json" else own
    scales = held.get("ome", held).get("multiscales")
    if not scales:
        return "", None
    try:
        axes = scales[0].get("axes")
        datasets = [(entry["path"], _placed(entry, axes)) for entry in scales[0]["datasets"]]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise VolumeError(f"{name}: the multiscales of {url!r} cannot be understood: {error!r}") from None
    return min(datasets, key=lambda item: math.prod(item[1].voxel_nm) if item[1] else math.inf)


def _placed(entry: Mapping[str, Any], axes: Any) -> Placed | None:
    """Return what one scale's entry says, in OpenOrganelle's words or OME-NGFF's."""
    if "transform" in entry:
        return _transform(entry["transform"])
    named = [axis if isinstance(axis, dict) else {"name": axis, "unit": "nanometer"} for axis in axes or []]
    names = "".join(str(axis["name"]) for axis in named).lower()
    if sorted(names) != sorted(AXES):
        return None
    units = np.array([NM_PER_UNIT.get(str(axis.get("unit", "")), math.nan) for axis in named])
    scale, offset = np.ones(3), np.zeros(3)
    for step in entry.get("coordinateTransformations", ()):
        if step["type"] == "scale":
            scale = scale * np.asarray(step["scale"], np.float64)
            offset = offset * np.asarray(step["scale"], np.float64)
        elif step["type"] == "translation":
            offset = offset + np.asarray(step["translation"], np.float64)
    if np.isnan(units).any():
        return None
    return Placed(names, (scale * units).tolist(), (offset * units).tolist())


def _transform(given: Mapping[str, Any]) -> Placed:
    units = np.array([NM_PER_UNIT[str(unit)] for unit in given["units"]])
    scale, offset = (np.asarray(given[key], np.float64) * units for key in ("scale", "translate"))
    return Placed("".join(given["axes"]).lower(), scale.tolist(), offset.tolist())


def _of_array(attributes: Mapping[str, Mapping[str, Any]], axes: str) -> Placed | None:
    """Return what an array's own attributes say."""
    own: dict[str, Any] = {}
    for file in GROUPS:
        held = attributes.get(file, {})
        own |= held.get("attributes", {}) if file == "zarr.json" else held
    try:
        if "transform" in own and "scale" in own["transform"]:
            placed = _transform(own["transform"])
            # OpenOrganelle's transforms name the axes in C order, which N5 lists the other way round.
            turned = axes == "xyz" and placed.axes == "zyx"
            return Placed("xyz", placed.voxel_nm[::-1], placed.origin_nm[::-1]) if turned else placed
        if "pixelResolution" in own:
            given = own["pixelResolution"]
            sizes, unit = (given["dimensions"], given.get("unit", "um")) if isinstance(given, dict) else (given, "um")
            return Placed(axes, (np.asarray(sizes, np.float64) * NM_PER_UNIT[unit]).tolist(), [0.0] * 3)
        if "resolution" in own and np.size(own["resolution"]) == 3:
            return Placed(axes, list(own["resolution"]), list(own.get("offset", [0.0] * 3)))
    except (KeyError, TypeError, ValueError):
        return None
    return None


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
        What metadata say about them.
    """

    def __init__(self, name: str, store: Any, driver: str, axes: str, placed: Placed | None) -> None:
        import tensorstore

        self.name, self._axes = name, axes
        spec = {"driver": driver, "kvstore": store.spec().to_json()}
        try:
            self._filled = tensorstore.open(spec, open=True, read=True).result()
            self._strict = tensorstore.open({**spec, "fill_missing_data_reads": False}, open=True, read=True).result()
        except ValueError as error:
            raise VolumeError(f"{name}: {store.url!r} cannot be opened as {driver}: {error}") from None
        if self._filled.rank != 3:
            raise VolumeError(f"{name}: an array of shape {self._filled.shape} given: label volumes have three axes")
        self.dtype = np.dtype(self._filled.dtype.numpy_dtype)
        declared: Any = self._filled.chunk_layout.read_chunk.shape
        chunk = [int(size) for size in declared]
        size = math.prod(chunk) * self.dtype.itemsize
        if size > MAX_CHUNK_BYTES:
            raise VolumeError(
                f"{name}: chunks of {chunk} declare {size / 2**30:.1f} GiB each, more than "
                f"{MAX_CHUNK_BYTES / 2**30:g}: store the volume anew in smaller chunks"
            )
        self.shape, self.chunk = in_order(self._filled.shape, axes), in_order(chunk, axes)
        if placed is not None:
            at = [placed.axes.index(axis) for axis in AXES]
            self.voxel_nm = np.array([placed.voxel_nm[i] for i in at])
            x, y, z = (float(placed.origin_nm[i]) for i in at)
            self.origin_nm = (x, y, z)
        self.missing: list[Box] = []

    def read(self, box: Box) -> NDArray[Any]:
        own = tuple(box.slices[AXES.index(axis)] for axis in self._axes)
        try:
            try:
                array = self._strict[own].read().result()
            except ValueError as error:
                if "NOT_FOUND" not in str(error):
                    raise
                # Both formats leave out chunks that hold the fill value alone, so this is no error, but worth saying.
                self.missing.append(box)
                array = self._filled[own].read().result()
        except ValueError as error:
            raise VolumeError(
                f"{self.name}: the chunks of voxels {box.low} to {box.high} are damaged: {error}"
            ) from None
        return np.asarray(np.transpose(array, in_order(range(3), self._axes)))
