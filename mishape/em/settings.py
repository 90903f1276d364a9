"""What a user says about label volumes: how shapes are made of them, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch

from mishape.em.blocks import BLOCK_VOXELS, Foreground


@dataclass(frozen=True)
class Making:
    """How shapes are made of labels.

    Parameters
    ----------
    voxel_nm
        Size of the voxels along x, y, z; nothing for what the files say.
    level_nm
        Voxels as large as possible but not above this are made of whole numbers of the file's; nothing for its own.
    foreground
        What counts as an instance.
    min_voxels
        Instances of fewer voxels are dust and left out.
    whole_only
        Leave out instances that reach the volume's border, too.
    smooth_voxels
        Standard deviation of the smoothing, in voxels of the level along x, y, z.
    faces_kept
        Part of the meshes' faces that is kept.
    max_voxels
        Most voxels of the level in the box of one instance.
    axes
        Of the files' arrays, where the format or its metadata do not say them right.
    max_bytes
        Most that a file may unpack to.
    block_voxels
        About how many voxels a block has.
    occupancy_points, near_points
        Labelled points that the library keeps per shape: uniform in the cube of occupancy networks, and near the
        surface. None by default: the field says what is inside at any point.
    near_nm
        Standard deviation of the latter's distance from the surface along x, y and z.
    """

    voxel_nm: tuple[float, float, float] | None = None
    level_nm: float | None = None
    foreground: Foreground = field(default_factory=Foreground)
    min_voxels: int = 64
    whole_only: bool = False
    smooth_voxels: tuple[float, float, float] = (1.0, 1.0, 1.0)
    faces_kept: float = 1.0
    max_voxels: int = 1 << 26
    axes: str | None = None
    max_bytes: int = 1 << 36
    block_voxels: int = BLOCK_VOXELS
    occupancy_points: int = 0
    near_points: int = 0
    near_nm: float = 50.0


@dataclass(frozen=True)
class Origin:
    """Where volumes come from; it travels into every dataset that is made from their shapes.

    Parameters
    ----------
    source, licence, citation
        In words: the data's name, its terms (as CC-BY-4.0), and what to cite.
    folds
        Patterns of volumes' names -> the fold that their shapes belong to; else each volume is its own. Volumes that
        touch belong into one.
    regions
        Parts along x, y and z that each volume is divided into; each is a fold of its own.
    """

    source: str = ""
    licence: str = ""
    citation: str = ""
    folds: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[int, int, int] = (1, 1, 1)

    def fold(self, volume: str) -> str:
        """Return the fold of a volume, without its region."""
        return next((fold for pattern, fold in self.folds.items() if fnmatch(volume, pattern)), volume)
