"""``mishape render``: make one sample and look at it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def render(
    scene: Annotated[Path, typer.Argument(help="Scene file (YAML).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path("."),
    sample: Annotated[int, typer.Option(min=0, help="Number of the sample.")] = 0,
    device: Annotated[
        str, typer.Option(help="Images by: cpu, cuda or cuda:N (CuPy), torch:cpu, torch:cuda or torch:cuda:N.")
    ] = "cpu",
) -> None:
    """Make one sample: OME-TIFFs of its images and masks, and a PNG contact sheet."""
    from mishape.engine.devices import find_device
    from mishape.engine.errors import MishapeError, PluginError
    from mishape.engine.execute import one_thread
    from mishape.engine.files import disk_errors
    from mishape.engine.ometiff import StackWriter
    from mishape.engine.shard_writing import rasters_of
    from mishape.engine.simulate import simulate
    from mishape.engine.spec import load_spec
    from mishape.plugins.reports.pictures import contact_sheet

    spec = load_spec(scene)
    resolved = spec.scene(sample)
    find_device(device)  # what it loads must be there to be limited to one thread
    try:
        made = one_thread(partial(simulate, device=device), resolved)
    except (MishapeError, MemoryError):
        raise
    except Exception as error:  # a stranger's component may fail in any way
        raise PluginError(f"sample {sample} failed: {type(error).__name__}: {error}") from error
    stem, written = f"{scene.stem}-{sample:06d}", []
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for name, raster in rasters_of(made).items():
            path = out / f"{stem}.{name}.ome.tif"
            with StackWriter(path, raster.grid, raster.data.dtype, 1, f"{spec.hash}/{sample}/{name}") as stack:
                stack.write(0, raster.data)
            written.append(path)
        written.append(out / f"{stem}.png")
        contact_sheet(made).save(written[-1])
    print("\n".join(map(str, written)))
    for name, view in made.record["views"].items():
        if view["saturated"] > 0:
            typer.echo(f"warning: {name}: {view['saturated']:.2%} of the pixels are saturated", err=True)
