"""Tables S2 and S3 of the MiShape paper, on other shapes by the same protocol, and what else they leave open.

python -m benchmarks.tables S2|S3 TRAIN TEST RUNS [--data FOLDER] [--real FOLDER --pixel-nm N [--part NAME]] [--quick]

TRAIN, TEST: libraries of whole mitochondria of other volumes, as `mishape prepare --whole-only` writes them. RUNS: a
folder for sets, networks and scores, which go on where they were stopped. --data: the folder of third-party data that
holds physeg_sim. --real: the pictures that Sekh et al. annotated. Without --quick, benchmarks/TABLE_S2.md or
TABLE_S3.md is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.results import machine, versions
from benchmarks.segmentation.sets import QUICK, Sets, Shapes, Sizes

FOLDER = Path(__file__).parent


def asked(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("table", choices=("S2", "S3"))
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--pixel-nm", type=float)
    parser.add_argument("--part")
    parser.add_argument("--prior", default="urocell", help="weights of shapes that were learned without TEST")
    parser.add_argument("--quick", action="store_true", help="a few pictures and steps, to see that all of it runs")
    found = parser.parse_args(arguments)
    if found.real and not found.pixel_nm:
        parser.error("--real needs --pixel-nm: the size of its pixels, which the files do not say")
    return found


def main(arguments: list[str] | None = None) -> str:
    """Make a table and return its text."""
    given = asked(arguments)
    shapes = Shapes(str(given.train.resolve()), str(given.test.resolve()), given.prior)
    sets = Sets(given.runs / "sets", shapes, QUICK if given.quick else Sizes())
    if given.table == "S3":
        from benchmarks.segmentation.crosswise import lines

        body = lines(sets, given.runs, given.data)
    else:
        from benchmarks.segmentation.compared import lines as compared

        body = compared(sets, given.runs, given.data, given.real, given.pixel_nm, given.part)
    head = [f"# Table {given.table}", "", f"Written by `python -m benchmarks.tables {given.table}` on: {machine()}; "]
    text = "\n".join([*head[:-1], head[-1] + versions() + ".", "", *body]) + "\n"
    if not given.quick:
        (FOLDER / f"TABLE_{given.table}.md").write_text(text, encoding="utf-8")
    return text


if __name__ == "__main__":
    print(main())
