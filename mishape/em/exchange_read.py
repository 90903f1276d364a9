"""Libraries from what others released: 3DMSL's folders, and folders of meshes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mishape.em.exchange import (
    FILE_VERTICES,
    LABELS_FILE,
    MESH_FILE,
    NOTE,
    RELEASED_INSIDE,
    RELEASED_POINTS,
    VOXEL_NM,
    Labels,
    check_unit,
    read_labels,
)
from mishape.em.exchange_labels import agreement
from mishape.em.foreign import SUFFIXES, read_foreign, repaired
from mishape.engine import geometry
from mishape.engine.errors import LibraryError, ShapeError
from mishape.engine.files import disk_errors
from mishape.engine.library import Library, open_library
from mishape.engine.library_writing import library_writer
from mishape.engine.types import Mesh, Shape
from mishape.engine.wording import suggestion

Layout = Literal["3dmsl", "meshes"]
SMALLEST_NM, LARGEST_NM = 20.0, 1e6
"""Longest edges that a shape may have; any other shows that the unit is wrong."""


@dataclass(frozen=True)
class Origin:
    """Where released shapes come from; it travels with every shape.

    Parameters
    ----------
    source, licence, citation
        The data's name, its terms, and what to cite.
    """

    source: str = ""
    licence: str = ""
    citation: str = ""


@dataclass(frozen=True)
class ShapeOrigin:
    """Where one shape comes from."""

    fold: str | None
    source: str
    licence: str


def import_shapes(
    folder: str | Path,
    out: str | Path,
    layout: Layout,
    origin: Origin,
    unit_nm: float | None = None,
    report: Callable[[str], None] | None = None,
) -> Library:
    """Make a library of what others released; what cannot be used is left out, and the library's header says why.

    Parameters
    ----------
    folder
        Of layout ``3dmsl``: a folder of instance folders, or one such. Of ``meshes``: a folder of mesh files.
    out
        The library's folder; it must not exist.
    layout
        How the files lie.
    origin
        Where they come from.
    unit_nm
        Length of one unit of the meshes, nm. By default what `export_library` noted beside its files, as for the origin
        and the folds; else for 3DMSL voxels of 24 nm.
    report
        Called with a line of text for every shape that was repaired or refused.

    Returns
    -------
    Library
        Meshes centred on their solids, nm; see `mishape.em.exchange` for what it keeps of the files.

    Raises
    ------
    LibraryError
        If a folder is missing or there already, the unit is not known, or no shape can be used.
    """
    if layout not in get_args(Layout):
        raise LibraryError(f"layout {layout!r} is not known: {suggestion(layout, get_args(Layout))}")
    found, note = _found(Path(folder), layout), _note(Path(folder))
    unit_nm = _unit(layout, note.get("unit_nm") if unit_nm is None else unit_nm)
    refused: list[dict[str, str]] = []
    said = {"layout": layout, "unit_nm": unit_nm, "refused": refused}
    meta = {"name": Path(out).name, **_origin(origin, note), **said}
    with disk_errors(Path(out)), library_writer(out, meta) as writer:
        for id, path in found.items():
            try:
                shape, arrays, fields = _read(id, path, layout, unit_nm, _shape_origin(origin, note, id))
            except ShapeError as error:
                refused.append({"id": id, "why": str(error)})
                _tell(report, f"refused {id}: {error}")
                continue
            writer.add(shape, arrays, fields)
            if fields["repairs"]:
                _tell(report, f"repaired {id}: {', '.join(fields['repairs'])}")
        if len(refused) == len(found):
            raise LibraryError(f"none of {len(found)} shape(s) can be used; the first: {refused[0]['why']}")
    return open_library(out)


def _tell(report: Callable[[str], None] | None, text: str) -> None:
    if report is not None:
        report(text)


def _note(folder: Path) -> dict[str, Any]:
    """Return what an export of ours says beside its files; nothing for those of others."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and isinstance(note.get("shapes"), dict) else {}


def _origin(given: Origin, note: Mapping[str, Any]) -> dict[str, str]:
    return {name: value or str(note.get(name, "")) for name, value in asdict(given).items()}


def _shape_origin(given: Origin, note: Mapping[str, Any], id: str) -> ShapeOrigin:
    """Return where a shape comes from: what is given, else what is noted."""
    noted = note.get("shapes", {}).get(id, {})
    known = {name: str(noted.get(name) or "") for name in ("fold", "source", "licence")}
    return ShapeOrigin(known["fold"] or None, given.source or known["source"], given.licence or known["licence"])


def _unit(layout: Layout, unit_nm: float | None) -> float:
    if unit_nm is None and layout == "meshes":
        raise LibraryError("mesh files do not say their unit: give unit_nm, for example 1000 for micrometres")
    return check_unit(VOXEL_NM if unit_nm is None else unit_nm)


def _found(folder: Path, layout: Layout) -> dict[str, Path]:
    """Return the folders or files to import by id, numbers in their order."""
    if not folder.is_dir():
        raise LibraryError(f"folder {str(folder)!r} does not exist")
    if layout == "3dmsl":
        paths = [folder] if (folder / MESH_FILE).is_file() else [path for path in folder.iterdir() if path.is_dir()]
        found = {_id_of(path): path for path in sorted(paths, key=_by_number)}
        missing = f"no folders with a {MESH_FILE}"
    else:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
        found = {path.stem: path for path in sorted(paths, key=_by_number)}
        missing = f"no mesh files ({' '.join(SUFFIXES)})"
    if not found:
        raise LibraryError(f"folder {str(folder)!r} holds {missing}")
    if len(found) < len(paths):
        raise LibraryError(f"folder {str(folder)!r} holds mesh files of equal names but for the ending: rename one")
    return found


def _id_of(folder: Path) -> str:
    return folder.name or folder.resolve().name  # "." has no name of its own


def _by_number(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts 2 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", path.name)]


def _read(
    id: str, path: Path, layout: Layout, unit_nm: float, origin: ShapeOrigin
) -> tuple[Shape, dict[str, NDArray[Any]], dict[str, Any]]:
    """Return a shape, its arrays and its fields."""
    file = path / MESH_FILE if layout == "3dmsl" else path
    mesh, repairs = repaired(read_foreign(file), str(file))
    _check_size(mesh, unit_nm, file)
    in_nm = Mesh(mesh.vertices_nm * unit_nm, mesh.faces)
    place_nm = geometry.centroid(in_nm)
    own = Mesh(in_nm.vertices_nm - place_nm, mesh.faces)
    shape = Shape(id, own, fold=origin.fold, source=origin.source, licence=origin.licence)
    arrays: dict[str, NDArray[Any]] = {FILE_VERTICES: mesh.vertices_nm}
    fields = {"unit_nm": unit_nm, "place_nm": place_nm.tolist(), "repairs": repairs}
    if layout == "3dmsl":
        labels = read_labels(path / LABELS_FILE)
        arrays |= {RELEASED_POINTS: labels.points, RELEASED_INSIDE: labels.inside}
        fields |= {**_of_labels(labels, mesh, unit_nm), "images": _images(path)}
    return shape, arrays, fields


def _check_size(mesh: Mesh, unit_nm: float, file: Path) -> None:
    edge_nm = float(np.ptp(mesh.vertices_nm, axis=0).max()) * unit_nm
    if not SMALLEST_NM <= edge_nm <= LARGEST_NM:
        raise ShapeError(
            f"mesh file {str(file)!r} is {edge_nm:.3g} nm long at unit_nm {unit_nm:g}: shapes of {SMALLEST_NM:g} nm to "
            f"{LARGEST_NM / 1e6:g} mm are expected. Give the unit_nm that the file is in"
        )


def _of_labels(labels: Labels, mesh: Mesh, unit_nm: float) -> dict[str, Any]:
    """Return what the index says about released labels."""
    found = agreement(mesh, labels)
    return {
        "released_loc": labels.box.loc.tolist(),
        "released_scale": labels.box.scale,
        "label_agreement": found.share,
        "label_offset_nm": found.offset * unit_nm,
        "label_agreement_at_offset": found.share_at_offset,
    }


def _images(folder: Path) -> dict[str, list[str]]:
    """Return the files of each of an instance's folders of images, which stay where they are."""
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    return {path.name: sorted(file.name for file in path.iterdir()) for path in folders}
