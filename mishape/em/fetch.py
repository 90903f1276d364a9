"""Download a recipe's files: each is whole, of the declared size and checksum, or not there."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from mishape.em.recipes import FOLDER, RECIPES, Recipe, RemoteFile
from mishape.engine.errors import MishapeError
from mishape.engine.files import TEMPORARY, disk_is_full, sha256, sync, write_whole
from mishape.engine.wording import suggestion

SOURCE = "SOURCE.md"
BLOCK_BYTES = 1 << 20
PATIENCE_S = 60.0
"""For a server that says nothing."""


def recipe_named(name: str, recipes: Mapping[str, Recipe] = RECIPES) -> Recipe:
    """Return a recipe.

    Raises
    ------
    MishapeError
        If there is none of this name.
    """
    if name not in recipes:
        raise MishapeError(f"no recipe is named {name!r}: {suggestion(name, recipes)}")
    return recipes[name]


def fetch(
    recipe: Recipe, folder: Path, say: Callable[[str], None] = print, *, schemes: tuple[str, ...] = ("https",)
) -> None:
    """Download what is missing of a recipe's files, and write its terms beside them; nothing for one without files.

    Parameters
    ----------
    folder
        Made if it is missing. A file that is there and right is kept; one that is wrong is replaced.
    say
        Called with a line of text for each file.
    schemes
        Of the URLs that may be opened, those of redirections included.

    Raises
    ------
    MishapeError
        If a server cannot be reached or refuses, a file is not as declared, a path leads out of the folder, or the disk
        is full. Files that were finished are kept.
    """
    if not recipe.files:
        return
    for file in recipe.files:
        _check_place(folder, file.name)
        _check_scheme(file.url, schemes)
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / SOURCE, source_text(recipe, folder))
        for file in recipe.files:
            if _is_right(folder / file.name, file):
                say(f"{file.name}: already there")
                continue
            _download(file, folder / file.name, schemes)
            say(f"{file.name}: {file.size_bytes / 1e6:.1f} MB downloaded, checksum right")


def commands(recipe: Recipe, folder: Path) -> list[str]:
    """Return the commands that make shapes of what lies in a folder, as a shell takes them."""
    origin = ("--licence", recipe.licence, "--citation", recipe.citation)
    found = [
        ("mishape", "prepare", *made.volumes, "-o", made.out, *made.options, "--source", made.source, *origin)
        for made in recipe.preparations
    ]
    return [shlex.join(part.replace(FOLDER, str(folder)) for part in command) for command in found]


def notes(recipe: Recipe, folder: Path) -> list[str]:
    """Return what to know or do."""
    return [note.replace(FOLDER, str(folder)) for note in recipe.notes]


def source_text(recipe: Recipe, folder: Path) -> str:
    """Return where files come from and what their terms are, as Markdown."""
    files = [f"- `{file.name}`: {file.url}, {file.size_bytes} bytes, SHA-256 {file.sha256}" for file in recipe.files]
    about = [f"Source: {recipe.page}", f"Licence: {recipe.licence}", f"Cite: {recipe.citation}"]
    return "\n\n".join(["# Where these files come from", *about, *notes(recipe, folder), "\n".join(files)]) + "\n"


def _check_place(folder: Path, name: str) -> None:
    whole = folder.resolve()
    place = (folder / name).resolve()
    if place == whole or not place.is_relative_to(whole):
        raise MishapeError(f"{name!r} leads out of the folder {str(folder)!r}: nothing is downloaded")


def _check_scheme(url: str, schemes: tuple[str, ...]) -> None:
    if urlsplit(url).scheme not in schemes:
        raise MishapeError(f"{url!r} is not downloaded: only {', '.join(schemes)} is")


def _is_right(path: Path, file: RemoteFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size_bytes and sha256(path) == file.sha256


def _download(file: RemoteFile, path: Path, schemes: tuple[str, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with closing(_blocks(file.url, schemes)) as blocks, temporary.open("wb") as out:
            out.writelines(_declared(file, blocks))
        if (found := sha256(temporary)) != file.sha256:
            raise MishapeError(
                f"{file.name}: SHA-256 {file.sha256} is expected, {found} found: what {file.url!r} holds has changed "
                "or was damaged on its way. It is not kept; try again"
            )
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _declared(file: RemoteFile, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks as long as they are not more than declared; raise a `MishapeError` if they are more or fewer."""
    read = 0
    for block in blocks:
        read += len(block)
        if read > file.size_bytes:
            raise MishapeError(
                f"{file.name}: {file.url!r} sends more than the declared {file.size_bytes} bytes: reading was stopped, "
                "and nothing of it is kept"
            )
        yield block
    if read < file.size_bytes:
        raise MishapeError(
            f"{file.name}: {file.url!r} ended after {read} of {file.size_bytes} bytes: give the same command again"
        )


def _blocks(url: str, schemes: tuple[str, ...]) -> Generator[bytes, None, None]:
    """Yield what a URL holds; errors of the network become a `MishapeError`."""
    try:
        with _opener(schemes).open(url, timeout=PATIENCE_S) as response:
            while block := response.read(BLOCK_BYTES):
                yield block
    except HTTPError as error:
        error.close()
        raise MishapeError(
            f"{url!r}: the server answers {error.code} {error.reason}: try again later; if it stays so, the file is no "
            "longer there"
        ) from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise MishapeError(
            f"{url!r} cannot be read: {reason}. Is there a network? The same command goes on with what is missing"
        ) from None


def _opener(schemes: tuple[str, ...]) -> OpenerDirector:
    class Redirected(HTTPRedirectHandler):
        """Follows to the schemes that are allowed alone."""

        def redirect_request(
            self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
        ) -> Request | None:
            fp.close()  # what comes with a redirection is not read
            _check_scheme(newurl, schemes)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    return build_opener(Redirected)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the disk into what a user can do about them."""
    try:
        yield
    except OSError as error:
        if disk_is_full(error):
            raise MishapeError(
                f"the disk is full: {str(folder)!r} could not be written ({error.strerror}). Finished files are kept: "
                "free some space and give the same command again"
            ) from error
        raise MishapeError(f"{str(folder)!r} could not be written: {error}") from error
