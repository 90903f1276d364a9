"""NIfTI volumes (.nii, .nii.gz), by nibabel."""

from __future__ import annotations

import gzip
import logging
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mishape.em.volumes import NM_PER_UNIT, ArrayVolume, Volume
from mishape.engine.errors import VolumeError

SUFFIXES = (".nii", ".nii.gz")
HEADER_BYTES = 540
"""Of NIfTI-2, the longer one."""
PIECE = 1 << 24
# What nibabel mends in a header is no news for a user; what it cannot mend is an error.
_remarks = logging.Logger("nifti")
_remarks.addHandler(logging.NullHandler())


def open_nifti(path: Path, name: str, axes: str, scratch: Path, max_bytes: int) -> Volume:
    """Open a NIfTI volume; a compressed one is unpacked into `scratch` once, as no box of it can be read alone.

    Raises
    ------
    VolumeError
        If the file is cut short or no NIfTI file, would unpack to more than `max_bytes`, or scales its labels.
    """
    try:
        header = _header(path)
        shape, dtype = tuple(int(size) for size in header.get_data_shape()), header.get_data_dtype()
        offset = max(int(header.get_data_offset()), header.single_vox_offset)
        slope, intercept = header.get_slope_inter()
        unit = NM_PER_UNIT.get(header.get_xyzt_units()[0], NM_PER_UNIT["mm"])
        zooms, affine = np.asarray(header.get_zooms()[:3], np.float64), header.get_best_affine()
        if min(shape) < 0:
            raise ValueError(f"it declares shape {shape}")
    except Exception as error:  # a stranger's file may fail in any way
        raise VolumeError(f"{name}: {str(path)!r} is not a NIfTI volume, or is damaged: {error}") from None
    if (slope or 1.0, intercept or 0.0) != (1.0, 0.0):
        raise VolumeError(
            f"{name}: the header scales its values by {slope:g} and adds {intercept:g}: save labels as integers"
        )
    declared = math.prod(shape) * dtype.itemsize + offset
    if path.suffix.lower() == ".gz":
        _check_size(declared, max_bytes, name)
        path = _unpacked(path, scratch / f"{name}.nii", declared, name)
    elif path.stat().st_size < declared:
        raise VolumeError(f"{name}: the file is cut short: {path.stat().st_size} of {declared} bytes are there")
    # A fourth axis of one time is common.
    kept = shape[:3] if set(shape[3:]) == {1} else shape
    array = np.memmap(path, dtype, "r", offset, kept, order="F") if math.prod(kept) else np.empty(kept, dtype)
    volume = ArrayVolume(name, array, axes)
    volume.voxel_nm = zooms * unit
    # A world that is turned or mirrored has no place in voxels' axes.
    if axes == "xyz" and np.allclose(affine[:3, :3], np.diag(zooms), rtol=1e-4, atol=0):
        x, y, z = (affine[:3, 3] * unit).tolist()
        volume.origin_nm = (x, y, z)
    return volume


def _header(path: Path) -> Any:
    """Return a header without its extensions, which may be of any size."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    kind = Nifti2Header if Nifti2Header.may_contain_header(start) else Nifti1Header
    header = kind(start[: kind.sizeof_hdr], check=False)
    header.check_fix(_remarks)
    return header


def _check_size(declared: int, max_bytes: int, name: str) -> None:
    if declared > max_bytes:
        raise VolumeError(
            f"{name}: the header declares {declared / 2**30:.1f} GiB unpacked, more than the limit of "
            f"{max_bytes / 2**30:.1f} GiB: raise --max-gib if that is right"
        )


def _unpacked(path: Path, to: Path, declared: int, name: str) -> Path:
    """Unpack a .gz file, but no more than its header declares."""
    # What an interrupted run unpacked is taken if it has the packed file's own time.
    changed_ns = path.stat().st_mtime_ns
    if to.is_file() and (to.stat().st_size, to.stat().st_mtime_ns) == (declared, changed_ns):
        return to
    temporary = to.with_name(f"{to.name}.part")
    written = 0
    try:
        with gzip.open(path) as packed, temporary.open("wb") as file:
            while written < declared and (piece := packed.read(min(PIECE, declared - written))):
                written += file.write(piece)
            # The checksum is compared at the end of what is packed.
            packed.read(1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise VolumeError(f"{name}: the file is cut short or damaged after {written} bytes: {error}") from None
    if written < declared:
        raise VolumeError(f"{name}: the file is cut short: {written} of {declared} bytes are there")
    os.utime(temporary, ns=(changed_ns, changed_ns))
    temporary.rename(to)
    return to
