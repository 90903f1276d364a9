"""Opening a label volume of any format."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from mishape.em import chunked, hdf5, nifti, stacks
from mishape.em.volumes import Volume, check_axes
from mishape.engine.errors import VolumeError
from mishape.engine.needs import needs

FORMATS = (
    ".nii, .nii.gz, .tif, .tiff or a folder of them, .npy, .h5 (file.h5:/dataset), .zarr and .n5 (folders, or URLs of "
    "http, https, s3, gs)"
)


@np.errstate(all="ignore")
def open_volume(
    place: str | Path, scratch: Path, axes: str | None = None, name: str | None = None, max_bytes: int = 1 << 36
) -> Volume:
    """Open a label volume.

    Parameters
    ----------
    place
        A file, a folder, or a URL.
    scratch
        A folder for what must be unpacked to be read.
    axes
        Names of the file's axes, first to last; by default xyz for NIfTI and N5, what metadata say for OME-NGFF, and
        zyx for all others.
    name
        Of the volume; by default the file's own.
    max_bytes
        Most that may be unpacked, and most that a single page may hold.

    Raises
    ------
    VolumeError
        If there is nothing at that place, it is of no known format, damaged, or too large.
    """
    text = str(place)
    file, _, inner = text.partition(":/") if re.search(r"(?i)\.(h5|hdf5|hdf):/", text) else (text, "", "")
    is_url = re.match(r"[a-z][a-z0-9+]*://", text) is not None
    name = name or _name(file if is_url else os.path.abspath(file))
    axes = None if axes is None else check_axes(axes, name)
    if is_url:
        needs("tensorstore", "em")
        return chunked.open_chunked(text.rstrip("/"), name, axes)
    if not os.path.exists(file):
        raise VolumeError(f"{text!r} does not exist: a label volume is expected ({FORMATS})")
    path = Path(file)
    if _is_chunked(path):
        needs("tensorstore", "em")
        return chunked.open_chunked(path.resolve().as_uri(), name, axes)
    ending = "".join(path.suffixes[-2:]).lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if path.is_dir() or ending in stacks.SUFFIXES:
        return stacks.open_tiff(path, name, axes or "zyx", max_bytes)
    if ending in nifti.SUFFIXES:
        needs("nibabel", "em")
        return nifti.open_nifti(path, name, axes or "xyz", scratch, max_bytes)
    if ending in hdf5.SUFFIXES:
        needs("h5py", "em")
        return hdf5.open_hdf5(path, inner, name, axes or "zyx")
    if ending == ".npy":
        return stacks.open_npy(path, name, axes or "zyx")
    raise VolumeError(f"{text!r} is of no known format: {FORMATS} can be read")


def _is_chunked(path: Path) -> bool:
    return any((path / file).is_file() for file in (*chunked.DRIVERS, ".zattrs", ".zgroup"))


def _name(file: str) -> str:
    last = re.sub(r"(\.nii)?\.[A-Za-z0-9]+$", "", file.rstrip("/").rpartition("/")[2])
    return re.sub(r"[^A-Za-z0-9._-]+", "_", last).lstrip(".") or "volume"
