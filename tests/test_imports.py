"""The import law of the packages, and that the package and its help stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mishape

ROOT = Path(mishape.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
MAY_IMPORT = {
    "engine": {"engine"},
    "em": {"engine", "em"},
    "learn": {"engine", "learn"},
    "plugins": {"engine", "em", "learn", "plugins"},
    "testing": {"engine"},
    "cli": {"engine", "em", "learn", "plugins", "cli"},
}
"""Part of the package -> the parts it may import: engine <- em, learn <- plugins <- cli."""
HEAVY = ("scipy", "torch", "cupy", "trimesh", "zarr", "numba", "matplotlib")


def imported(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Yield line and full name of every module that a source text imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def breaches(source: str, part: str, package: str) -> list[str]:
    """Return every import of a part of mishape that this part may not know of."""
    allowed = MAY_IMPORT[part]
    names = [(line, name.split(".")) for line, name in imported(source, package)]
    return [
        f"line {line} imports {'.'.join(name)}: {part} may import only {', '.join(sorted(allowed))}"
        for line, name in names
        if name[0] == "mishape" and len(name) > 1 and name[1] in MAY_IMPORT and name[1] not in allowed
    ]


def parts() -> Iterator[tuple[Path, str, str]]:
    for path in MODULES:
        names = path.relative_to(ROOT).with_suffix("").parts
        if names[0] in MAY_IMPORT:
            yield path, names[0], ".".join(["mishape", *names[:-1]])


@pytest.mark.parametrize(("path", "part", "package"), list(parts()), ids=lambda value: Path(value).name)
def test_import_law(path: Path, part: str, package: str) -> None:
    assert breaches(path.read_text(encoding="utf-8"), part, package) == []


def test_every_module_has_a_part() -> None:
    tops = {path.relative_to(ROOT).with_suffix("").parts[0] for path in MODULES}
    assert tops - {"__init__", "__main__"} <= set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("source", "part", "found"),
    [
        ("import mishape.plugins.shapes.tube", "engine", ["mishape.plugins.shapes.tube"]),
        ("from mishape import learn", "engine", ["mishape.learn"]),
        ("def f():\n    from ..em import labels", "engine", ["mishape.em.labels"]),
        ("from mishape.plugins.noises import pmt", "learn", ["mishape.plugins.noises.pmt"]),
        ("from mishape.cli import main", "plugins", ["mishape.cli.main"]),
        ("from mishape.engine.types import Grid", "plugins", []),
        ("import numpy", "engine", []),
    ],
)
def test_the_law_catches_breaches(source: str, part: str, found: list[str]) -> None:
    texts = breaches(source, part, f"mishape.{part}")
    assert [text.split("imports ")[1].split(":")[0] for text in texts] == found


@pytest.mark.parametrize("statement", ["import mishape", "from mishape.cli import main; main()"])
def test_loads_nothing_heavy(statement: str) -> None:
    program = f"""
import sys
sys.argv = ["mishape", "--help"]
try:
    {statement}
except SystemExit as stop:
    assert stop.code in (0, None), stop.code
print("loaded:", *sorted({{name.split(".")[0] for name in sys.modules}} & set({HEAVY!r})))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
