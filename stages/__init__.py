"""The pipeline's stages: `python -m stages.X` reads, calls the library and writes."""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from detox import git
from detox.errors import InputError, complaint
from detox.params import reading
from detox.runtime import allocator, handover, progress
from detox.runtime.handover import Main

PIPELINE = Path("dvc.yaml")


def yield_while_waiting() -> None:
    """Has a thread that waits for another at the end of a parallel loop give up its core after microseconds.

    GNU's OpenMP, before it is loaded, takes this number of turns from the environment. With its own choice, 300,000, a
    PPO step beside one other busy process took 55 s instead of 3 on two cores; with 1,000 5 s, and alone hardly longer.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def note_cut(cut: int, prompts: int, max_tokens: int) -> None:
    """Says how many prompts are longer than the model is given; nothing where none is."""
    if cut:
        print(f"note: {cut} of {prompts} prompts were cut to {max_tokens} tokens (model.max_prompt_tokens)")


def run(main: Main) -> None:
    """Run a stage's `main`: `--help` prints the stage's docstring; bad input is a line on stderr and exit code 1.

    Ends with its parent; SIGTERM is exit code 143, Ctrl-C 130. The same stage does not run twice in one folder.
    """
    _run(main, handover.alone)


def run_in_ranks(main: Main) -> None:
    """Run the `main` of a stage that can share its work, in as many processes as params.yaml says."""
    _run(main, handover.in_ranks)


@contextmanager
def said_in_lines() -> Iterator[None]:
    """Within the block bad input is a line on stderr for each thing that is wrong, and exit code 1; Ctrl-C is 130."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what libraries tell developers; PYTHONWARNINGS=default shows it
    try:
        yield
    except InputError as error:
        sys.exit(complaint(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _run(main: Main, start: Callable[[str, Main], None]) -> None:
    module = sys.modules[main.__module__]
    stage = Path(str(module.__file__)).stem
    command, formatter = f"python -m stages.{stage}", argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(command, description=module.__doc__, formatter_class=formatter).parse_args()
    allocator.keep_freed()
    yield_while_waiting()
    begun = time.monotonic()

    def told() -> None:
        main()
        print(made(stage, time.monotonic() - begun))  # heard from the first rank alone, which wrote

    with said_in_lines():
        git.check_kept(Path())
        start(stage, told)


def made(stage: str, seconds: float) -> str:
    """What a stage has written, by dvc.yaml, and how long that took."""
    entry = reading.read(PIPELINE)["stages"].get(stage, {}) if PIPELINE.is_file() else {}
    outs = [out for kind in ("outs", "metrics", "plots") for out in entry.get(kind, [])]
    paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
    wrote = f" wrote {', '.join(paths)}" if paths else " done"
    return f"{stage}:{wrote} in {progress.duration(seconds)}"
