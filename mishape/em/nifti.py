"""NIfTI volumes (.nii, .nii.gz), by nibabel."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from mishape.em.volumes import ArrayVolume, Volume
from mishape.engine.errors import VolumeError

SUFFIXES = (".nii", ".nii.gz")
NM_PER_UNIT = {"mm": 1e6, "micron": 1e3, "meter": 1e9}
PIECE = 1 << 24


def open_nifti(path: Path, name: str, scratch: Path, max_bytes: int) -> Volume:
    """Open a NIfTI volume; a compressed one is unpacked into `scratch` once, as no box of it can be read alone.

    Raises
    ------
    VolumeError
        If the file is cut short or no NIfTI file, would unpack to more than `max_bytes`, or scales its labels.
    """
    import nibabel

    try:
        image = nibabel.load(path)
        proxy = image.dataobj
        declared = int(np.prod(proxy.shape, dtype=np.int64)) * proxy.dtype.itemsize + int(proxy.offset)
    except Exception as error:  # a stranger's file may fail in any way
        raise VolumeError(f"{name}: {str(path)!r} is not a NIfTI volume, or is damaged: {error}") from None
    if (proxy.slope, proxy.inter) != (1.0, 0.0):
        raise VolumeError(
            f"{name}: the header scales its values by {proxy.slope:g} and adds {proxy.inter:g}: save labels as integers"
        )
    if path.suffix == ".gz":
        _check_size(declared, max_bytes, name)
        path = _unpacked(path, scratch / f"{name}.nii", declared, name)
    elif path.stat().st_size < declared:
        raise VolumeError(f"{name}: the file is cut short: {path.stat().st_size} of {declared} bytes are there")
    shape = tuple(int(size) for size in proxy.shape) + (1,) * (3 - len(proxy.shape))
    array = np.memmap(path, proxy.dtype, "r", int(proxy.offset), shape, order="F")
    volume = ArrayVolume(name, array.reshape(shape[:3], order="F") if set(shape[3:]) == {1} else array, "xyz")
    unit = NM_PER_UNIT.get(image.header.get_xyzt_units()[0], 1e6)
    volume.voxel_nm = np.asarray(image.header.get_zooms()[:3], np.float64) * unit
    return volume


def _check_size(declared: int, max_bytes: int, name: str) -> None:
    if declared > max_bytes:
        raise VolumeError(
            f"{name}: the header declares {declared / 2**30:.1f} GiB unpacked, more than the limit of "
            f"{max_bytes / 2**30:.1f} GiB: raise --max-gib if that is right"
        )


def _unpacked(path: Path, to: Path, declared: int, name: str) -> Path:
    """Unpack a .gz file, but no more than its header declares."""
    if to.is_file() and to.stat().st_size == declared:
        return to
    temporary = to.with_name(f"{to.name}.part")
    written = 0
    try:
        with gzip.open(path) as packed, temporary.open("wb") as file:
            while written < declared and (piece := packed.read(min(PIECE, declared - written))):
                written += file.write(piece)
    except (EOFError, OSError, zlib.error) as error:
        raise VolumeError(f"{name}: the file is cut short or damaged after {written} bytes: {error}") from None
    if written < declared:
        raise VolumeError(f"{name}: the file is cut short: {written} of {declared} bytes are there")
    temporary.rename(to)
    return to
