"""The pipeline's stages: `python -m stages.X` reads, calls the library and writes."""

import argparse
import ctypes
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from detox.errors import InputError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def keep_freed_memory() -> None:
    """Has glibc keep freed tensors for the next ones; no result depends on it.

    By default it gives large ones back to the kernel, which clears every page before it lends it again: a quarter of
    the time of a PPO step on a CPU.
    """
    if platform.libc_ver()[0] == "glibc":
        for parameter in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(parameter, 2**31 - 1)


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`: `--help` prints the stage's docstring; bad input is one line on stderr and exit code 1."""
    module = sys.modules[main.__module__]
    command = f"python -m stages.{Path(str(module.__file__)).stem}"
    formatter = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(command, description=module.__doc__, formatter_class=formatter).parse_args()
    keep_freed_memory()
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
