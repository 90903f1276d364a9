"""Packages that only some parts need."""

from __future__ import annotations

from importlib.util import find_spec

from mishape.engine.errors import MishapeError


def needs(package: str, extra: str) -> None:
    """Raise a `MishapeError` that says how to install a package, if it is not there."""
    if find_spec(package) is None:
        raise MishapeError(f"this needs the package {package}: pip install 'mishape[{extra}]'")
