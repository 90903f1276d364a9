"""PSF tables are remembered, on disk where asked for, and only those that are what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from mishape.engine import tables
from mishape.engine.component import Real
from mishape.engine.errors import MishapeError, PluginError
from mishape.engine.imaging import PSFMicroscope
from mishape.engine.tables import FOLDER, HELD_BYTES, tabulated
from mishape.engine.types import Points
from mishape.plugins.microscopes.epi import Epi

R, Z, PLANE = np.linspace(0, 1000, 11), np.array([0.0, 300, -500]), np.array([5.0])
calls: list[float] = []


class Counted(PSFMicroscope):
    """A Gaussian that counts how often it is computed."""

    kind: Literal["counted"] = "counted"
    sigma_nm: Real = 100.0

    def psf(self, r_nm: Points, z_nm: Points, focus_nm: float = 0.0) -> Points:
        calls.append(focus_nm)
        return np.exp(-(r_nm[None, :] ** 2) / self.sigma_nm**2) + 0 * z_nm[:, None] + focus_nm


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with no table in memory and no folder."""
    forget()
    monkeypatch.delenv(FOLDER, raising=False)


def forget() -> None:
    tables._tables.clear()
    calls.clear()


def test_a_table_is_computed_once() -> None:
    first, again = (tabulated(Counted())(R, Z, PLANE) for _ in range(2))
    assert again is first
    assert calls == [5.0]
    assert not first.flags.writeable
    for other in (
        tabulated(Counted())(R, Z, PLANE + 1),
        tabulated(Counted())(R, Z[:2], PLANE),
        tabulated(Counted())(R[1:], Z, PLANE),
    ):
        assert other.shape != first.shape or (other != first).any()
    tabulated(Counted(sigma_nm=90.0))(R, Z, PLANE)
    assert len(calls) == 5


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables._tables, "limit_bytes", 3 * R.size * Z.size * 8)
    psf = tabulated(Counted())
    for focus in (1.0, 2.0, 3.0, 4.0):
        psf(R, Z, np.array([focus]))
    assert len(tables._tables) == 3
    psf(R, Z, np.array([2.0]))
    assert calls == [1, 2, 3, 4]
    psf(R, Z, np.array([1.0]))
    assert calls == [1, 2, 3, 4, 1]
    assert HELD_BYTES == 2**28


def test_the_folder_is_used_by_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table read from disk is the one computed, to the bit; nothing is written unless asked for."""
    computed = tabulated(Counted())(R, Z, PLANE)
    monkeypatch.setenv(FOLDER, str(tmp_path / "new" / "cache"))
    forget()
    tabulated(Counted())(R, Z, PLANE)
    (entry,) = (tmp_path / "new" / "cache").iterdir()
    forget()
    np.testing.assert_array_equal(tabulated(Counted())(R, Z, PLANE), computed)
    assert calls == []
    assert entry.suffix == ".psf"


@pytest.mark.parametrize("damage", ["flipped", "short", "long", "empty", "text", "folder"])
def test_a_damaged_entry_is_made_again(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    computed = tabulated(Counted())(R, Z, PLANE)
    (entry,) = tmp_path.iterdir()
    whole = entry.read_bytes()
    entry.unlink()
    if damage == "folder":
        entry.mkdir()
    else:
        flipped = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
        entry.write_bytes(
            {"flipped": flipped, "short": whole[:-8], "long": whole * 300, "empty": b"", "text": b"not a table"}[damage]
        )
    forget()
    if damage == "folder":
        with pytest.raises(MishapeError, match=r"MISHAPE_CACHE: .* cannot be written \(Is a directory\): name another"):
            tabulated(Counted())(R, Z, PLANE)
        return
    np.testing.assert_array_equal(tabulated(Counted())(R, Z, PLANE), computed)
    assert calls == [5.0]
    assert entry.read_bytes() == whole


def test_an_entry_of_other_code_or_parameters_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed code has another name on disk; an entry under that name that says it is of older code is made again."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    tabulated(Counted())(R, Z, PLANE)
    (old,) = tmp_path.iterdir()
    monkeypatch.setattr(tables, "_code_hash", lambda cls: "changed")
    forget()
    tabulated(Counted())(R, Z, PLANE)
    (new,) = set(tmp_path.iterdir()) - {old}
    good = new.read_bytes()
    new.write_bytes(old.read_bytes())
    forget()
    tabulated(Counted())(R, Z, PLANE)
    assert calls == [5.0]
    assert new.read_bytes() == good


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(FOLDER, str(tmp_path / "file" / "cache"))
    with pytest.raises(
        MishapeError, match=r"^MISHAPE_CACHE: '.*cache' cannot be written \(Not a directory\): name anoth"
    ):
        tabulated(Counted())(R, Z, PLANE)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


SCOPE = """
from typing import Literal
import numpy as np
from mishape.engine.imaging import PSFMicroscope
from FROM import factor

class Scope(PSFMicroscope):
    kind: Literal["scope"] = "scope"

    def psf(self, r_nm, z_nm, focus_nm=0.0):
        return factor * np.exp(-(r_nm**2) / 1e4)[None] + 0 * z_nm[:, None]
"""
READ = """
import numpy as np
from mishape.engine.tables import tabulated
from MODULE import Scope
print(tabulated(Scope())(np.zeros(1), np.zeros(1), np.zeros(1))[0, 0, 0])
"""


@pytest.mark.parametrize(
    ("module", "helper"),
    [("scopes.blur", "scopes.physics.law"), ("blur_alone", "law_beside")],
    ids=["package", "files"],
)
def test_changed_code_anywhere_near_is_noticed(module: str, helper: str, tmp_path: Path) -> None:
    """A table on disk is made again when a module changes that the microscope's own imports: in its package, or beside.

    Run in other processes, as a user would meet it.
    """
    paths = {name: f"{name.replace('.', '/')}.py" for name in (module, helper)}
    write(tmp_path, paths[module], SCOPE.replace("FROM", helper))
    for package in ("scopes", "scopes/physics"):
        write(tmp_path, f"{package}/__init__.py", "")
    environment = {**os.environ, FOLDER: str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    found = []
    for factor in ("1.0", "1.0", "0.5"):
        write(tmp_path, paths[helper], f"factor = {factor}")
        command = [sys.executable, "-c", READ.replace("MODULE", module)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.append((float(done.stdout), len([*(tmp_path / "cache").iterdir()])))
    assert found == [(1.0, 1), (1.0, 1), (0.5, 2)]


def test_code_that_cannot_be_read_is_not_kept_on_disk(tmp_path: Path) -> None:
    """A class defined in a notebook or on standard input: remembered in memory alone, class by class."""
    program = SCOPE.replace("from FROM import factor", "factor = 1.0") + READ.replace("from MODULE import Scope", "")
    again = program.replace("factor = 1.0", "factor = 0.5")
    environment = {**os.environ, FOLDER: str(tmp_path / "cache")}
    for command in ([sys.executable, "-c", program + again], [sys.executable, "-"]):
        done = subprocess.run(command, input=program + again, env=environment, capture_output=True, text=True)
        assert done.stdout.split() == ["1.0", "0.5"], done.stderr
    assert not (tmp_path / "cache").exists()


def test_a_plugins_own_array_is_left_alone() -> None:
    """One that fills and returns the same array each time may be asked twice, and each table stays as it was."""
    scope, buffer = Counted(), np.zeros((3, 11))

    def reused(r_nm: Points, z_nm: Points, focus_nm: float = 0.0) -> Points:
        buffer[:] = focus_nm
        return buffer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Counted, "psf", lambda self, *places: reused(*places))
        first, second = tabulated(scope)(R, Z, PLANE), tabulated(scope)(R, Z, PLANE + 1)
    assert (first == 5).all()
    assert (second == 6).all()


@pytest.mark.parametrize(
    "wrong", [lambda r, z: np.zeros(len(r)), lambda r, z: np.zeros((len(r), len(z))), lambda r, z: None]
)
def test_a_table_of_another_shape_is_refused(wrong: Callable[[Points, Points], Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Counted, "psf", lambda self, r, z, focus: wrong(r, z))
        with pytest.raises(PluginError, match=r"^counted: psf gave an array of shape \(.*\) for 3 z and 11"):
            tabulated(Counted())(R, Z, PLANE)


def test_the_code_counts() -> None:
    """Two classes of the same parameters do not share tables."""
    other = type("Other", (Counted,), {"__module__": __name__})
    assert tables._code_hash(Counted) != tables._code_hash(other)
    assert tables._code_hash(Epi) == tables._code_hash(Epi)
    assert tables._code_hash(Epi)
