#!/usr/bin/env python3
"""One command for each job in a clone; needs nothing but Python 3.11 or newer.

    python3 dev.py demo             simulate a small scene and say where its report is
    python3 dev.py test [ARGS]      the test suite; ARGS go to pytest, for example `-k psf` or `-m long`
    python3 dev.py lint             ruff: style and format
    python3 dev.py types            mypy --strict
    python3 dev.py env              only make or update the environment

The environment is `.venv` in the clone: made on the first call with uv where it is installed, else with venv and pip,
and updated when pyproject.toml or constraints.txt change. It holds the default weights too, of `weights/`. PIP_* and
UV_* variables of the environment apply as usual.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "mishape-env.txt"
WEIGHTS = [ROOT / "weights" / f"mishape-weights-{name}" for name in ("urocell", "mitoseg")]
EXTRAS = "[test,dev,learn,em,dask,zarr]"
INSTALL = ["-c", str(ROOT / "constraints.txt"), "-e", str(ROOT) + EXTRAS]
INSTALL += [part for folder in WEIGHTS for part in ("-e", str(folder))]
ALONE = ("-n", "--numprocesses", "--dist", "--pdb", "--trace", "-s", "--capture=no", "--benchmark", "--collect-only")
"""pytest options that choose the number of processes themselves, or need a single one."""


def fingerprint() -> str:
    """Return what the environment depends on: the interpreter, the clone's place and what its files ask for."""
    about = f"{sys.version}\n{ROOT}\n".encode()
    files = [ROOT / "constraints.txt", *(folder / "pyproject.toml" for folder in (ROOT, *WEIGHTS))]
    return sys.version.split()[0] + " " + hashlib.sha256(about + b"".join(map(Path.read_bytes, files))).hexdigest()


def make_environment() -> None:
    """Make `.venv` or bring it up to date; return at once when nothing changed."""
    wanted = fingerprint()
    found = STAMP.read_text() if STAMP.is_file() and PYTHON.is_file() else ""
    if found == wanted:
        return
    print("Setting up .venv: the first time takes a few minutes, later calls none.", flush=True)
    other_python = bool(found) and found.split()[0] != wanted.split()[0]
    if VENV.exists() and (other_python or not PYTHON.is_file()):
        shutil.rmtree(VENV)
    STAMP.unlink(missing_ok=True)  # a failed update must not look finished
    if shutil.which("uv"):
        _install_with_uv()
    else:
        _install_with_pip()
    STAMP.write_text(wanted)


def _install_with_uv() -> None:
    if not PYTHON.is_file():
        step(["uv", "venv", "--python", sys.executable, str(VENV)], "uv could not make .venv")
    step(["uv", "pip", "install", "--python", str(PYTHON), *INSTALL], "uv could not install the dependencies")


def _install_with_pip() -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        version = "{}.{}".format(*sys.version_info)
        sys.exit(
            "Python's venv module is missing, and uv is not installed: install one of them, "
            f"for example `sudo apt install python{version}-venv` on Debian and Ubuntu, and try again."
        )
    step([sys.executable, "-m", "venv", str(VENV)], "Python could not make .venv")
    step([str(PYTHON), "-m", "pip", "install", *INSTALL], "pip could not install the dependencies")


def step(command: list[str], complaint: str) -> None:
    """Run one step of the installation; stop with the complaint if it fails."""
    code = subprocess.run(command, cwd=ROOT).returncode
    if code != 0:
        sys.exit(f"{complaint} (`{' '.join(command)}` ended with {code}): the lines above say why.")


def run(*arguments: str) -> int:
    """Run a module of the environment and return its exit code."""
    return subprocess.run([str(PYTHON), "-m", *arguments], cwd=ROOT).returncode


def demo(*arguments: str) -> int:
    return run("mishape", "demo", *arguments)


def test(*arguments: str) -> int:
    options = []
    if not any(argument.startswith("-m") for argument in arguments):
        options += ["-m", "not long"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores > 1 and not any(argument.startswith(ALONE) for argument in arguments):
        options += ["-n", str(cores)]
    return run("pytest", *options, *arguments)


def lint(*arguments: str) -> int:
    return run("ruff", "check", *arguments) or run("ruff", "format", "--check", *arguments)


def types(*arguments: str) -> int:
    return run("mypy", *arguments)


def env() -> int:
    print(f"The environment is ready: {PYTHON}")
    return 0


JOBS = {"demo": demo, "test": test, "lint": lint, "types": types, "env": env}


def main(arguments: list[str]) -> int:
    """Make the environment and do one job; return its exit code."""
    if sys.version_info < OLDEST:
        sys.exit(
            "mishape needs Python {}.{} or newer, this is {}.{}".format(*OLDEST, *sys.version_info)
            + ": run dev.py with a newer one, for example `python3.11 dev.py demo`."
        )
    if not arguments or arguments[0] not in JOBS:
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    make_environment()
    return JOBS[arguments[0]](*arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
