"""HDF5 volumes, by h5py: ``file.h5`` with one dataset of three axes, or ``file.h5:/path/of/dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mishape.em.volumes import ArrayVolume, Box, Volume, in_order
from mishape.engine.errors import VolumeError
from mishape.engine.wording import suggestion

SUFFIXES = (".h5", ".hdf5", ".hdf")
SIZES = {"resolution": 1.0, "voxel_size": 1.0, "element_size_nm": 1.0, "element_size_um": 1e3}
"""Attributes that hold the voxel's size in the order of the axes, and their unit in nm: CREMI's, funlib's, Fiji's and
ilastik's."""


def open_hdf5(path: Path, inner: str, name: str, axes: str) -> Volume:
    """Open a dataset of an HDF5 file.

    Raises
    ------
    VolumeError
        If the file is damaged, holds no such dataset (lists those of three axes), or keeps its voxels in other files.
    """
    import h5py

    known: list[str] = []
    try:
        file = h5py.File(path, "r")
        file.visititems(lambda key, item: known.append(key) if _is_volume(item) else None)
    except Exception as error:  # a stranger's file may fail in any way
        raise VolumeError(f"{name}: {str(path)!r} is not an HDF5 file, or is cut short: {error}") from None
    wanted = inner.strip("/") or (known[0] if len(known) == 1 else "")
    if wanted not in known:
        listed = ", ".join(known) or "none"
        hint = suggestion(wanted, known) if wanted else f"Name one: {path.name}:/{known[0] if known else 'dataset'}"
        raise VolumeError(f"{name}: {str(path)!r} holds these datasets of three axes: {listed}. {hint}")
    dataset = file[wanted]
    if dataset.external or dataset.is_virtual:
        raise VolumeError(f"{name}: dataset {wanted!r} keeps its voxels in other files: copy them into one")
    volume = _Dataset(name, dataset, axes, dataset.chunks)
    attribute = next((key for key in SIZES if _three(dataset, key) is not None), None)
    if attribute is not None:
        volume.voxel_nm = np.array(in_order(_three(dataset, attribute), axes)) * SIZES[attribute]
    if attribute in ("resolution", "voxel_size") and (offset := _three(dataset, "offset")) is not None:
        volume.origin_nm = in_order(offset.tolist(), axes)
    return volume


def _is_volume(item: Any) -> bool:
    try:
        return len(item.shape) == 3 and item.dtype.kind in "biuf"
    except (AttributeError, TypeError):  # a group, an empty dataset, a type that NumPy does not know
        return False


def _three(dataset: Any, attribute: str) -> Any:
    """Return an attribute of one number for each axis, or nothing."""
    try:
        values = np.asarray(dataset.attrs[attribute], np.float64)
    except Exception:  # a stranger's attribute may fail in any way
        return None
    return values if values.shape == (3,) else None


class _Dataset(ArrayVolume):
    """A dataset whose damaged chunks are errors of the volume."""

    def read(self, box: Box) -> Any:
        try:
            return super().read(box)
        except Exception as error:  # a stranger's file may fail in any way
            raise VolumeError(f"{self.name}: a chunk of voxels {box.low} to {box.high} is damaged: {error}") from None
