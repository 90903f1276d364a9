"""Run the accuracy tests and write the README's table: what was expected, what was found, within what tolerance.

python -m benchmarks.accuracy
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- accuracy: written by python -m benchmarks.accuracy -->", "<!-- /accuracy -->"
MODULES = ("accuracy", "test_noises.py", "test_cameras.py", "test_labelers.py", "test_geometry.py")
MAX_CASES = 3
"""A claim of more cases than this shows its worst alone."""


def measured() -> list[dict[str, Any]]:
    """Run the tests and return what they measured, by test and claim, in the order of the list of tests."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "accuracy.json"
        tests = [str(ROOT / "tests" / name) for name in MODULES]
        options = ["-q", "-n", str(os.cpu_count()), "-m", "not long", f"--accuracy={file}"]
        subprocess.run([sys.executable, "-m", "pytest", *tests, *options], cwd=ROOT, check=True)
        records: list[dict[str, Any]] = json.loads(file.read_text())
    return sorted(records, key=lambda record: (record["test"], record["claim"], record["case"]))


def table(records: list[dict[str, Any]]) -> list[str]:
    """Return the table's lines: one for each claim of each test."""
    lines = ["| test | | expected | found | tolerance |", "|---|---|---|---|---|"]
    for (test, claim), group in groupby(records, key=lambda record: (record["test"], record["claim"])):
        cases = list(group)
        shown = cases if len(cases) <= MAX_CASES else [max(cases, key=_strain)]
        of = f" (worst of {len(cases)})" if len(shown) < len(cases) else ""
        expected = ", ".join(dict.fromkeys(_expected(case) for case in shown))
        found = ", ".join(f"{case['case']}: {_found(case)}".removeprefix(": ") for case in shown)
        lines.append(f"| {test} | {claim} | {expected} | {found}{of} | {_tolerance(shown[0])} |")
    return lines


def _strain(record: dict[str, Any]) -> float:
    """Return how much of its tolerance a number uses up."""
    if record["above"] is not None:
        return float(record["above"] / record["found"])
    return abs(record["found"] - record["expected"]) / allowed if (allowed := _allowed(record)) else 0.0


def _allowed(record: dict[str, Any]) -> float:
    return float((record["abs"] or 0) + (record["rel"] or 0) * abs(record["expected"]))


def _found(record: dict[str, Any]) -> str:
    """Return the number: an error by two digits, anything else to a tenth of its tolerance or finer."""
    if record["expected"] == 0:
        return f"{record['found']:.2g}"
    return f"{record['found']:.{max(0, math.ceil(-math.log10(_allowed(record))) + 1)}f}"


def _expected(record: dict[str, Any]) -> str:
    return "" if record["above"] is not None else f"{record['expected']:.5g}"


def _tolerance(record: dict[str, Any]) -> str:
    if record["above"] is not None:
        return f"above {record['above']:g}"
    if record["rel"] is not None:
        return f"{100 * record['rel']:g} %"
    return f"{record['abs']:g}" if record["abs"] else "exactly"


def main() -> None:
    packages = ", ".join(f"{name} {version(name)}" for name in ("mishape", "numpy", "scipy"))
    about = f"{platform.machine()} {platform.system()}, Python {platform.python_version()}, {packages}"
    lines = [BEGIN, *table(measured()), "", f"`python -m benchmarks.accuracy` on {about}. Not run on a GPU.", END]
    text = README.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN)], text[text.index(END) + len(END) :]
    README.write_text(before + "\n".join(lines) + after, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
