"""HDF5 volumes, by h5py: ``file.h5`` with one dataset of three axes, or ``file.h5:/path/of/dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mishape.em.volumes import ArrayVolume, Volume
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
        If the file is damaged, or holds no such dataset (lists those of three axes).
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise VolumeError(f"{name}: {str(path)!r} is not an HDF5 file, or is cut short: {error}") from None
    known: list[str] = []
    file.visititems(lambda key, item: known.append(key) if _is_volume(item) else None)
    wanted = inner.strip("/") or (known[0] if len(known) == 1 else "")
    if wanted not in known:
        listed = ", ".join(known) or "none"
        hint = suggestion(wanted, known) if wanted else f"name one: {path.name}:/{known[0] if known else 'dataset'}"
        raise VolumeError(f"{name}: {str(path)!r} holds these datasets of three axes: {listed}. {hint}")
    dataset = file[wanted]
    volume = _Dataset(name, dataset, axes, dataset.chunks)
    for attribute, unit in SIZES.items():
        if attribute in dataset.attrs and np.size(dataset.attrs[attribute]) == 3:
            size = np.asarray(dataset.attrs[attribute], np.float64) * unit
            volume.voxel_nm = np.array([size[axes.index(axis)] for axis in "xyz"])
            break
    return volume


def _is_volume(item: Any) -> bool:
    return len(getattr(item, "shape", ())) == 3 and getattr(item, "dtype", np.dtype("O")).kind in "biuf"


class _Dataset(ArrayVolume):
    """A dataset whose damaged chunks are errors of the volume."""

    def read(self, box: Any) -> Any:
        try:
            return super().read(box)
        except OSError as error:
            raise VolumeError(f"{self.name}: a chunk of voxels {box.low} to {box.high} is damaged: {error}") from None
