"""``mishape prepare``: a library of shapes from label volumes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mishape.plugins.verbs.generate import ProgressStyle

LIMITS = {"--voxel": (1e-3, 1e7), "--smooth": (0, 20), "--regions": (1, 1000)}
"""Of each of the three numbers."""


def prepare(
    volumes: Annotated[list[str], typer.Argument(help="Label volumes: files, folders or URLs (file.h5:/dataset).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The library's folder.")],
    voxel: Annotated[str | None, typer.Option(help="Voxel size x,y,z in nm; default what the files say.")] = None,
    level: Annotated[
        float | None, typer.Option(min=0.1, help="Coarsest voxel to work at, nm; default the file's.")
    ] = None,
    binary: Annotated[bool, typer.Option("--binary", help="A mask: instances are its connected components.")] = False,
    above: Annotated[float | None, typer.Option(help="Foreground is what lies above this value; makes a mask.")] = None,
    min_voxels: Annotated[int, typer.Option(min=1, help="Smaller instances are dust.")] = 64,
    whole_only: Annotated[bool, typer.Option("--whole-only", help="Leave out what touches the border.")] = False,
    smooth: Annotated[str, typer.Option(help="Smoothing x,y,z in voxels of the level.")] = "1,1,1",
    faces: Annotated[float, typer.Option(min=0.01, max=1, help="Part of the meshes' faces to keep.")] = 1.0,
    axes: Annotated[str | None, typer.Option(help="The files' axes, as zyx.")] = None,
    fold: Annotated[
        list[str] | None, typer.Option(help="PATTERN=FOLD for volumes' names; else each is its own.")
    ] = None,
    regions: Annotated[str, typer.Option(help="Folds by regions of a volume, along x,y,z.")] = "1,1,1",
    source: Annotated[str, typer.Option(help="The data's name.")] = "",
    licence: Annotated[str, typer.Option(help="The data's terms, as CC-BY-4.0.")] = "",
    citation: Annotated[str, typer.Option(help="What to cite.")] = "",
    raw: Annotated[
        list[str] | None, typer.Option(help="Raw images of a label volume, for the library's page; one for each.")
    ] = None,
    occupancy: Annotated[int, typer.Option(min=0, help="Labelled points to keep per shape.")] = 0,
    near: Annotated[int, typer.Option(min=0, help="Labelled points near the surface to keep per shape.")] = 0,
    max_voxels: Annotated[int, typer.Option(min=1000, help="Most voxels of the level around one instance.")] = 1 << 26,
    max_gib: Annotated[float, typer.Option(min=0.001, help="Most that a file may unpack to.")] = 64.0,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = os.cpu_count() or 1,
    executor: Annotated[str | None, typer.Option(help="Who runs the workers: inline, processes, dask.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, tcp://host:8786.")] = None,
    progress: Annotated[ProgressStyle, typer.Option(help="How to show progress.")] = ProgressStyle.auto,
) -> None:
    """Make a library of shapes from label volumes, or finish one that was interrupted."""
    from mishape.em.blocks import Foreground
    from mishape.em.prepare import prepare as make
    from mishape.em.settings import Making, Origin
    from mishape.plugins.reports.library_page import write_library_page
    from mishape.plugins.reports.raw_volumes import opened_raws
    from mishape.plugins.verbs.long_runs import resumable, runner
    from mishape.plugins.verbs.progress import shown

    making = Making(
        voxel_nm=None if voxel is None else _three(voxel, "--voxel", float),
        level_nm=level,
        foreground=Foreground(binary, above),
        min_voxels=min_voxels,
        whole_only=whole_only,
        smooth_voxels=_three(smooth, "--smooth", float),
        faces_kept=faces,
        max_voxels=max_voxels,
        axes=axes,
        max_bytes=int(max_gib * 2**30),
        occupancy_points=occupancy,
        near_points=near,
    )
    runs = runner(executor, scheduler, workers)
    folds = dict(_pair(text) for text in fold or ())
    origin = Origin(source, licence, citation, folds, _three(regions, "--regions", int))
    with resumable(), opened_raws(volumes, raw or (), axes, making.max_bytes) as raws:
        with shown(progress.value) as report:
            library = make(volumes, out, making, origin, workers=workers, executor=runs, progress=report)
        write_library_page(library, raws)
    for note in library.meta["notes"]:
        typer.echo(f"note: {note}", err=True)
    for refused in library.meta["refused"]:
        typer.echo(f"refused: {refused['id']}: {refused['why']}", err=True)
    print(f"{len(library)} shape(s) in {out}")


def _three(text: str, option: str, kind: Any) -> tuple[Any, Any, Any]:
    try:
        x, y, z = (kind(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} given: three numbers are expected, for x,y,z", param_hint=option) from None
    low, high = LIMITS[option]
    if not all(low <= value <= high for value in (x, y, z)):
        raise typer.BadParameter(f"{text!r} given: numbers of {low:g} to {high:g} are expected", param_hint=option)
    return x, y, z


def _pair(text: str) -> tuple[str, str]:
    pattern, equals, name = text.partition("=")
    if not (pattern and equals and name):
        raise typer.BadParameter(f"{text!r} given: PATTERN=FOLD is expected, as 'cell1-*=one'", param_hint="--fold")
    return pattern, name
