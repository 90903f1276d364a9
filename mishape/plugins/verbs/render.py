"""``mishape render``: make one sample and look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def render(
    scene: Annotated[Path, typer.Argument(help="Scene file (YAML).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path("."),
    sample: Annotated[int, typer.Option(min=0, help="Number of the sample.")] = 0,
) -> None:
    """Make one sample: OME-TIFFs of its images and masks, and a PNG contact sheet."""
    from mishape.engine.execute import one_thread
    from mishape.engine.files import disk_errors
    from mishape.engine.ometiff import StackWriter
    from mishape.engine.shard import rasters_of
    from mishape.engine.simulate import simulate
    from mishape.engine.spec import load_spec
    from mishape.plugins.reports.pictures import contact_sheet

    spec = load_spec(scene)
    made = one_thread(simulate, spec.scene(sample))
    stem = f"{scene.stem}-{sample:06d}"
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for name, raster in rasters_of(made).items():
            path = out / f"{stem}.{name}.ome.tif"
            with StackWriter(path, raster.grid, raster.data.dtype, 1, f"{spec.hash}/{sample}/{name}") as stack:
                stack.write(0, raster.data)
            print(path)
        picture = out / f"{stem}.png"
        contact_sheet(made).save(picture)
        print(picture)
