"""Segmentation of one picture of 2048 x 2048 pixels on one core, in tiles, with networks of both encoders.

The weights are new ones: they change nothing of the time.
"""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from benchmarks.results import Record, markdown, runs_s

pytest.importorskip("torch", reason="torch is not installed")

EDGE = 2048


@pytest.mark.parametrize("encoder", ["plain", "efficientnet_b0"])
def test_pixels(benchmark: BenchmarkFixture, encoder: str) -> None:
    import torch

    from mishape.learn.models.unet import Unet
    from mishape.learn.networks import new, one_thread
    from mishape.learn.segmenting import Network

    model = Unet.model_validate({"kind": "unet", "encoder": encoder})
    network = Network(new(0, model.network).to(memory_format=torch.channels_last), model.step_px, (80.0, 80.0))
    picture = np.random.default_rng(0).random((EDGE, EDGE)).astype(np.float32)
    with threadpool_limits(1), one_thread():
        chances = benchmark.pedantic(network.chances, args=(picture,), rounds=3, warmup_rounds=1)
    assert chances.shape == picture.shape
    benchmark.extra_info["parameters"] = sum(one.numel() for one in network.network.parameters())


def section(records: list[Record]) -> list[str]:
    """Return the table."""
    rows = []
    for record in records:
        each = median(runs_s(record))
        rows.append(
            [record["param"], f"{each:.3g}", f"{EDGE**2 / 1e6 / each:.3g}", str(record["extra_info"]["parameters"])]
        )
    assert __doc__ is not None
    return [" ".join(__doc__.split()), "", *markdown(["encoder", "s", "Mpixel/s", "parameters"], rows)]
