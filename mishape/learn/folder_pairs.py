"""Pictures with their masks in folders or a zip file, as Sekh et al. (2021) keep theirs: `image` and `segment`."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mishape.learn.pairs import Pair
from mishape.learn.picture_files import MOST_PIXELS
from mishape.learn.pictures import PictureError, picture_of

IMAGES, MASKS = "image", "segment"
SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
MOST_BYTES = 1 << 28
"""Of one unpacked file."""


@dataclass(frozen=True)
class FolderPairs:
    """Pairs of files of one name (without its ending) in ``image/`` and ``segment/``, in order of their names.

    A mask's first channel counts, foreground where it is not 0; a picture's first too, if it is grey with transparency
    or all its colours are equal.

    Parameters
    ----------
    place
        A folder or a zip file; the two may lie deeper in it, as in ``test/image`` and ``test/segment``.
    pixel_nm
        Size of a pixel, which such files do not say.
    part
        Which of several such pairs of folders, by the folder that holds them, as ``test``; default the only one.

    Raises
    ------
    PictureError
        If there are no pairs, or files without a partner.
    """

    place: Path
    pixel_nm: float
    part: str | None = None

    @cached_property
    def names(self) -> list[tuple[str, str]]:
        """Names of the files of each pair."""
        found = _by_part(self._files())
        if not found:
            raise PictureError(
                f"{str(self.place)!r} holds no folders {IMAGES!r} and {MASKS!r} of pictures ({', '.join(SUFFIXES)})"
            )
        if self.part is None and len(found) > 1:
            raise PictureError(f"{str(self.place)!r} holds parts {', '.join(sorted(found))}: name one")
        if self.part is not None and self.part not in found:
            raise PictureError(f"{str(self.place)!r} has no part {self.part!r}: it has {', '.join(sorted(found))}")
        images, masks = found[self.part] if self.part is not None else next(iter(found.values()))
        if alone := sorted({*images} ^ {*masks}):
            raise PictureError(f"{str(self.place)!r}: {len(alone)} file(s) have no partner, {alone[0]!r} first")
        return [(images[stem], masks[stem]) for stem in sorted(images, key=_counted)]

    def _files(self) -> list[str]:
        if zipfile.is_zipfile(self.place):
            with zipfile.ZipFile(self.place) as file:
                return file.namelist()
        if not self.place.is_dir():
            raise PictureError(f"{str(self.place)!r} is neither a folder nor a zip file")
        return [path.relative_to(self.place).as_posix() for path in self.place.rglob("*")]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: int) -> Pair:
        image, mask = self.names[number]
        picture, truth = picture_of(_one(self._read(image), image), image), _first(self._read(mask))
        if picture.shape != truth.shape:
            raise PictureError(f"{image} has shape {picture.shape}, {mask} {truth.shape}: both are to be of one size")
        return Pair(PurePosixPath(image).stem, picture, truth > 0)

    def _read(self, name: str) -> NDArray[Any]:
        from PIL import Image

        try:
            with Image.open(io.BytesIO(self._bytes(name))) as image:
                if math.prod(image.size) > MOST_PIXELS:
                    raise PictureError(f"{name} has {image.size[0]} x {image.size[1]} pixels: more than {MOST_PIXELS}")
                return np.asarray(image.convert("RGB") if image.mode == "P" else image)
        except (OSError, ValueError) as error:
            raise PictureError(f"{str(self.place)!r}: {name} cannot be read: {error}") from None

    def _bytes(self, name: str) -> bytes:
        if self.place.is_dir():
            return (self.place / name).read_bytes()
        with zipfile.ZipFile(self.place) as file:
            if file.getinfo(name).file_size > MOST_BYTES:
                raise PictureError(f"{str(self.place)!r}: {name} would unpack to more than {MOST_BYTES} bytes")
            return file.read(name)


def _by_part(files: list[str]) -> dict[str, tuple[Mapping[str, str], Mapping[str, str]]]:
    """Return images and masks by name without ending, for each folder that holds both."""
    found: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for name in files:
        path = PurePosixPath(name)
        if path.suffix.lower() in SUFFIXES and path.parent.name in (IMAGES, MASKS):
            both = found.setdefault(str(path.parent.parent), ({}, {}))
            both[path.parent.name == MASKS][path.stem] = name
    return {part: (images, masks) for part, (images, masks) in found.items() if images and masks}


def _counted(stem: str) -> tuple[int, str]:
    """Order names that are numbers by these."""
    return (int(stem), stem) if stem.isascii() and stem.isdigit() else (-1, stem)


def _one(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return a picture's only channel."""
    if array.ndim == 3 and array.shape[2] >= 3 and (array[..., :3] != array[..., :1]).any():
        raise PictureError(f"{name} has colours: give one channel")
    return _first(array)


def _first(array: NDArray[Any]) -> NDArray[Any]:
    return array[..., 0] if array.ndim == 3 else array
