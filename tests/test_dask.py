"""Work on a Dask cluster: the same bytes as anywhere, whatever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import mishape
from mishape.plugins.executors.dask import Dask
from tests.conftest import Run
from tests.test_dataset_parts import files, fragile

__all__ = ["fragile"]
distributed = pytest.importorskip("distributed")
# Dask leaves sockets and loops to the garbage collector when a worker was killed.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected


def test_a_cluster_makes_the_same_bytes(run: Run, sphere_scene: dict[str, Any], tmp_path: Path) -> None:
    scene = tmp_path / "scene.yaml"
    scene.write_text(yaml.safe_dump(sphere_scene))
    mishape.generate(scene, tmp_path / "d")
    code, _, err = run("generate", str(scene), "-o", str(tmp_path / "dask"), "--executor", "dask", "--workers", "2")
    assert code == 0, err
    assert files(tmp_path / "dask") == files(tmp_path / "d")


def test_a_worker_that_dies_in_mid_run_leaves_no_trace(
    client: Any, sphere_scene: dict[str, Any], tmp_path: Path
) -> None:
    spec = mishape.load_spec({**sphere_scene, "samples": 40})
    mishape.generate(spec, tmp_path / "d", workers=2)
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if done >= 8 and not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    mishape.generate(spec, tmp_path / "dask", executor=Dask(client=client), progress=kill_one)
    assert killed
    assert files(tmp_path / "dask") == files(tmp_path / "d")


def test_a_scheduler_by_its_address_and_plugin_files(run: Run, client: Any, fragile: Path) -> None:
    plain = ("--plugin", "fragile.py")
    assert run("generate", "scene.yaml", "-o", "d", "--workers", "1", *plain)[0] == 0
    address = client.scheduler.address
    code, _, err = run("generate", "scene.yaml", "-o", "dask", "--scheduler", address, *plain)
    assert code == 0, err
    assert files(fragile / "dask") == files(fragile / "d")


def test_a_sample_that_fails_ends_the_run(run: Run, client: Any, fragile: Path) -> None:
    (fragile / "broken").touch()
    command = ("generate", "scene.yaml", "-o", "d", "--scheduler", client.scheduler.address, "--plugin", "fragile.py")
    code, _, err = run(*command)
    assert code == 1
    assert "failed: ValueError: too bright. To see it alone: mishape render SCENE --sample" in err
    assert "--skip-errors" in err


def test_no_scheduler_there(run: Run, sphere_scene: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("mishape.plugins.executors.dask.CONNECT_S", 1)
    scene = tmp_path / "scene.yaml"
    scene.write_text(yaml.safe_dump(sphere_scene))
    code, _, err = run("generate", str(scene), "-o", str(tmp_path / "d"), "--scheduler", "tcp://127.0.0.1:1")
    assert code == 1
    assert "no Dask scheduler answers at 'tcp://127.0.0.1:1'" in err
    assert "give its address as tcp://host:8786" in err
    command = ("generate", str(scene), "-o", str(tmp_path / "d"), "--executor", "processes", "--scheduler", "tcp://a:1")
    code, _, err = run(*command)
    assert (code, err.splitlines()[-1]) == (
        1,
        "error: executor 'processes' has no scheduler: leave --scheduler out, or give --executor dask",
    )


def test_label_volumes_are_prepared_on_a_cluster(client: Any, tmp_path: Path) -> None:
    from mishape.em.prepare import prepare
    from mishape.em.settings import Making

    labels = np.zeros((40, 60, 40), np.uint8)
    labels[8:24, 6:26, 8:24], labels[8:24, 34:54, 8:24] = 1, 2
    np.save(tmp_path / "cells.npy", labels)
    making = Making(voxel_nm=(10, 10, 10), block_voxels=20_000)
    prepare(tmp_path / "cells.npy", tmp_path / "here/cells", making)
    prepare(tmp_path / "cells.npy", tmp_path / "there/cells", making, executor=Dask(client=client))
    assert files(tmp_path / "there") == files(tmp_path / "here")
