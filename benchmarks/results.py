"""Run the benchmarks and write benchmarks/RESULTS.md: machine, versions, medians and ratios of one run.

python -m benchmarks.results
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import distributions, version
from itertools import groupby
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
COMMAND = "python -m benchmarks.results"
PACKAGES = ("mishape", "numpy", "scipy", "pydantic", "typer", "psf-generator", "psfmodels", "torch")
"""Those of the extra `peers` are named where they are installed; what compares with them is left out where not."""


def measured() -> list[dict[str, Any]]:
    """Run every benchmark and return pytest-benchmark's records."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--benchmark-enable", f"--benchmark-json={report}", "-q", "-p", "no:xdist"]
        subprocess.run([sys.executable, "-m", "pytest", str(FOLDER), *options], check=True)
        records: list[dict[str, Any]] = json.loads(report.read_text())["benchmarks"]
    return records


def table(module: str, records: list[dict[str, Any]]) -> list[str]:
    """Return one module's table; the first row is what the ratios refer to."""
    first = records[0]["stats"]["median"]
    lines = [f"## {module}", "", "| | median, ms | min, ms | ratio to the first | runs |", "|---|---|---|---|---|"]
    for record in records:
        stats, name = record["stats"], record["param"] or record["name"]
        median = stats["median"]
        lines.append(
            f"| {name} | {median * 1e3:.3g} | {stats['min'] * 1e3:.3g} | {median / first:.2f} | {stats['rounds']} |"
        )
    return [*lines, ""]


def main() -> None:
    records = measured()
    installed = {distribution.name.replace("_", "-") for distribution in distributions()}
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES if name in installed)
    lines = [
        "# Benchmarks",
        "",
        f"Written by `{COMMAND}` on {platform.machine()} {platform.system()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {versions}. Times vary with the machine: read the ratios.",
        "`bench_optics` counts CPU time on one core, the others wall time. Nothing was run on a GPU.",
        "",
    ]
    for module, group in groupby(records, key=lambda record: Path(record["fullname"].split("::")[0]).stem):
        lines += table(module, list(group))
    (FOLDER / "RESULTS.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
