"""The processes that a run has started, and all that these have, wherever they are; Linux only: /proc names them."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

MARK = "SOAK"  # a variable of the environment, which processes inherit
GRACE_SECONDS = 20


def processes(project: Path) -> list[int]:
    """Those that a run in this project has started, itself included: they carry its mark."""
    mark = f"{MARK}={project}".encode()
    return [
        int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in content(path).split(b"\0")
    ]


def name(process: int) -> str:
    """What the process runs."""
    words = content(Path(f"/proc/{process}/cmdline")).decode().split("\0")
    return " ".join(Path(word).name for word in words if word)[:60] or "a process that had ended"


def content(path: Path) -> bytes:
    """Of a file in /proc, which goes with its process."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def await_end(project: Path) -> list[str]:
    """Names of the processes that are still there after a while; they are killed."""
    deadline = time.monotonic() + GRACE_SECONDS
    while (left := processes(project)) and time.monotonic() < deadline:
        time.sleep(0.1)
    names = [name(process) for process in left]
    for process in left:
        send(process, signal.SIGKILL)
    return names


def send(process: int, number: signal.Signals) -> None:
    """Sends a signal to a process, which may have ended."""
    with suppress(ProcessLookupError):
        os.kill(process, number)
