"""A stage that is killed anywhere and run again ends in the bytes of one that ran through, and leaves nothing else."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from projects import contents, write_params

from stages import summarize, train_ppo

pytest_plugins = ["models", "projects"]

OUTS = {train_ppo: ["models/ppo", "models/snapshots", "metrics"], summarize: ["data/summaries"]}
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir"}

every_stage = pytest.mark.parametrize("stage", OUTS, ids=lambda stage: str(stage.__name__).removeprefix("stages."))


@pytest.fixture(autouse=True)
def project(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test stands in the project's root, where nothing is unfinished before and after it."""
    monkeypatch.chdir(finished)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    write_params()
    yield
    shutil.rmtree(".resume", ignore_errors=True)


def forked(run: Callable[[], object]) -> int:
    """How a process that runs this ends: its exit code, or minus the signal that killed it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def stopped(stage: ModuleType, when: Callable[[str, Any], bool], number: int = signal.SIGKILL) -> int:
    """How the stage ends, in a process that sends itself a signal before the first access to a file of which `when`."""

    def run() -> None:
        def hook(event: str, arguments: Any) -> None:
            if when(event, arguments):
                os.kill(os.getpid(), number)

        sys.addaudithook(hook)
        stage.main()

    return forked(run)


def is_change(event: str, arguments: Any) -> bool:
    """Whether a file is made, renamed or removed, or opened to be an output or a part of a checkpoint."""
    return event in CHANGES or (event == "open" and ".partial-" in str(arguments[0]))


def nth_change(number: int) -> Callable[[str, Any], bool]:
    numbers = count(1)
    return lambda event, arguments: is_change(event, arguments) and next(numbers) == number


def commit_of(step: int) -> Callable[[str, Any], bool]:
    """Whether a checkpoint, written and not yet renamed, is about to get its name."""
    return lambda event, arguments: event == "os.rename" and str(arguments[1]).endswith(f"/step_{step:06d}")


def without_outs(stage: ModuleType) -> None:
    """As DVC begins: it removes the outs before every run."""
    for out in OUTS[stage]:
        shutil.rmtree(out, ignore_errors=True)


def finish(stage: ModuleType) -> dict[str, bytes]:
    """What the stage has written when it has run to its end; it has to be all that is left."""
    without_outs(stage)
    stage.main()
    assert not list(Path.cwd().rglob(".partial-*")) + list(Path.cwd().rglob(".old-*"))
    assert not list(Path(".resume").rglob("*"))
    return contents(*OUTS[stage])


@every_stage
@pytest.mark.parametrize("step", [1, 2])
def test_a_stage_killed_at_any_step_ends_in_the_same_bytes(stage: ModuleType, step: int) -> None:
    whole = finish(stage)
    assert stopped(stage, commit_of(step)) == -signal.SIGKILL
    assert finish(stage) == whole


@pytest.mark.slow
@every_stage
def test_a_stage_killed_before_any_change_of_a_file_ends_in_the_same_bytes(stage: ModuleType) -> None:
    whole = finish(stage)
    for number in count(1):
        without_outs(stage)
        if stopped(stage, nth_change(number)) == 0:
            break
        assert finish(stage) == whole, number
    assert number > 30
