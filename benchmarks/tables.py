"""Tables of the MiShape paper, on other shapes by the same protocol, and what else they leave open.

python -m benchmarks.tables 1 TRAIN TEST RUNS [--weights FILE ...] [--quick]
python -m benchmarks.tables S2|S3 TRAIN TEST RUNS [--data FOLDER] [--real FOLDER --pixel-nm N [--part NAME]] [--quick]

1: shapes found in stacks and images; S2, S3: segmentation. TRAIN, TEST: libraries of whole mitochondria of other
volumes, as `mishape prepare --whole-only` writes them. RUNS: a folder for sets, networks and scores, which go on where
they were stopped. --weights: of grid_stack and grid_image, learned without TEST. --data: the folder of third-party data
that holds physeg_sim. --real: the pictures that Sekh et al. annotated. Without --quick, benchmarks/TABLE_1.md and so on
is written.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.results import machine, versions
from benchmarks.segmentation.sets import QUICK, Sets, Shapes, Sizes

FOLDER = Path(__file__).parent


def asked(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("table", choices=[*TABLES])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--weights", type=Path, action="append", default=[])
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


def table_1(given: argparse.Namespace) -> list[str]:
    """Return shapes found in stacks and images."""
    from threadpoolctl import threadpool_limits

    from benchmarks.reconstruction.asking import QUICK as A_FEW
    from benchmarks.reconstruction.asking import Asking, Effort
    from benchmarks.reconstruction.table_1 import lines
    from mishape.engine.files import sha256
    from mishape.learn.finding import load_finder

    finders = [load_finder(path, path.stat().st_mtime_ns)[0] for path in given.weights]
    key = "-".join(sha256(path)[:8] for path in given.weights)
    effort = A_FEW if given.quick else Effort()
    with threadpool_limits(1):
        return lines(Asking(given.train, given.test, given.runs, finders, key, effort))


def table_s2(given: argparse.Namespace) -> list[str]:
    """Return methods of segmentation beside one another."""
    from benchmarks.segmentation.compared import lines

    return lines(_sets(given), given.runs, given.data, given.real, given.pixel_nm, given.part)


def table_s3(given: argparse.Namespace) -> list[str]:
    """Return what was learned from shapes of one kind, tested on others."""
    from benchmarks.segmentation.crosswise import lines

    return lines(_sets(given), given.runs, given.data)


TABLES: dict[str, Callable[[argparse.Namespace], list[str]]] = {"1": table_1, "S2": table_s2, "S3": table_s3}


def _sets(given: argparse.Namespace) -> Sets:
    shapes = Shapes(str(given.train.resolve()), str(given.test.resolve()), given.prior)
    return Sets(given.runs / "sets", shapes, QUICK if given.quick else Sizes())


def main(arguments: list[str] | None = None) -> str:
    """Make a table and return its text."""
    given = asked(arguments)
    body = TABLES[given.table](given)
    head = f"Written by `python -m benchmarks.tables {given.table}` on: {machine()}; {versions()}."
    text = "\n".join([f"# Table {given.table}", "", head, "", *body]) + "\n"
    if not given.quick:
        (FOLDER / f"TABLE_{given.table}.md").write_text(text, encoding="utf-8")
    return text


if __name__ == "__main__":
    print(main())
