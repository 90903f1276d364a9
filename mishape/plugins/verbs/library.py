"""``mishape import`` and ``mishape shapes``: libraries from the files of others."""

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
