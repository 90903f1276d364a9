"""``mishape fetch``: public label volumes, downloaded or pointed at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fetch(
    name: Annotated[str | None, typer.Argument(help="The data set's name; without one, all are listed.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the files; default the name.")] = None,
) -> None:
    """Download public label volumes, or say where they are; then print the command that makes shapes of them."""
    from mishape.em.fetch import commands, notes, recipe_named
    from mishape.em.fetch import fetch as download
    from mishape.em.recipes import RECIPES
    from mishape.plugins.verbs.long_runs import resumable

    if name is None:
        for known, recipe in RECIPES.items():
            print(f"{known}: {recipe.summary}\n  {recipe.extent}; licence {recipe.licence}; {recipe.page}")
        return
    recipe, folder = recipe_named(name), out or Path(name)
    with resumable():
        download(recipe, folder, lambda text: typer.echo(text, err=True))
    typer.echo(f"{recipe.page}\nlicence: {recipe.licence}\ncite: {recipe.citation}", err=True)
    for note in notes(recipe, folder):
        typer.echo(f"note: {note}", err=True)
    print("\n".join(commands(recipe, folder)))
