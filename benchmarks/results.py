"""Run the benchmarks and write benchmarks/RESULTS.md: machine, versions, medians and ratios of one run.

python -m benchmarks.results [MODULE...]

With names of modules, as bench_dataset, those alone are run, and their parts of RESULTS.md replaced.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from importlib import import_module
from importlib.metadata import distributions, version
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree

FOLDER = Path(__file__).parent
COMMAND = "python -m benchmarks.results"
PACKAGES = ("mishape", "numpy", "scipy", "numba", "pydantic", "typer", "psf-generator", "psfmodels", "torch")
"""Those that are installed are named; what needs the others is left out."""
NEVER_RUN = ("anything on a GPU",)
Record = dict[str, Any]
"""pytest-benchmark's record of a test, with "extra_info" of its own: `cpu_s` holds the runs where they were timed in
another process; everything else is a column of its table."""


def measured(modules: list[str]) -> tuple[list[Record], list[str]]:
    """Run the benchmarks of modules, by default all; return their records, and what was skipped, with the reasons."""
    with tempfile.TemporaryDirectory() as folder:
        report, tests = Path(folder) / "report.json", Path(folder) / "tests.xml"
        options = ["--benchmark-enable", f"--benchmark-json={report}", f"--junitxml={tests}", "-q", "-p", "no:xdist"]
        wanted = [str(FOLDER / f"{module}.py") for module in modules] or [str(FOLDER)]
        subprocess.run([sys.executable, "-m", "pytest", *wanted, *options], check=True)
        records: list[Record] = json.loads(report.read_text())["benchmarks"]
        cases = ElementTree.parse(tests).getroot().iter("testcase")
        reasons = Counter(why.get("message") for case in cases for why in case.iter("skipped"))
    return records, [f"{reason} ({count} rows)" for reason, count in reasons.items()]


def runs_s(record: Record) -> list[float]:
    """Return the time of each run, s."""
    times: list[float] = record["extra_info"].get("cpu_s") or record["stats"]["data"]
    return times


def table(records: list[Record]) -> list[str]:
    """Return a table of all records; the first row is what the ratios refer to."""
    first = median(runs_s(records[0]))
    columns = [name for name in records[0]["extra_info"] if name != "cpu_s"]
    rows = []
    for record in records:
        times = runs_s(record)
        name, middle = record["param"] or record["name"], median(times)
        numbers = [f"{middle * 1e3:.3g}", f"{min(times) * 1e3:.3g}", f"{middle / first:.2f}", str(len(times))]
        rows.append([name, *numbers, *(str(record["extra_info"][column]) for column in columns)])
    return markdown(["", "median, ms", "min, ms", "ratio to the first", "runs", *columns], rows)


def markdown(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return ["|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|" for line in lines]


def machine() -> str:
    """Return the processor's name, the number of cores and the memory."""
    processor, memory = platform.processor() or platform.machine(), ""
    if (cpuinfo := Path("/proc/cpuinfo")).is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    if hasattr(os, "sysconf"):
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory"
    return f"{processor}, {os.cpu_count()} cores{memory}, {platform.machine()} {platform.system()}"


def versions() -> str:
    """Return the versions that count."""
    installed = {distribution.name.replace("_", "-") for distribution in distributions()}
    named = ", ".join(f"{name} {version(name)}" for name in PACKAGES if name in installed)
    return f"Python {platform.python_version()}, {named}"


def section(module: str, records: list[Record]) -> list[str]:
    """Return one module's part: what its own `section` makes of the records, or a plain table."""
    benchmarks = import_module(f"benchmarks.{module}")
    lines = getattr(benchmarks, "section", table)(records)
    return [f"## {module}", "", *lines, ""]


def sections(records: list[Record]) -> dict[str, str]:
    """Return each module's part as text, by its name."""
    groups = groupby(records, key=lambda record: Path(record["fullname"].split("::")[0]).stem)
    return {module: "\n".join(section(module, list(group))) for module, group in groups}


def replace_sections(text: str, parts: dict[str, str]) -> str:
    """Return RESULTS.md with other parts for some modules; a new one comes before what was not run."""
    for module, part in parts.items():
        there = re.search(rf"^## {module}\n.*?(?=^## )", text, re.M | re.S)
        start, end = there.span() if there else (text.index("## Not run"),) * 2
        text = f"{text[:start]}{part}\n{text[end:]}"
    return text


def main() -> None:
    target, modules = FOLDER / "RESULTS.md", sys.argv[1:]
    records, skipped = measured(modules)
    if modules:
        target.write_text(replace_sections(target.read_text(encoding="utf-8"), sections(records)), encoding="utf-8")
        return
    lines = [
        "# Benchmarks",
        "",
        f"Written by `{COMMAND}` on: {machine()}; {versions()}. Times vary with the machine: read the ratios.",
        "CPU time of one thread; `bench_import` counts wall time.",
        "",
    ]
    lines += sections(records).values()
    lines += ["## Not run", "", *(f"- {what}" for what in [*NEVER_RUN, *skipped])]
    target.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
