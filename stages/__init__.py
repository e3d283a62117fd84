"""The pipeline's stages: `python -m stages.X` reads, calls the library and writes."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from detox.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`: `--help` prints the stage's docstring; bad input is one line on stderr and exit code 1."""
    module = sys.modules[main.__module__]
    command = f"python -m stages.{Path(str(module.__file__)).stem}"
    formatter = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(command, description=module.__doc__, formatter_class=formatter).parse_args()
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
