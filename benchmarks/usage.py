"""What a program takes: time by the clock and of the processor, and memory.

Without torch: a measured process begins with its parent's memory as its peak.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rounds import Figures
from detox.errors import InputError

ROOT = Path(__file__).parent.parent
GIB = 2**30 if sys.platform == "darwin" else 2**20  # in the units of ru_maxrss


def run(command: Sequence[str], project: Path) -> Figures:
    """Seconds, seconds of the cores it has kept busy, all added up, and its peak memory in GiB.

    Raises InputError, with its last words, if it fails.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_ROOT": str(project), "HF_HUB_OFFLINE": "1"}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)  # for its peak alone, not that of every child before it
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        words = said.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    if process.returncode:
        raise InputError(f"{' '.join(command)} failed with exit code {process.returncode}: {words[-1]}")
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gb": usage.ru_maxrss / GIB,
    }
