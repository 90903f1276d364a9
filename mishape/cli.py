"""The command line: finds verbs by entry point (group ``mishape.cli``) and loads only the one that is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, NoReturn

import typer

import mishape
from mishape.engine.errors import MishapeError, PluginError

OWN = "mishape.plugins.verbs."
"""Our own verbs are light to import, so that ``--help`` may show their summaries."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 for success, 1 for a failure, 2 for a wrong scene or wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        files, given = plugin_files(given)
        if files:
            from mishape.engine import registry

            for file in files:
                registry.add_file(file)
        app_for(given)(args=given, prog_name="mishape")
    except MishapeError as error:
        print("\n".join([f"error: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        sys.exit(error.exit_code)
    except MemoryError as error:
        print(f"error: not enough memory: {error}. Use a smaller grid or fewer planes and workers", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output went away, as `mishape schema | head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)


def plugin_files(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take ``--plugin FILE`` out of the arguments, wherever it stands; return the files and the rest."""
    files: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument == "--plugin":
            files.append(next(remaining, ""))
        elif argument.startswith("--plugin="):
            files.append(argument.removeprefix("--plugin="))
        else:
            rest.append(argument)
    if not all(files):
        raise PluginError("--plugin needs the path of a Python file")
    return files, rest


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return an app that knows every verb by name but has loaded only the one that the arguments call."""
    verbs = {entry.name: entry for entry in entry_points(group="mishape.cli")}
    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    app = typer.Typer(
        help=mishape.__doc__.splitlines()[0] if mishape.__doc__ else None,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    for name in sorted(verbs):
        if called is None or called not in verbs or name == called:
            _add(app, verbs[name], wanted=name == called)
    return app


def _add(app: typer.Typer, entry: EntryPoint, wanted: bool) -> None:
    if wanted or entry.value.startswith(OWN):
        loaded = entry.load()
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=entry.name)
        else:
            app.command(entry.name)(loaded)
    else:
        owner = entry.dist.name if entry.dist else entry.value
        app.command(entry.name, help=f"(of {owner})")(_unloaded)


def _unloaded() -> None:
    """Stand in for a stranger's verb in the list of verbs; its own help needs its own name on the command line."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"mishape {mishape.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    plugin: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Use the components of a Python file; repeatable.")
    ] = None,
) -> None:
    pass
