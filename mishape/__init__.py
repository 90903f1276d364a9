"""mishape: 3D shapes in, fluorescence microscope images with exact ground truth out.

Everything public is reachable from here and loaded on first use; ``import mishape`` itself imports nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mishape.engine.dataset import Dataset, open_dataset
    from mishape.engine.errors import DatasetError, LibraryError, MishapeError, PluginError, ShapeError, SpecError
    from mishape.engine.generate import generate
    from mishape.engine.grid import Grid
    from mishape.engine.library import open_library
    from mishape.engine.library_writing import write_library
    from mishape.engine.merge import merge
    from mishape.engine.repair import repair
    from mishape.engine.scene import Scene
    from mishape.engine.simulate import simulate, simulate_many
    from mishape.engine.spec import Spec, load_spec
    from mishape.engine.types import Emitters, Mesh, Raster, Sample, Shape
    from mishape.engine.verify import verify

__version__ = "0.1.0"
_HOMES = {
    "dataset": ("Dataset", "open_dataset"),
    "errors": ("DatasetError", "LibraryError", "MishapeError", "PluginError", "ShapeError", "SpecError"),
    "generate": ("generate",),
    "library": ("open_library",),
    "library_writing": ("write_library",),
    "merge": ("merge",),
    "repair": ("repair",),
    "scene": ("Scene",),
    "simulate": ("simulate", "simulate_many"),
    "spec": ("Spec", "load_spec"),
    "types": ("Emitters", "Grid", "Mesh", "Raster", "Sample", "Shape"),
    "verify": ("verify",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = [  # noqa: RUF022  (in the order of the modules)
    "Dataset",
    "open_dataset",
    "DatasetError",
    "LibraryError",
    "MishapeError",
    "PluginError",
    "ShapeError",
    "SpecError",
    "generate",
    "open_library",
    "write_library",
    "merge",
    "repair",
    "Scene",
    "simulate",
    "simulate_many",
    "Spec",
    "load_spec",
    "Emitters",
    "Grid",
    "Mesh",
    "Raster",
    "Sample",
    "Shape",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mishape' has no attribute {name!r}")
    return getattr(import_module(f"mishape.engine.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
