"""What decides a result, in digests: the same in every rank of a run, and in a run that goes on."""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from detox.errors import InputError, brief
from detox.params import reading
from detox.runtime import processes, ranks
from detox.sources import local

PROJECT = Path(__file__).parents[2]
CODE = ("detox", "stages")
LIBRARIES = ("numpy", "peft", "tokenizers", "torch", "transformers", "trl")


def fingerprint(settings: Sequence[Any], inputs: Sequence[Path]) -> str:
    """Of parameters, inputs, the project's loaded code, libraries, processor and threads: all that decides a result.

    It depends on no path outside the working directory, so it is the same in a copy of the repository; nor on how many
    processes share the threads, though rounding does, so that a run may go on in more of them, or in fewer.
    """
    processor = [platform.machine(), torch.backends.cpu.get_cpu_capability(), f"{threads()} threads"]
    everything = [repr(settings), sys.version, *processor, *ingredients(settings, inputs).items()]
    return sha256(repr(everything).encode())[:16]


def threads() -> int:
    """Of all ranks of this machine together: what one process alone would have."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return int(os.environ.get(processes.THREADS) or here * torch.get_num_threads())


def ingredients(settings: Sequence[Any], inputs: Sequence[Path]) -> dict[str, str]:
    """Digests, by name, of what has to be the same wherever one run computes; a text in the settings names a device."""
    loaded = {Path(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    code = {path for path in loaded if any(path.is_relative_to(PROJECT / folder) for folder in CODE)}
    named = {path.relative_to(PROJECT).as_posix(): path for path in sorted(code)} | {str(path): path for path in inputs}
    told = {str(reading.PARAMS): sha256(repr([each for each in settings if not isinstance(each, str)]).encode())}
    return told | {name: version(name) for name in LIBRARIES} | {name: local.digest(named[name]) for name in named}


def check_alike(settings: Sequence[Any], inputs: Sequence[Path]) -> None:
    """Raises InputError unless all ranks, each of which has its machine's files, compute the same."""
    if ranks.size() > 1:
        own = json.dumps({"stage": Path(sys.argv[0]).stem} | ingredients(settings, inputs)).encode()
        first, *others = (json.loads(each) for each in ranks.gathered(own))
        for rank, other in enumerate(others, start=1):
            if different := [name for name in first if name in other and other[name] != first[name]]:
                raise InputError(
                    f"rank {rank} has another {brief(different)[1:-1]} than rank 0: bring its machine to the commit of "
                    "the first, and copy what is missing from there"
                )


def sha256(content: bytes) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
