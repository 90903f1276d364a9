"""Where public label volumes lie, what their terms are, and how shapes are made of them."""

from __future__ import annotations

from dataclasses import dataclass

FOLDER = "{folder}"
"""Stands in a recipe's commands for the folder that the user names."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded and checked.

    Parameters
    ----------
    name
        Its path within the user's folder.
    url
        Where it lies; https.
    size_bytes, sha256
        What it must be.
    """

    name: str
    url: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Preparation:
    """How a library is made of volumes; `FOLDER` stands for the user's folder in paths.

    Parameters
    ----------
    volumes
        Files, folders or URLs.
    out
        The library's folder.
    source
        The data's name.
    options
        Of ``mishape prepare``, without those that say where the data come from.
    """

    volumes: tuple[str, ...]
    out: str
    source: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A public data set of label volumes.

    Parameters
    ----------
    summary
        What it is, and what the recipe does, in a line.
    page
        The data's own page.
    licence, citation
        Its terms (as CC-BY-4.0), and what to cite.
    preparations
        What makes shapes of it.
    files
        What is downloaded; nothing where labels are read in place or downloaded by hand.
    size
        How much there is, in words, where there are no files.
    notes
        What to know or do; what is not known for sure.
    """

    summary: str
    page: str
    licence: str
    citation: str
    preparations: tuple[Preparation, ...]
    files: tuple[RemoteFile, ...] = ()
    size: str = ""
    notes: tuple[str, ...] = ()

    @property
    def extent(self) -> str:
        """How much there is, in words."""
        return f"{sum(file.size_bytes for file in self.files) / 1e6:.1f} MB" if self.files else self.size


_UROCELL = "https://raw.githubusercontent.com/MancaZerovnikMekuc/UroCell/4bab22add57dd00dacb7ecffae2205e6d1422299"
_UROCELL_SUMS = {
    "fib1-0-0-0.nii.gz": (120030, "be983bac73c1c4b188aa0acb86f0a62e798a8b4398d35ef0112b7126fa3aa73c"),
    "fib1-1-0-3.nii.gz": (72040, "b8bea0dca405eb6110bbac896f93eaa22046f6e08a71ec95b62009775552597c"),
    "fib1-3-3-0.nii.gz": (231630, "6f5a68679075bb98a86c95c9739c0e8cb5909010d43f757dc3913fa4c26f9cba"),
    "fib1-4-3-0.nii.gz": (209223, "cb960d9865300c7b6ba8fa0180cc482744fb4250f5c59bf322484e1397814d8a"),
}

_BLADDER = Recipe(
    summary="mitochondria of umbrella cells of mouse bladder, FIB-SEM, 16 x 16 x 15 nm; downloads 4 volumes",
    page="https://github.com/MancaZerovnikMekuc/UroCell",
    licence="CC-BY-NC-SA-4.0",
    citation=(
        "Žerovnik Mekuč et al. 2020, Comput Biol Med 119:103693, doi 10.1016/j.compbiomed.2020.103693; and 2022, "
        "Comput Methods Programs Biomed 223:106959, doi 10.1016/j.cmpb.2022.106959"
    ),
    files=tuple(
        RemoteFile(name, f"{_UROCELL}/mito/instance/{name}", size_bytes, sha256)
        for name, (size_bytes, sha256) in _UROCELL_SUMS.items()
    ),
    preparations=(
        Preparation(
            volumes=tuple(f"{FOLDER}/{name}" for name in _UROCELL_SUMS),
            out=f"{FOLDER}/shapes",
            source="UroCell",
            options=("--voxel", "16,16,15", "--fold", "fib1-[34]-3-0=fib1-3-3-0_fib1-4-3-0"),
        ),
    ),
    notes=(
        "The files' headers say voxels of 1 mm: the size in the command is the authors'.",
        "fib1-3-3-0 and fib1-4-3-0 are neighbours that share mitochondria: the command keeps them in one fold.",
        "No commercial use; what is made of the data may be shared under the same licence alone.",
    ),
)

_CELLS = ("jrc_hela-2", "jrc_hela-3", "jrc_macrophage-2")

_WHOLE_CELLS = Recipe(
    summary="mitochondria of whole cells, FIB-SEM, about 4 nm; downloads nothing: labels are read in place",
    page="https://openorganelle.janelia.org",
    licence="CC-BY-4.0",
    citation=(
        "Heinrich et al. 2021, Nature 599:141, doi 10.1038/s41586-021-03977-3; Xu et al. 2021, Nature 599:147, doi "
        "10.1038/s41586-021-03992-4"
    ),
    size="122 GVoxel in jrc_hela-2, 1/64 of it read",
    preparations=tuple(
        Preparation(
            volumes=(f"s3://janelia-cosem-datasets/{cell}/{cell}.n5/labels/mito_seg/s2",),
            out=f"{FOLDER}/{cell}",
            source=f"OpenOrganelle {cell}",
        )
        for cell in _CELLS
    ),
    notes=(
        "s2 is four times coarser than the finest scale along each axis, about 16 nm; leave /s2 out for the finest.",
        "labels/mito_seg is where the project's own metadata say (github.com/janelia-cellmap/fibsem-metadata).",
        "Not verified: that the bucket still has them so, s2 of jrc_hela-3 and jrc_macrophage-2, the licence of each "
        "data set (see its page), and the voxel sizes, which are read from the files; the metadata say x, y, z = 4, 4, "
        "5.24 nm for jrc_hela-2, 4, 4, 3.24 for jrc_hela-3 and 4, 4, 3.36 for jrc_macrophage-2 at the finest scale.",
    ),
)

_LIVER = Recipe(
    summary="mitochondria of mouse liver, FIB-SEM, 8 nm, the source of the MiShape paper; to be downloaded by hand",
    page="https://www.ebi.ac.uk/empiar/EMPIAR-10791/",
    licence="CC0-1.0",
    citation=(
        "Parlakgül et al. 2022, Nature 603:736, doi 10.1038/s41586-022-04488-5; data: EMPIAR-10791, doi "
        "10.6019/EMPIAR-10791"
    ),
    size="340 GB unpacked; packed not known",
    preparations=(
        Preparation(
            volumes=(f"{FOLDER}/mitochondria",),
            out=f"{FOLDER}/shapes",
            source="EMPIAR-10791, 1857 Obese Climp-63",
            options=("--voxel", "8,8,8", "--level", "24", "--binary"),
        ),
    ),
    notes=(
        "On the page, find the data set 1857, Obese Climp-63 Liver, and in its folder Segmentation the archive of "
        "mitochondria (1857 Obese Climp63 Mitochondria.zip, as others name it).",
        f"Unpack its slices, 3629 TIFF files of 9650 x 9700 pixels, into {FOLDER}/mitochondria, and nothing else.",
        "They are a mask, not instances: the command finds connected components, at 24 nm as the paper does.",
        "No checksum, exact address or packed size is known: nothing is downloaded or checked for you.",
        "The licence is EMPIAR's for all its entries; the page says if this one differs.",
    ),
)

RECIPES = {
    "urocell": _BLADDER,
    "openorganelle": _WHOLE_CELLS,
    "empiar-10791": _LIVER,
}
"""Name -> recipe."""
