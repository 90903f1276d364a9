"""Errors that a user can act on: what was given, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Sequence


class MishapeError(Exception):
    """Base of every error that mishape raises on purpose; the command line prints it without a traceback."""

    exit_code = 1


class SpecError(MishapeError):
    """A scene file is wrong. ``problems`` holds every complaint, one text each."""

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class PluginError(MishapeError):
    """A plugin is unknown, broken, or does not keep its protocol."""


class ShapeError(MishapeError):
    """A shape cannot be used: empty, not watertight, of no size."""


class EmitterError(MishapeError):
    """Emitters do not have the form that imaging needs."""


class LibraryError(MishapeError):
    """A shape library is missing, damaged, or of a newer format."""


class VolumeError(MishapeError):
    """A label volume cannot be read, or does not hold labels."""


class DatasetError(MishapeError):
    """A dataset folder cannot be written, resumed, read or verified."""
