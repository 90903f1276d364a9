"""What the metadata of Zarr and N5 say: which scale of a group is the finest, how large its voxels are, and where.

Groups: OME-NGFF's ``multiscales`` (0.4, and 0.5 under ``ome``) and OpenOrganelle's. Arrays: OpenOrganelle's
``transform``, N5's ``pixelResolution``, and funlib's ``resolution`` or ``voxel_size`` with ``offset``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mishape.em.volumes import AXES, NM_PER_UNIT, in_order

Metadata = Mapping[str, Any]
GROUPS = ("zarr.json", ".zattrs", "attributes.json")


@dataclass(frozen=True)
class Placed:
    """What metadata say about an array.

    Parameters
    ----------
    axes
        Its axes, first to last.
    voxel_nm
        The size of its voxels along these; nothing where it is not said.
    origin_nm
        The place of its first voxel.
    """

    axes: str
    voxel_nm: Sequence[float] | None = None
    origin_nm: Sequence[float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        sizes = np.asarray([self.voxel_nm or self.origin_nm, self.origin_nm], np.float64)
        if sorted(self.axes) != sorted(AXES) or sizes.shape != (2, 3) or not np.isfinite(sizes).all():
            raise ValueError(f"axes {self.axes!r} with sizes {self.voxel_nm} and places {self.origin_nm}")

    def along_xyz(self) -> Placed:
        """Return the same for an array of axes x, y, z."""
        voxel_nm = None if self.voxel_nm is None else in_order(self.voxel_nm, self.axes)
        return Placed(AXES, voxel_nm, in_order(self.origin_nm, self.axes))


def attributes_of(metadata: Mapping[str, Metadata]) -> dict[str, Any]:
    """Return the attributes in the metadata files of a group or an array."""
    found: dict[str, Any] = {}
    for file in GROUPS:
        held = metadata.get(file, {})
        found |= held.get("attributes", {}) if file == "zarr.json" else held
    return found


def finest(attributes: Metadata) -> tuple[str, Placed | None] | None:
    """Return the path of a group's finest scale and what the group says of it; nothing for a group without scales.

    Raises
    ------
    Exception
        Of any kind if the metadata are damaged.
    """
    multiscales = attributes.get("ome", attributes).get("multiscales")
    if not multiscales:
        return None
    scales = multiscales[0]
    found = [(_inside(entry["path"]), _scale(entry, scales)) for entry in scales["datasets"]]
    return min(found, key=lambda item: math.prod(item[1].voxel_nm) if item[1] and item[1].voxel_nm else math.inf)


def _inside(path: str) -> str:
    """Return a path within the group, or raise a ValueError."""
    parts = path.strip("/").split("/")
    if path.startswith("/") or {"", ".", ".."} & set(parts):
        raise ValueError(f"path {path!r} does not lead into the group")
    return "/".join(parts)


def _scale(entry: Metadata, scales: Metadata) -> Placed | None:
    """Return what one scale's entry says, in OpenOrganelle's words or OME-NGFF's."""
    if "transform" in entry:
        return _transform(entry["transform"])
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in scales.get("axes") or ()]
    names = "".join(str(axis["name"]) for axis in axes).lower()
    if sorted(names) != sorted(AXES):
        return None
    units = [NM_PER_UNIT.get(str(axis.get("unit", ""))) for axis in axes]
    # Those of all scales come after each scale's own.
    steps = [*entry.get("coordinateTransformations", ()), *scales.get("coordinateTransformations", ())]
    if None in units or not any(step["type"] == "scale" for step in steps):
        return Placed(names)
    scale, offset = np.array(units, np.float64), np.zeros(3)
    for step in reversed(steps):
        if step["type"] == "scale":
            scale = scale * step["scale"]
        elif step["type"] == "translation":
            offset = offset + scale * step["translation"]
    return Placed(names, scale.tolist(), offset.tolist())


def _transform(given: Metadata) -> Placed:
    units = np.array([NM_PER_UNIT[str(unit)] for unit in given["units"]])
    scale, offset = (np.asarray(given[key], np.float64) * units for key in ("scale", "translate"))
    return Placed("".join(given["axes"]).lower(), scale.tolist(), offset.tolist())


def of_array(attributes: Metadata, axes: str) -> Placed | None:
    """Return what an array's own attributes say; nothing if they cannot be understood."""
    try:
        if "scale" in attributes.get("transform", ()):
            return _transform(attributes["transform"])
        if "pixelResolution" in attributes:
            given = attributes["pixelResolution"]
            sizes, unit = (given["dimensions"], given.get("unit", "um")) if isinstance(given, dict) else (given, "um")
            return Placed(axes, (np.asarray(sizes, np.float64) * NM_PER_UNIT[unit]).tolist())
        for key in ("resolution", "voxel_size"):
            if key in attributes:
                return Placed(axes, list(attributes[key]), list(attributes.get("offset", (0.0, 0.0, 0.0))))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return None
