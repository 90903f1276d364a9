"""The dataset of example 03, on the packaged real meshes: the same bytes whoever makes it and whatever kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import mishape
from mishape.engine.files import canonical

MORE = 3
"""Shards, beyond those that are waited for, after which a fast machine is waited for no longer."""
EXAMPLE = Path(__file__).parents[1] / "examples/03_stack_six_views.yaml"


def command(out: Path, samples: int, workers: int, shard_size: int) -> list[str]:
    """Return the command of a user; `--progress none` keeps pipes empty."""
    options = {"-o": out, "--samples": samples, "--workers": workers, "--shard-size": shard_size, "--progress": "none"}
    words = [str(word) for pair in options.items() for word in pair]
    return [sys.executable, "-m", "mishape", "generate", str(EXAMPLE), *words]


def made(out: Path, samples: int, workers: int, shard_size: int) -> Path:
    done = subprocess.run(command(out, samples, workers, shard_size), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def samples_of(folder: Path) -> list[tuple[str, dict[str, bytes]]]:
    """Every sample's record and arrays as bytes."""
    items = mishape.open_dataset(folder)
    return [(canonical(item.record), {name: array.tobytes() for name, array in item.arrays.items()}) for item in items]


def different_files(one: Path, other: Path) -> list[str]:
    """Return the names of the files that are not in both folders with the same bytes."""

    def files(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    ours, theirs = files(one), files(other)
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def finished(out: Path) -> int:
    """Return the number of finished shards."""
    return len(list(out.glob("shards/*/shard.json")))  # those with a temporary name have none until the end


def test_workers_and_shards_change_nothing(tmp_path: Path) -> None:
    reference = made(tmp_path / "one", samples=12, workers=1, shard_size=3)
    expected = samples_of(reference)
    assert len(expected) == 12
    assert set(expected[0][1]) == {"epi.image", "epi.masks_3d"}
    for workers in (2, 4):
        other = made(tmp_path / f"workers{workers}", samples=12, workers=workers, shard_size=3)
        assert samples_of(other) == expected
        assert different_files(reference, other) == []
    assert samples_of(made(tmp_path / "shards", samples=12, workers=2, shard_size=5)) == expected


def children(pid: int) -> list[int]:
    """Return the processes that a process began, as Linux tells."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def killed(out: Path, rng: np.random.Generator, samples: int, workers: int, shard_size: int) -> int:
    """Begin or go on, send SIGKILL at a random moment, and return the number of finished shards.

    A third of the time the whole process group is killed, else its parent or one of its workers.
    """
    process = subprocess.Popen(
        command(out, samples, workers, shard_size),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wanted = finished(out) + int(rng.integers(4))
    patience_s = rng.uniform(0, 3)  # where no shard is waited for: also while the processes start
    begun = time.monotonic()
    while process.poll() is None and (
        finished(out) < wanted or (time.monotonic() - begun < patience_s and finished(out) < wanted + MORE)
    ):
        time.sleep(0.005)
    time.sleep(float(rng.uniform(0, 0.05)))  # and while one is written
    assert process.poll() is None, "the kill came too late: nothing was left to do"
    whom = rng.integers(3)
    workers_now = children(process.pid)
    if whom == 0:
        os.killpg(process.pid, signal.SIGKILL)
    elif whom == 1 and workers_now:
        os.kill(int(rng.choice(workers_now)), signal.SIGKILL)
    else:
        process.kill()
    try:
        process.wait(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return finished(out)


def undisturbed_and_killed(tmp_path: Path, samples: int, shard_size: int, kills: int) -> tuple[list[int], list[str]]:
    """Return how many shards were finished after each kill, and which files differ from an undisturbed run's."""
    run = {"samples": samples, "shard_size": shard_size}
    reference = made(tmp_path / "one", **run, workers=2)
    rng = np.random.default_rng(0)
    out = tmp_path / "killed"
    counts = [killed(out, rng, **run, workers=(1, 2, 3)[number % 3]) for number in range(kills)]
    made(out, **run, workers=2)
    return counts, different_files(reference, out)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and process groups")
def test_five_kills_leave_no_trace(tmp_path: Path) -> None:
    counts, different = undisturbed_and_killed(tmp_path, samples=150, shard_size=3, kills=5)
    assert counts == sorted(counts), "finished shards stay"
    assert 0 < counts[-1] < 50, "kills landed in mid-run"
    assert different == []


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and process groups")
def test_twenty_kills_of_five_hundred_samples_leave_no_trace(tmp_path: Path) -> None:
    counts, different = undisturbed_and_killed(tmp_path, samples=500, shard_size=4, kills=20)
    assert counts == sorted(counts), "finished shards stay"
    assert sum(0 < count < 125 for count in counts) > 10, "kills landed in mid-run"
    assert different == []
    assert mishape.verify(mishape.open_dataset(tmp_path / "killed"), remake=20).faults == []
