"""The view that an image was taken with, as a command names it: a microscope's preset, or a view of a scene file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mishape.engine.grid import Grid
    from mishape.engine.scene import View


def named_view(name: str, shape: tuple[int, ...], pixel_nm: float | None, planes_nm: list[float] | None) -> View:
    """Return the view of an image.

    Parameters
    ----------
    name
        A preset of an installed microscope (``epi1``; ``epi.sekh2021`` where several have one of that name), or a scene
        file, with ``:view`` behind it if it has several.
    shape
        The image's (planes, rows, columns).
    pixel_nm, planes_nm
        Size of its pixels, and the z of its planes; a scene says them itself.

    Raises
    ------
    MishapeError
        If there is no such preset or view, or the pixels or planes are not known.
    """
    from mishape.engine.scene import View

    if is_scene(name):
        found = _of_scene(name)
        return found.model_copy(update={"grid": _grid(shape, pixel_nm, planes_nm, found.grid)})
    return View(grid=_grid(shape, pixel_nm, planes_nm, None), microscope=_of_preset(name), noise="none")


def is_scene(name: str) -> bool:
    """Tell whether a view is named by a scene file."""
    return name.partition(":")[0].lower().endswith((".yaml", ".yml"))


def _of_scene(name: str) -> View:
    from mishape.engine.errors import SpecError
    from mishape.engine.spec import load_spec
    from mishape.plugins.verbs.psf import views_of

    path, _, view = name.partition(":")
    found = views_of(load_spec(Path(path)).scene(0), view or None)
    if len(found) > 1:
        raise SpecError(
            f"--view {name}: the scene has views {', '.join(found)}: name one, as {path}:{next(iter(found))}"
        )
    return next(iter(found.values()))


def _of_preset(name: str) -> Any:
    from mishape.engine.errors import MishapeError
    from mishape.engine.wording import suggestion

    kind, _, preset = name.rpartition(".")
    every = [*_presets()]
    found = [cls for own, one, cls in every if one == preset and kind in ("", own)]
    if not found:
        known = {one for _, one, _ in every}
        raise MishapeError(
            f"--view {name!r} is neither a preset of a microscope nor a scene file: {suggestion(preset, known)}, or a "
            "scene's path, as scene.yaml:view"
        )
    if len(found) > 1:
        kinds = " or ".join(f"{own}.{preset}" for own, one, _ in every if one == preset)
        raise MishapeError(f"--view {name!r}: several microscopes have a preset of that name: give {kinds}")
    return found[0](preset=preset)


def _presets() -> Iterator[tuple[str, str, Any]]:
    """Yield kind, preset and class of all presets of microscopes that can be loaded."""
    from mishape.engine import registry
    from mishape.engine.errors import PluginError

    for kind in registry.kinds("microscopes"):
        try:
            cls = registry.load("microscopes", kind)
        except PluginError:
            continue  # one that is broken has no presets
        for preset in getattr(cls, "presets", {}):
            yield kind, preset, cls


def _grid(shape: tuple[int, ...], pixel_nm: float | None, planes_nm: list[float] | None, known: Grid | None) -> Grid:
    from mishape.engine.errors import MishapeError
    from mishape.engine.grid import Grid

    planes, rows, columns = shape
    size_nm = pixel_nm or (known.pixel_nm if known else None)
    if size_nm is None:
        raise MishapeError("the image does not say how large its pixels are: give --pixel-nm")
    if not 1 <= size_nm <= 10_000:
        raise MishapeError(f"pixels of {size_nm:g} nm: 1 to 10000 nm are expected, give --pixel-nm")
    if planes_nm is None and known is not None and known.shape[0] == planes:
        planes_nm = known.centers_nm()[0].tolist()
    if planes_nm is None and planes > 1:
        raise MishapeError(f"the image has {planes} planes and does not say where: give --planes, as -250,0,250")
    if planes_nm is not None and len(planes_nm) != planes:
        raise MishapeError(f"--planes names {len(planes_nm)} plane(s), the image has {planes}: name each")
    return Grid((planes, rows, columns), size_nm, planes_nm=tuple(planes_nm) if planes_nm else None)
