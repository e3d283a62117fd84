"""Projects in which something has changed at random load or are one line; `make fuzz N=2000` does it more often."""

import os
import subprocess
import sys

import pytest
from imports import ROOT

ROUND = 32  # four of each kind
FOUND = [1607]  # numbers of cases that once ended in something else


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
@pytest.mark.parametrize(("first", "count"), [(0, ROUND), *((number, 1) for number in FOUND)])
def test_whatever_has_changed_it_loads_or_is_one_line_and_nothing_else_is_opened(first: int, count: int) -> None:
    paths = f"{ROOT}{os.pathsep}{ROOT / 'tests/support'}"
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tests/support/fuzz.py"), str(count), "--first", str(first)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{count} cases: ")
