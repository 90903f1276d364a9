"""How long a user waits for `import mishape` and for the command line's help."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

COMMANDS = {
    "interpreter alone": [sys.executable, "-c", "pass"],
    "import": [sys.executable, "-c", "import mishape"],
    "help": [sys.executable, "-m", "mishape", "--help"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_start(benchmark: BenchmarkFixture, name: str) -> None:
    done = benchmark(subprocess.run, COMMANDS[name], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
