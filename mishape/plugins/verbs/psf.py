"""``mishape psf``: the point spread function of every view, as images and as numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mishape.engine.scene import Scene, View
    from mishape.plugins.reports.psf_numbers import PSFOfView


def psf(
    scene: Annotated[Path, typer.Argument(help="Scene file (YAML).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path("."),
    sample: Annotated[int, typer.Option(min=0, help="Number of the sample whose microscopes to take.")] = 0,
    view: Annotated[str | None, typer.Option(help="Only the view of this name.")] = None,
) -> None:
    """Show each view's PSF: an OME-TIFF of a lone emitter, a PNG sheet, and its measures beside the named formulas.

    A microscope of your own is found with --plugin FILE, which every command takes.
    """
    from functools import partial

    from mishape.engine.execute import one_thread
    from mishape.engine.spec import load_spec

    spec = load_spec(scene)
    make = partial(_made, out=out, stem=scene.stem, sample=sample)
    for named in views_of(spec.scene(sample), view).items():
        print(one_thread(make, named), flush=True)


def views_of(scene: Scene, name: str | None) -> dict[str, View]:
    """Return the views of a scene, or the one of a name."""
    if name is None:
        return scene.views
    if name not in scene.views:
        from mishape.engine.errors import SpecError
        from mishape.engine.wording import suggestion

        raise SpecError(f"the scene has no view {name!r}: {suggestion(name, scene.views)}")
    return {name: scene.views[name]}


def _made(named: tuple[str, View], out: Path, stem: str, sample: int) -> str:
    """Write a view's files; return its numbers and the files' names as text."""
    from mishape.engine.errors import MishapeError, PluginError
    from mishape.plugins.reports.psf_numbers import psf_of_view
    from mishape.plugins.reports.psf_text import text_of

    name, view = named
    try:
        measured = psf_of_view(name, view)
        written = _written(measured, out, f"{stem}-{name}", sample)
    except (MishapeError, MemoryError):
        raise
    except Exception as error:  # a stranger's microscope may fail in any way
        raise PluginError(f"the PSF of view {name!r} failed: {type(error).__name__}: {error}") from error
    return "\n".join([text_of(measured), *map(str, written)])


def _written(measured: PSFOfView, out: Path, stem: str, sample: int) -> list[Path]:
    from mishape.engine.files import canonical, disk_errors, write_text
    from mishape.engine.ometiff import StackWriter
    from mishape.plugins.reports.psf_numbers import data_of
    from mishape.plugins.reports.psf_sheet import sheet

    stack = measured.emitter.stack(measured.fine_grid)
    picture = sheet(measured, stack)
    paths = [out / f"{stem}.psf.{ending}" for ending in ("ome.tif", "png", "json")]
    content = canonical({**data_of(measured), "sample": sample}, indent=2)
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with StackWriter(paths[0], measured.fine_grid, stack.dtype, 1, f"psf/{content}") as file:
            file.write(0, stack)
        picture.save(paths[1])
        write_text(paths[2], content + "\n")
    return paths
