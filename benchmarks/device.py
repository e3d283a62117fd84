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
    """Its name, and on x86 family and model, since a virtual machine may say no more than "AMD EPYC".

    Linux alone has them in a file.
    """
    table = Path("/proc/cpuinfo")
    first = table.read_text(encoding="utf-8").partition("\n\n")[0] if table.exists() else ""
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    if "model name" not in told:
        return platform.machine()
    return ", ".join([told["model name"], *(f"{key} {told[key]}" for key in ("cpu family", "model") if key in told)])


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
