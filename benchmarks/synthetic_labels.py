"""A label volume of any size, as Zarr: rods of mitochondrial size at 8 nm, every one with a label of its own.

One tile of 256^3 voxels is filled with rods that wrap around its faces; repeated, a rod that leaves one tile goes on in
the next, under the label of the tile that its middle lies in. So instances span chunks and blocks as real ones do.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TILE, RODS, CHUNK = 256, 12, 128
RADIUS, LENGTH = (12.0, 20.0), (60.0, 170.0)
"""Voxels."""
VOXEL_NM = 8.0


def write_labels(folder: Path, size: int) -> int:
    """Write a volume of size^3 voxels, a multiple of the tile; return how many instances it has."""
    import tensorstore

    rod, owner = _tile()
    tiles = size // TILE
    store = tensorstore.open(
        {
            "driver": "zarr",
            "kvstore": f"file://{folder.resolve()}/",
            "metadata": {"compressor": {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1}},
        },
        create=True,
        dtype=tensorstore.uint32,
        shape=[size] * 3,
        chunk_layout=tensorstore.ChunkLayout(chunk_shape=[CHUNK] * 3),
    ).result()
    steps = np.array([*product((-1, 0, 1), repeat=3)])
    for place in product(range(tiles), repeat=3):
        # What goes on beyond the volume is cut off there, as at any volume's border.
        owners = np.array(place) + steps
        first = np.where(((owners >= 0) & (owners < tiles)).all(axis=1), owners @ [tiles**2, tiles, 1] * RODS, -1)
        table = np.where(first[:, None] >= 0, first[:, None] + np.arange(RODS + 1), 0).astype(np.uint32)
        table[:, 0] = 0
        z, y, x = (slice(i * TILE, (i + 1) * TILE) for i in place)
        store[z, y, x] = table.ravel()[owner * (RODS + 1) + rod]
    return tiles**3 * RODS


def _tile() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return each voxel's rod in the tile, 0 for none, and which neighbouring tile it belongs to, 13 for this one."""
    rng = np.random.default_rng(8)
    rod, owner = np.zeros((TILE,) * 3, np.intp), np.full((TILE,) * 3, 13, np.intp)
    for number in range(1, RODS + 1):
        middle = rng.uniform(0, TILE, 3)
        along = rng.standard_normal(3)
        half = rng.uniform(*LENGTH) / 2 * along / np.linalg.norm(along)
        radius = rng.uniform(*RADIUS)
        low = np.floor(middle - np.abs(half) - radius).astype(int)
        high = np.ceil(middle + np.abs(half) + radius).astype(int) + 1
        places = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), -1)
        apart = places - middle
        share = np.clip(apart @ half / (half @ half), -1, 1)
        inside = places[((apart - share[..., None] * half) ** 2).sum(axis=-1) < radius**2]
        wrapped = tuple((inside % TILE).T)
        free = rod[wrapped] == 0
        kept = tuple(axis[free] for axis in wrapped)
        rod[kept] = number
        # A voxel beyond the tile's end stands in the next tile, whose neighbour before is this one.
        owner[kept] = (1 - inside[free] // TILE) @ [9, 3, 1]
    return rod, owner
