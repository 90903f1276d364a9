"""Public label volumes: what recipes say, and downloads that are whole and right or not there. No network is used."""

from __future__ import annotations

import errno
import shlex
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from conftest import Run

from mishape.em import fetch as module
from mishape.em.fetch import SOURCE, commands, fetch, recipe_named
from mishape.em.open import open_volume
from mishape.em.recipes import FOLDER, RECIPES, Preparation, Recipe, RemoteFile
from mishape.em.settings import Making, Origin
from mishape.engine.errors import MishapeError

UROCELL = Path(__file__).parent / "data" / "urocell" / "fib1-1-0-3.nii.gz"
BODIES = {"one.bin": b"mitochondria" * 1000, "deep/two.bin": b"cristae" * 2000}


@dataclass
class Server:
    """A server on this machine, what it sends, and what it was asked for."""

    url: str = ""
    bodies: dict[str, bytes] = field(default_factory=lambda: dict(BODIES))
    status: dict[str, int] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    declared: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def recipe(self) -> Recipe:
        """Return a recipe of the files as they are meant to be."""
        files = tuple(
            RemoteFile(name, f"{self.url}/{name}", len(body), sha256(body).hexdigest()) for name, body in BODIES.items()
        )
        made = Preparation((f"{FOLDER}/one.bin",), f"{FOLDER}/shapes", "Test data", ("--voxel", "8,8,8"))
        notes = (f"unpack into {FOLDER}/x",)
        return Recipe("test data", "https://example.org", "CC-BY-4.0", "A & B 2020", (made,), files, notes=notes)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    held = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            held.asked.append(name)
            body = held.bodies.get(name, b"")
            self.send_response(302 if name in held.moved else held.status.get(name, 200))
            if name in held.moved:
                self.send_header("Location", held.moved[name])
            self.send_header("Content-Length", str(held.declared.get(name, len(body))))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # the client read enough

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        held.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield held
        http.shutdown()
        thread.join()


def fetched(server: Server, folder: Path, recipe: Recipe | None = None) -> list[str]:
    said: list[str] = []
    fetch(recipe or server.recipe(), folder, said.append, schemes=("http",))
    return said


def refusal(server: Server, folder: Path, recipe: Recipe | None = None) -> str:
    with pytest.raises(MishapeError) as caught:
        fetched(server, folder, recipe)
    return str(caught.value)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_files_and_their_terms_are_written(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    said = fetched(server, folder)
    assert said == [
        "one.bin: 0.0 MB downloaded, checksum right",
        "deep/two.bin: 0.0 MB downloaded, checksum right",
    ]
    assert {name: (folder / name).read_bytes() for name in BODIES} == BODIES
    assert names(folder) == {*BODIES, SOURCE}
    source = (folder / SOURCE).read_text(encoding="utf-8")
    assert "Licence: CC-BY-4.0" in source
    assert "Cite: A & B 2020" in source
    assert f"unpack into {folder}/x" in source
    assert f"{server.url}/one.bin, 12000 bytes, SHA-256 {sha256(BODIES['one.bin']).hexdigest()}" in source


def test_what_is_right_is_kept_and_what_is_wrong_replaced(server: Server, tmp_path: Path) -> None:
    fetched(server, tmp_path)
    (tmp_path / "deep" / "two.bin").write_bytes(BODIES["deep/two.bin"][::-1])
    server.asked.clear()
    assert fetched(server, tmp_path)[0] == "one.bin: already there"
    assert server.asked == ["deep/two.bin"]
    assert (tmp_path / "deep" / "two.bin").read_bytes() == BODIES["deep/two.bin"]


def test_an_interrupted_download_goes_on(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = module._blocks

    def interrupted(url: str, schemes: tuple[str, ...]) -> Iterator[bytes]:
        for block in blocks(url, schemes):
            yield block
            if url.endswith("two.bin"):
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "BLOCK_BYTES", 1000)
        patched.setattr(module, "_blocks", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetched(server, tmp_path)
    assert names(tmp_path) == {SOURCE, "one.bin"}
    (tmp_path / "deep" / "two.bin.part").write_bytes(b"left by a process that was killed")
    assert fetched(server, tmp_path)[0] == "one.bin: already there"
    assert names(tmp_path) == {SOURCE, *BODIES}


def test_a_wrong_checksum_keeps_nothing(server: Server, tmp_path: Path) -> None:
    server.bodies["one.bin"] = BODIES["one.bin"][::-1]
    expected, found = (sha256(body).hexdigest() for body in (BODIES["one.bin"], server.bodies["one.bin"]))
    assert refusal(server, tmp_path) == (
        f"one.bin: SHA-256 {expected} is expected, {found} found: what '{server.url}/one.bin' holds has changed or was "
        "damaged on its way. It is not kept; try again"
    )
    assert names(tmp_path) == {SOURCE}


def test_reading_stops_at_the_declared_size(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 1000)
    read: list[int] = []
    blocks = module._blocks

    def counted(url: str, schemes: tuple[str, ...]) -> Iterator[bytes]:
        for block in blocks(url, schemes):
            read.append(len(block))
            yield block

    monkeypatch.setattr(module, "_blocks", counted)
    server.bodies["one.bin"] = bytes(10_000_000)
    assert refusal(server, tmp_path) == (
        f"one.bin: '{server.url}/one.bin' sends more than the declared 12000 bytes: reading was stopped, and nothing "
        "of it is kept"
    )
    assert sum(read) == 13_000
    assert names(tmp_path) == {SOURCE}


@pytest.mark.parametrize("declared", [12000, 5000], ids=["cut connection", "shorter file"])
def test_a_short_file_is_refused(server: Server, tmp_path: Path, declared: int) -> None:
    server.bodies["one.bin"] = BODIES["one.bin"][:5000]
    server.declared["one.bin"] = declared
    assert refusal(server, tmp_path) == (
        f"one.bin: '{server.url}/one.bin' ended after 5000 of 12000 bytes: give the same command again"
    )
    assert names(tmp_path) == {SOURCE}


def test_the_servers_refusal_is_told(server: Server, tmp_path: Path) -> None:
    server.status["one.bin"] = 404
    assert refusal(server, tmp_path) == (
        f"'{server.url}/one.bin': the server answers 404 Not Found: try again later; if it stays so, the file is no "
        "longer there"
    )


def test_redirections_stay_within_the_schemes(server: Server, tmp_path: Path) -> None:
    server.moved["one.bin"] = f"{server.url}/deep/two.bin"
    recipe = server.recipe()
    moved = replace(recipe.files[1], name="one.bin", url=f"{server.url}/one.bin")
    fetched(server, tmp_path, replace(recipe, files=(moved,)))
    assert (tmp_path / "one.bin").read_bytes() == BODIES["deep/two.bin"]
    server.moved["one.bin"] = "ftp://127.0.0.1/one.bin"
    assert refusal(server, tmp_path) == "'ftp://127.0.0.1/one.bin' is not downloaded: only http is"


def test_no_network(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise URLError(OSError(errno.ENETUNREACH, "Network is unreachable"))

    monkeypatch.setattr("urllib.request.OpenerDirector.open", unreachable)
    assert refusal(server, tmp_path) == (
        f"'{server.url}/one.bin' cannot be read: [Errno {errno.ENETUNREACH}] Network is unreachable. Is there a "
        "network? The same command goes on with what is missing"
    )


def test_a_server_that_falls_silent(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: Any) -> bytes:
        raise TimeoutError("timed out")

    monkeypatch.setattr("http.client.HTTPResponse.read", silent)
    assert f"'{server.url}/one.bin' cannot be read: timed out. Is there a network?" in refusal(server, tmp_path)
    assert names(tmp_path) == {SOURCE}


def test_a_full_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "sync", full)
    assert refusal(server, tmp_path) == (
        f"the disk is full: '{tmp_path}' could not be written (No space left on device). Finished files are kept: free "
        "some space and give the same command again"
    )
    assert names(tmp_path) == {SOURCE}


def test_a_file_where_the_folder_should_be(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    assert refusal(server, tmp_path / "data").startswith(f"'{tmp_path / 'data'}' could not be written: ")
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.parametrize("name", ["../out.bin", "/tmp/out.bin", "deep/../../out.bin", "", "link/out.bin"])
def test_no_path_leads_out_of_the_folder(server: Server, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    recipe = server.recipe()
    escaping = replace(recipe, files=(recipe.files[0], replace(recipe.files[1], name=name)))
    assert refusal(server, folder, escaping) == f"{name!r} leads out of the folder '{folder}': nothing is downloaded"
    assert server.asked == []
    assert names(tmp_path) == set()


def test_only_https_by_default(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MishapeError) as caught:
        fetch(server.recipe(), tmp_path)
    assert str(caught.value) == f"'{server.url}/one.bin' is not downloaded: only https is"
    assert names(tmp_path) == set()


def test_an_unknown_name() -> None:
    with pytest.raises(MishapeError) as caught:
        recipe_named("urocel")
    assert str(caught.value) == (
        "no recipe is named 'urocel': did you mean 'urocell'? (known: empiar-10791, openorganelle, urocell)"
    )


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_complete(name: str) -> None:
    recipe = RECIPES[name]
    assert all([recipe.extent, recipe.licence, recipe.citation, recipe.page.startswith("https://")])
    for file in recipe.files:
        assert file.url.startswith("https://")
        assert file.url.endswith(f"/{file.name}")
        assert len(bytes.fromhex(file.sha256)) == 32
    assert len({made.out for made in recipe.preparations}) == len(recipe.preparations)


def test_urocell_is_the_volume_that_the_tests_have() -> None:
    file = next(file for file in RECIPES["urocell"].files if file.name == UROCELL.name)
    assert (file.size_bytes, file.sha256) == (UROCELL.stat().st_size, sha256(UROCELL.read_bytes()).hexdigest())
    assert RECIPES["urocell"].extent == "0.6 MB"


def test_urocell_in_full(mishape_data: Path) -> None:
    folder = mishape_data / "urocell" / "mito_instance"
    assert all(module._is_right(folder / file.name, file) for file in RECIPES["urocell"].files)


@pytest.mark.parametrize("name", RECIPES)
def test_prepare_understands_the_commands(name: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[tuple[list[str], Path, Making, Origin]] = []

    def taken(volumes: list[str], out: Path, making: Making, origin: Origin, **_: Any) -> None:
        given.append((volumes, out, making, origin))
        raise MishapeError("taken")

    monkeypatch.setattr("mishape.em.prepare.prepare", taken)
    recipe, folder = RECIPES[name], tmp_path / "a folder"
    for command in commands(recipe, folder):
        assert run(*shlex.split(command)[1:])[2] == "error: taken\n"
    assert [out for _, out, _, _ in given] == [
        Path(made.out.replace(FOLDER, str(folder))) for made in recipe.preparations
    ]
    assert {(origin.licence, origin.citation) for *_, origin in given} == {(recipe.licence, recipe.citation)}
    volumes, _, making, origin = given[0]
    if name == "urocell":
        assert volumes == [str(folder / file.name) for file in recipe.files]
        assert making.voxel_nm == (16, 16, 15)
        folds = [origin.fold(Path(volume).name.removesuffix(".nii.gz")) for volume in volumes]
        assert folds == ["fib1-0-0-0", "fib1-1-0-3", "fib1-3-3-0_fib1-4-3-0", "fib1-3-3-0_fib1-4-3-0"]
    if name == "empiar-10791":
        assert (making.voxel_nm, making.level_nm, making.foreground.binary) == ((8, 8, 8), 24, True)


def test_the_volumes_of_urocell_have_the_names_that_its_folds_need(tmp_path: Path) -> None:
    assert open_volume(UROCELL, tmp_path).name == "fib1-1-0-3"


def test_without_a_name_all_are_listed(run: Run) -> None:
    code, out, err = run("fetch")
    assert (code, err) == (0, "")
    assert (
        "urocell: mitochondria of umbrella cells of mouse bladder, FIB-SEM, 16 x 16 x 15 nm; downloads 4 volumes\n"
        "  0.6 MB; licence CC-BY-NC-SA-4.0; https://github.com/MancaZerovnikMekuc/UroCell\n"
    ) in out
    assert "openorganelle: " in out
    assert "\n  340 GB unpacked; packed not known; licence CC0-1.0; " in out


def test_labels_in_place_are_pointed_at_and_nothing_is_downloaded(run: Run, folder: Path) -> None:
    code, out, err = run("fetch", "openorganelle", "-o", "cells")
    assert code == 0
    assert out.startswith(
        "mishape prepare s3://janelia-cosem-datasets/jrc_hela-2/jrc_hela-2.n5/labels/mito_seg/s2 -o cells/jrc_hela-2 "
    )
    assert len(out.splitlines()) == 3
    assert "note: Not verified: that the bucket still has them so" in err
    assert not list(folder.iterdir())


def test_data_to_be_downloaded_by_hand_say_how(run: Run, folder: Path) -> None:
    _, out, err = run("fetch", "empiar-10791")
    assert "https://www.ebi.ac.uk/empiar/EMPIAR-10791/\nlicence: CC0-1.0\ncite: Parlakgül et al. 2022" in err
    assert "into empiar-10791/mitochondria, and nothing else." in err
    assert "No checksum, exact address or packed size is known" in err
    assert out.startswith("mishape prepare empiar-10791/mitochondria -o empiar-10791/shapes --voxel 8,8,8 --level 24 ")
    assert not list(folder.iterdir())


def test_the_command_line_downloads_then_says_how_to_go_on(
    run: Run, server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "test", server.recipe())
    assert run("fetch", "test") == (1, "", f"error: '{server.url}/one.bin' is not downloaded: only https is\n")
    fetched(server, folder / "held")
    monkeypatch.setattr(module, "_check_scheme", lambda url, schemes: None)
    code, out, err = run("fetch", "test", "-o", "held")
    assert code == 0
    assert out == (
        "mishape prepare held/one.bin -o held/shapes --voxel 8,8,8 --source 'Test data' --licence CC-BY-4.0 "
        "--citation 'A & B 2020'\n"
    )
    assert "one.bin: already there\n" in err


def test_an_unknown_name_on_the_command_line(run: Run) -> None:
    code, _, err = run("fetch", "liver")
    assert (code, err) == (1, "error: no recipe is named 'liver': (known: empiar-10791, openorganelle, urocell)\n")


def test_interrupted_by_the_user(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_download", interrupted)
    code, _, err = run("fetch", "urocell")
    assert (code, err) == (130, "interrupted: what is finished is kept; the same command goes on\n")
