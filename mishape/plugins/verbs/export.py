"""``mishape export``: datasets and libraries as other programs read them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    folder: Annotated[str, typer.Argument(help="A dataset's or library's folder, or the name of a packaged library.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files; it must not exist.")],
    layout: Annotated[
        str,
        typer.Option(
            help="Of a dataset: ome_tiff, ome_zarr, webdataset, cellpose, stardist, nnunet, 3dmsl, onet, or a plugin. "
            "Of a library: 3dmsl, onet, or one file per shape: off, ply, obj, stl, glb."
        ),
    ],
    view: Annotated[str | None, typer.Option(help="Which view's images go with masks; default the only one.")] = None,
    masks: Annotated[str | None, typer.Option(help="Which truth the masks are, as masks_2d.")] = None,
    unit_nm: Annotated[
        float | None,
        typer.Option(help="Of a library: length of one unit of the files, nm; default as imported, else 1."),
    ] = None,
    points: Annotated[
        int | None, typer.Option(min=1, max=10_000_000, help="Points with labels per shape; default 100000.")
    ] = None,
    cloud: Annotated[
        int | None, typer.Option(min=1, max=10_000_000, help="Points on the surface per shape; default 100000.")
    ] = None,
    val: Annotated[list[str] | None, typer.Option(help="Of a library in onet: fold for val.lst; repeatable.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Of a library in onet: fold for test.lst; repeatable.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of a library: seed of the points; default 0.")] = None,
) -> None:
    """Write a dataset or a library as other programs read it."""
    from mishape.engine.manifest import NAME

    given: dict[str, Any] = {"view": view, "masks": masks, "unit_nm": unit_nm, "points": points, "cloud": cloud}
    given |= {"seed": seed, "val": val or None, "test": test or None}
    options = {name: value for name, value in given.items() if value is not None}
    if (Path(folder) / NAME).is_file():
        _export_dataset(Path(folder), out, layout, options)
    else:
        _export_library(folder, out, layout, options)


def _export_library(folder: str, out: Path, layout: str, options: dict[str, Any]) -> None:
    from mishape.em.exchange_write import Writing, export_library
    from mishape.engine.errors import LibraryError
    from mishape.engine.library import open_library
    from mishape.engine.occupancy import POINTS
    from mishape.engine.seeding import Stage, stream

    for name in ("view", "masks"):
        if name in options:
            raise LibraryError(f"a library has no images: leave --{name} out")
    opened = open_library(folder)
    writing = Writing(
        options.get("unit_nm"),
        options.get("points", POINTS),
        options.get("cloud", POINTS),
        tuple(options.get("val", ())),
        tuple(options.get("test", ())),
    )
    export_library(opened, out, layout, writing, stream(options.get("seed", 0), 0, Stage.TRUTH, "export"))  # type: ignore[arg-type]
    print(f"{len(opened)} shape(s) in {out}; licence: {opened.meta['licence'] or 'not known'}")


def _export_dataset(folder: Path, out: Path, layout: str, options: dict[str, Any]) -> None:
    from mishape.engine import registry
    from mishape.engine.dataset import open_dataset
    from mishape.engine.errors import PluginError

    make = registry.load("exporters", layout)
    unknown = [name for name in options if name not in make.model_fields]
    if unknown:
        raise PluginError(f"layout {layout!r} has no --{unknown[0].replace('_', '-')}: leave it out")
    dataset = open_dataset(folder)
    make(**options).export(dataset, out)
    print(f"{len(dataset) - len(dataset.holes)} sample(s) in {out}")
