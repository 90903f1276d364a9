"""``mishape import``, ``mishape export`` and ``mishape shapes``: libraries from and to the files of others."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mishape.engine.library import Library


class Released(StrEnum):
    """Layouts that are read."""

    msl = "3dmsl"
    meshes = "meshes"


class Exported(StrEnum):
    """Layouts that are written."""

    msl = "3dmsl"
    onet = "onet"
    off = "off"
    ply = "ply"
    obj = "obj"
    stl = "stl"
    glb = "glb"


def import_shapes(
    folder: Annotated[Path, typer.Argument(help="3DMSL's folder, one of its instances, or a folder of meshes.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The library's folder.")],
    layout: Annotated[Released, typer.Option(help="How the files lie.")],
    unit_nm: Annotated[float | None, typer.Option(help="Length of one mesh unit, nm; for 3dmsl default 24.")] = None,
    source: Annotated[str, typer.Option(help="The data's name.")] = "",
    licence: Annotated[str, typer.Option(help="The data's terms, as CC-BY-4.0.")] = "",
    citation: Annotated[str, typer.Option(help="What to cite.")] = "",
) -> None:
    """Make a library of released shapes; meshes that are not closed are repaired or refused, and it says which."""
    from mishape.em.exchange_labels import agreement_text
    from mishape.em.exchange_read import Origin
    from mishape.em.exchange_read import import_shapes as read

    origin = Origin(source, licence, citation)
    library = read(folder, out, layout.value, origin, unit_nm, lambda text: typer.echo(text, err=True))
    if text := agreement_text(library):
        print(text)
    refused = len(library.meta["refused"])
    print(f"{len(library)} shape(s) in {out}" + (f", {refused} refused" if refused else ""))


def export_shapes(
    library: Annotated[str, typer.Argument(help="A library's folder, or the name of a packaged one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")],
    layout: Annotated[Exported, typer.Option(help="3DMSL, Occupancy Networks, or one mesh file per shape.")],
    unit_nm: Annotated[
        float | None, typer.Option(help="Length of one unit of the files, nm; default as imported, else 1.")
    ] = None,
    points: Annotated[int, typer.Option(min=1, max=10_000_000, help="Points with labels per shape.")] = 100_000,
    cloud: Annotated[int, typer.Option(min=1, max=10_000_000, help="Points on the surface per shape.")] = 100_000,
    val: Annotated[list[str] | None, typer.Option(help="Fold for val.lst; repeatable. Of onet.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Fold for test.lst; repeatable. Of onet.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the points.")] = 0,
) -> None:
    """Write a library's shapes as other programs read them."""
    from mishape.em.exchange_write import Writing, export_library
    from mishape.engine.library import open_library
    from mishape.engine.seeding import Stage, stream

    opened = open_library(library)
    writing = Writing(unit_nm, points, cloud, tuple(val or ()), tuple(test or ()))
    export_library(opened, out, layout.value, writing, stream(seed, 0, Stage.TRUTH, "export"))
    print(f"{len(opened)} shape(s) in {out}; licence: {opened.meta['licence'] or 'not known'}")


def show_shapes(
    library: Annotated[str, typer.Argument(help="A library's folder, or the name of a packaged one.")],
) -> None:
    """List a library's shapes: id, fold, longest edge, volume, and whether the mesh is closed."""
    from mishape.engine.library import open_library

    opened = open_library(library)
    print(f"{opened.name}: {len(opened)} shape(s); licence: {opened.meta['licence'] or 'not known'}")
    print("\n".join(rows_of(opened)))


def rows_of(library: Library) -> list[str]:
    """Return a table of a library's shapes as lines of text."""
    rows = [("id", "fold", "longest edge nm", "volume um3", "closed")]
    for entry in library:
        volume = "-" if entry.volume_nm3 is None else f"{entry.volume_nm3 / 1e9:.5f}"
        closed = "yes" if entry.watertight else "no"
        rows.append((entry.id, entry.fold or "-", f"{entry.scale_nm:.1f}", volume, closed))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
