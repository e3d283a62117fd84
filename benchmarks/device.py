"""What the figures were measured on."""

import datetime
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

LIBRARIES = "torch", "transformers", "peft", "trl", "evaluate"


def processor() -> str:
    """Its name; Linux alone has it in a file."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def description() -> dict[str, str | int]:
    """Processor, cores, threads of a process, and versions."""
    return {
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "versions": f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def noted(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures, and when and on what they were measured."""
    return {"noted": {"date": datetime.date.today().isoformat(), **description()}, **figures}
