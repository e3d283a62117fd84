"""What this machine has: memory, and room on its disks."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from detox.errors import InputError

GB = 10**9
LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container, in bytes, or "max"


def memory() -> int:
    """Bytes that this machine, or the container, has at most."""
    total = psutil.virtual_memory().total
    limit = LIMIT.read_text().strip() if LIMIT.is_file() else ""
    return min(total, int(limit)) if limit.isdigit() else total


def available() -> int:
    """Bytes of memory that are free now, or can be made so."""
    return min(psutil.virtual_memory().available, memory())


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    return path if path.exists() else existing(path.parent)


def check_disks(needs: Iterable[tuple[Path, int]]) -> None:
    """Raises InputError unless every disk has room for all that is to be written to these folders, in bytes."""
    together: dict[int, list[tuple[Path, int]]] = {}
    for path, size in needs:
        together.setdefault(os.stat(existing(path)).st_dev, []).append((path, size))
    for parts in together.values():
        needed, free = sum(size for _, size in parts), shutil.disk_usage(existing(parts[0][0])).free
        if needed > free:
            what = ", ".join(f"{size / GB:.1f} GB in {path}" for path, size in parts if size)
            raise InputError(
                f"no space: {what} are to be written, and {free / GB:.1f} GB are free there: make room, or put what is "
                "not the project's own elsewhere by HF_HOME and `dvc cache dir`"
            )


def check_memory(needs: Mapping[str, float]) -> None:
    """Raises InputError if a stage, by its name, needs more bytes for its models than there are at all."""
    for stage, needed in needs.items():
        if needed > (there := memory()):
            raise InputError(
                f"no memory: the models of {stage} alone take {needed / GB:.1f} GB, there are {there / GB:.1f}: lower "
                "compute.processes, or choose smaller models"
            )
