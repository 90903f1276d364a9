"""Makes and reads a dataset in a process of its own: python -m benchmarks.dataset_run WHAT SAMPLES [FOLDER]

WHAT: ``turns`` simulates the samples of recipe mitostack and keeps none, then makes the dataset, and so on in turns;
``workers`` makes it with one process and with two in turns; ``mitoseg`` makes and verifies that recipe; ``read``,
``read_npz``, ``read_hdf5`` and ``read_zarr`` read images of a dataset, or of what ``write_others`` made of it, in
random order. Prints JSON: CPU and wall seconds.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

import mishape
from mishape.engine.dataset import Dataset
from mishape.engine.simulate import describe_shape
from mishape.plugins.reports import card, html

SCENE = Path(__file__).parent / "scenes/mitostack.yaml"
MITOSEG = SCENE.with_name("mitoseg.yaml")
IMAGE = "epi1.image"
SHARD_SIZE, TURNS = 100, 6
HDF5, ZARR, NPZ = "images.h5", "images.zarr", "npz"
Readers = Callable[[int], Any]


def bare(spec: mishape.Spec) -> None:
    """Simulate all samples: images and truths, those of the library's shapes too, nothing on disk."""
    with threadpool_limits(1):
        for scene in spec.scenes(range(spec.samples)):
            mishape.simulate(scene, describe=False)
        for entry in mishape.open_library("neuropil"):
            describe_shape(spec.scene(0), entry.shape())


def generated(spec: mishape.Spec, workers: int, executor: str) -> None:
    """Make the dataset without what is made once for all of it."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        for module, name in ((html, "report"), (card, "card")):
            stack.enter_context(patch.object(module, name, lambda dataset: ""))
        mishape.generate(spec, Path(folder) / "dataset", workers=workers, executor=executor)


def _turns(spec: mishape.Spec) -> int:
    """Return how often to take turns; as a test, once."""
    return TURNS if spec.samples >= SHARD_SIZE else 1


def in_turns(spec: mishape.Spec) -> dict[str, Any]:
    """Simulate the samples, and make the dataset, in turns: the processor's speed changes within seconds."""
    generated(spec.with_values(samples=SHARD_SIZE), 1, "inline")  # what is loaded once is loaded then
    times: dict[str, list[float]] = {"bare": [], "written": []}
    for _ in range(_turns(spec)):
        for name, job in (("bare", lambda: bare(spec)), ("written", lambda: generated(spec, 1, "inline"))):
            begun = time.process_time()
            job()
            times[name].append(time.process_time() - begun)
    return times


def workers_in_turns(spec: mishape.Spec) -> dict[str, Any]:
    """Make the dataset with one worker process and with two, in turns; wall seconds."""
    times: dict[str, list[float]] = {"1": [], "2": []}
    for _ in range(_turns(spec) // 2 or 1):
        for workers in (1, 2):
            begun = time.perf_counter()
            generated(spec, workers, "processes")
            times[str(workers)].append(time.perf_counter() - begun)
    return times


def whole(scene: Path, samples: int) -> dict[str, Any]:
    """Make a recipe's dataset with two workers, its report and card included; return its size."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = mishape.generate(scene, Path(folder) / "dataset", samples=samples, workers=2)
        assert not mishape.verify(dataset, remake=0).faults
        return {"bytes": sum(path.stat().st_size for path in dataset.folder.rglob("*") if path.is_file())}


def write_others(dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Write the images as one .npz per sample, and as HDF5 and Zarr with a chunk per sample, uncompressed too."""
    import h5py
    import zarr

    images = np.stack([item[IMAGE] for item in dataset])
    (folder / NPZ).mkdir(parents=True)
    for number, image in enumerate(images):
        np.savez(folder / NPZ / f"{number:06d}.npz", image=image)
    with h5py.File(folder / HDF5, "w") as file:
        file.create_dataset("images", data=images, chunks=(1, *images.shape[1:]))
    store = zarr.create_array(
        folder / ZARR, shape=images.shape, chunks=(1, *images.shape[1:]), dtype=images.dtype, compressors=None
    )
    store[:] = images
    return {}


def reader(what: str, place: Path, folder: Path) -> Readers:
    """Return a function that reads the image of a sample into memory."""
    if what == "read_npz":
        return lambda n: np.load(folder / NPZ / f"{n:06d}.npz")["image"]
    if what == "read_hdf5":
        import h5py

        images = h5py.File(folder / HDF5)["images"]
        return lambda n: images[n]
    if what == "read_zarr":
        import zarr

        array = zarr.open_array(folder / ZARR, mode="r")
        return lambda n: array[n]
    dataset = mishape.open_dataset(place)
    return lambda n: np.array(dataset[n][IMAGE])


def main() -> None:
    what, samples = sys.argv[1], int(sys.argv[2])
    spec = mishape.load_spec(SCENE).with_values(samples=samples, shard_size=SHARD_SIZE)
    result: dict[str, Any] = {}
    if what.startswith("read"):
        place, folder = Path(sys.argv[3]), Path(sys.argv[4])
        read = reader(what, place, folder)
        order = np.random.default_rng(0).permutation(samples).tolist()
        job: Callable[[], Any] = lambda: [read(number) for number in order]  # noqa: E731
        job()  # the files are in the system's memory then, for all alike
    else:
        jobs: dict[str, Callable[[], None]] = {
            "turns": lambda: result.update(in_turns(spec)),
            "workers": lambda: result.update(workers_in_turns(spec)),
            "mitoseg": lambda: result.update(whole(MITOSEG, samples)),
        }
        job = jobs[what]
        mishape.simulate(spec.scene(0))  # set the microscope up
    cpu, wall = time.process_time(), time.perf_counter()
    job()
    result |= {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall, "cores": os.cpu_count()}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
