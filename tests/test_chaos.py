"""The dataset of example 03, on the packaged real meshes: the same bytes whoever makes it and whatever kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import mishape
from mishape.engine.files import canonical

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


def killed(out: Path, rng: np.random.Generator, samples: int, workers: int, shard_size: int) -> int:
    """Begin or go on, send SIGKILL while a random shard is being made, and return the number of finished shards.

    Half of the time the whole process group is killed, half of the time its parent alone.
    """
    process = subprocess.Popen(
        command(out, samples, workers, shard_size),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wanted = finished(out) + int(rng.integers(3))
    patience_s = rng.uniform(0, 3)  # where no shard is waited for: also while the processes start
    begun = time.monotonic()
    while process.poll() is None and (finished(out) < wanted or time.monotonic() - begun < patience_s):
        time.sleep(0.01)
    assert process.poll() is None, "the kill came too late: nothing was left to do"
    os.killpg(process.pid, signal.SIGKILL) if rng.random() < 0.5 else process.kill()
    assert process.wait() == -signal.SIGKILL
    return finished(out)


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and process groups")
def test_twenty_kills_leave_no_trace(tmp_path: Path) -> None:
    run = {"samples": 200, "shard_size": 2}
    shards = run["samples"] // run["shard_size"]
    reference = made(tmp_path / "one", **run, workers=1)
    assert mishape.verify(mishape.open_dataset(reference), remake=20).faults == []
    for workers in (2, 4):
        assert different_files(reference, made(tmp_path / f"workers{workers}", **run, workers=workers)) == []

    rng = np.random.default_rng(0)
    out = tmp_path / "killed"
    counts = [killed(out, rng, **run, workers=(1, 2, 4)[number % 3]) for number in range(20)]
    assert counts == sorted(counts), "finished shards stay"
    assert sum(0 < count < shards for count in counts) > 10, "kills landed in mid-run"
    assert list(out.glob("shards/*.part")), "and in the middle of a shard"
    assert different_files(reference, made(out, **run, workers=2)) == []
