"""Shapes straight from a label volume of electron microscopy, without a library."""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.random import Generator
from pydantic import Field, PrivateAttr

from mishape.engine.component import Component, Flag, Keyed, Real, Whole
from mishape.engine.errors import ShapeError
from mishape.engine.files import canonical
from mishape.engine.inputs import input_hash
from mishape.engine.sources import copy_of, keys_of_copy
from mishape.engine.types import Shape
from mishape.engine.wording import problem, suggestion
from mishape.plugins.shapes.em_mesh import EmMesh

if TYPE_CHECKING:
    from mishape.em.settings import Making, Origin

MAX_VOXELS = 1 << 28


class EmLabels(Component):
    """Instances of a label volume as smooth closed solids, one drawn per object.

    They are what `mishape prepare` makes, made anew in each run, of volumes of up to 2^28 voxels: larger ones, or
    those that serve many datasets, are prepared once. The volume is the shapes' fold.
    """

    kind: Literal["em_labels"] = "em_labels"
    volume: str
    """Label volume: a .nii, .nii.gz, .tif, .npy or .h5 file, or a .zarr or .n5 folder; relative paths start at the
    scene file's folder."""
    voxel_nm: tuple[Real, Real, Real] | None = None
    """Size of the voxels along x, y, z, nm; default what the file says."""
    level_nm: Real | None = Field(default=None, gt=0, le=1e4)
    """Voxels as large as possible, but not above this, are made of whole numbers of the file's; default its own."""
    binary: Flag = False
    """Whether the volume is a mask whose connected components are the instances; default false: labels are."""
    min_voxels: Whole = Field(default=64, ge=1)
    """Instances of fewer voxels are dust; default 64."""
    whole_only: Flag = True
    """Leave out instances that the volume's border cuts; default true."""
    ids: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Shapes to use, as NAME-LABEL; all by default."""
    source: str = ""
    """Where the volume comes from; travels into every dataset. Default the file's name."""
    licence: str = ""
    """On what terms it may be used, for example CC-BY-4.0."""
    _place: Path = PrivateAttr()
    _copied: bool = PrivateAttr(default=False)

    def model_post_init(self, context: Any, /) -> None:
        """Resolve the path while the scene file's folder is known."""
        copy = copy_of(self)
        self._place, self._copied = copy or Path((context or {}).get("folder") or ".") / self.volume, copy is not None
        file = Path(str(self._place).partition(":/")[0])
        if not self._copied and not file.exists():
            raise problem(f"volume {self.volume!r} does not exist: {str(file.resolve())!r} was looked for")

    def keys(self) -> Mapping[str, str]:
        """Return shape id -> its fold, the volume's name; all of them, whatever `ids`.

        Instances that no closed solid can be made of are left out.
        """
        return dict(self._known(self._library()))

    def sample(self, rng: Generator, id: str | None) -> Shape:
        """Return the shape of that id; without one, draw it."""
        library = self._library()
        known = self._known(library)
        if id is None:
            id = sorted(self.ids or known)[rng.integers(len(self.ids or known))]
        if id not in known:
            raise ShapeError(f"volume {self.volume!r} has no shape {id!r}: {suggestion(id, known)}")
        return library.sample(rng, id)

    def _known(self, library: EmMesh) -> Mapping[str, str]:
        found = keys_of_copy(self._place) if self._copied else library.keys()
        unknown = [id for id in self.ids or () if id not in found]
        if unknown:
            raise ShapeError(f"volume {self.volume!r} has no shape {unknown[0]!r}: {suggestion(unknown[0], found)}")
        return found

    def content_hash(self) -> str:
        """Return the SHA-256 of the volume's files and of how its shapes are made."""
        files = sorted(path for path in [self._file, *self._file.rglob("*")] if path.is_file())
        hashes = {str(path.relative_to(self._file)): input_hash(path) for path in files}
        return hashlib.sha256(canonical([hashes, self.model_dump(mode="json")]).encode()).hexdigest()

    @property
    def _file(self) -> Path:
        """The file or folder on disk, without the name of a dataset in it."""
        return Path(str(self._place).partition(":/")[0])

    def _library(self) -> EmMesh:
        """Return the library that is made of the volume, or the dataset's copy of it."""
        from mishape.em.stamps import stamp_of

        if self._copied:
            return EmMesh(library=str(self._place))
        return _prepared(Keyed.of(self), str(self._place), stamp_of(self._place)).library

    @property
    def making(self) -> Making:
        """How shapes are made of the labels."""
        from mishape.em.blocks import Foreground
        from mishape.em.settings import Making

        return Making(
            voxel_nm=self.voxel_nm,
            level_nm=self.level_nm,
            foreground=Foreground(self.binary),
            min_voxels=self.min_voxels,
            whole_only=self.whole_only,
        )


class _Prepared:
    """The library of a volume's shapes, in a folder that goes when the process ends."""

    def __init__(self, place: str, making: Making, origin: Origin) -> None:
        from mishape.em.prepare import prepare

        scratch = Path(tempfile.mkdtemp(prefix="mishape-"))
        weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        _check_size(place, making, scratch)
        self.library = EmMesh(library=str(prepare(place, scratch / "library", making, origin).folder))


def _check_size(place: str, making: Making, scratch: Path) -> None:
    from mishape.em.open import open_volume

    shape = open_volume(place, scratch, making.axes, None, making.max_bytes).shape
    if (voxels := math.prod(shape)) > MAX_VOXELS:
        raise ShapeError(
            f"volume {place!r} has {voxels} voxels, more than {MAX_VOXELS}: make a library of it by mishape prepare, "
            "and name that in em_mesh"
        )


@lru_cache(maxsize=4)
def _prepared(key: Keyed, place: str, stamp: str) -> _Prepared:
    from mishape.em.settings import Origin

    source: EmLabels = key.component
    return _Prepared(place, source.making, Origin(source.source, source.licence))
