"""What voxels and triangles make of a solid that is known exactly: example 07 prints it, docs/raster.md says it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
STEPS_NM = (8, 24, 100)
Table = dict[str, dict[str, float]]


def table_in(text: str) -> Table:
    """Return the first table of a page: row -> column -> figure."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    columns = lines[0][1:]
    return {name: dict(zip(columns, map(float, figures), strict=True)) for name, *figures in lines[1:]}


@pytest.fixture(scope="module")
def table() -> Table:
    command = [sys.executable, "-W", "error", str(ROOT / "examples/07_raster_or_implicit.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return table_in(done.stdout)


def test_the_page_says_what_the_script_prints(table: Table) -> None:
    """To two units of the last digit: processors round differently."""
    page = table_in((ROOT / "docs/raster.md").read_text(encoding="utf-8"))
    assert (
        list(page)
        == list(table)
        == [f"{way}, {nm} nm" for way in ("labels", "distances", "function") for nm in STEPS_NM]
    )
    for name, row in table.items():
        assert list(page[name]) == list(row)
        np.testing.assert_allclose(list(page[name].values()), list(row.values()), rtol=0, atol=0.0021, err_msg=name)


def test_labels_of_100_nm_are_several_times_worse_than_of_24(table: Table) -> None:
    coarse, fine = table["labels, 100 nm"], table["labels, 24 nm"]
    for column in ("volume %", "area %", "mean nm", "largest nm", "image %"):
        assert coarse[column] > 5 * fine[column], column
    assert 100 - coarse["IoU %"] > 5 * (100 - fine["IoU %"])
    assert coarse["IoU %"] < 85 < 97 < fine["IoU %"]


def test_at_the_same_length_the_function_is_nearer(table: Table) -> None:
    for nm in STEPS_NM:
        labels, function = table[f"labels, {nm} nm"], table[f"function, {nm} nm"]
        assert labels["mean nm"] > 5 * function["mean nm"], nm
        assert labels["largest nm"] > 2.5 * function["largest nm"], nm
        assert labels["image %"] > 4 * function["image %"], nm
        assert 100 - labels["IoU %"] > 2.5 * (100 - function["IoU %"]), nm
        assert labels["right %"] < function["right %"], nm


def test_labels_err_by_the_voxel_and_the_function_by_its_square(table: Table) -> None:
    """From 24 to 8 nm: 3 and 9 times are expected of first and second order."""
    labels, function = (
        table[f"{way}, 24 nm"]["mean nm"] / table[f"{way}, 8 nm"]["mean nm"] for way in ("labels", "function")
    )
    assert 3 < labels < 4.5
    assert 7.5 < function < 10.5


def test_labels_lose_more_than_the_lattice(table: Table) -> None:
    """Exact distances in the same voxels are nearer: by far where voxels are small, twice where they are large."""
    for nm, times in ((8, 10), (24, 5), (100, 2)):
        labels, distances, function = (table[f"{way}, {nm} nm"] for way in ("labels", "distances", "function"))
        assert labels["mean nm"] > times * distances["mean nm"], nm
        assert distances["mean nm"] > 2 * function["mean nm"], nm


def test_labels_hold_the_volume_where_flat_faces_cut_it_off(table: Table) -> None:
    for nm in (24, 100):
        assert table[f"function, {nm} nm"]["volume %"] > 2 * table[f"labels, {nm} nm"]["volume %"]
    assert table["function, 100 nm"]["volume %"] == pytest.approx(5.3, abs=0.1)


def test_fine_steps_reach_the_truth(table: Table) -> None:
    """The truth is by formula: were it wrong, no mesh would come so close."""
    fine = table["function, 8 nm"]
    assert max(fine["volume %"], fine["area %"], fine["image %"]) < 0.05
    assert fine["right %"] > 99.99
