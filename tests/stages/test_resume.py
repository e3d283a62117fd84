"""A stage that is killed anywhere and run again ends in the bytes of one that ran through, and leaves nothing else."""

import json
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
from forks import forked
from projects import contents, write_params
from tiny import PPO

from detox.runtime import checkpoints, processes
from stages import summarize, train_ppo

pytest_plugins = ["models", "projects"]

OUTS = {
    train_ppo: ["models/ppo", "models/snapshots", "metrics"],
    summarize: ["data/summaries", "metrics/summarize.csv"],
}
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
    for out in map(Path, OUTS[stage]):
        out.unlink() if out.is_file() else shutil.rmtree(out, ignore_errors=True)


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
def test_a_stage_killed_before_a_change_of_a_file_ends_in_the_same_bytes(stage: ModuleType) -> None:
    """Before every fifth change: a kill before each takes minutes."""
    whole = finish(stage)
    for number in count(1, 5):
        without_outs(stage)
        if stopped(stage, nth_change(number)) == 0:
            break
        assert finish(stage) == whole, number
    assert number > 30


@every_stage
def test_sigterm_is_exit_code_143_and_the_state_of_the_last_step_is_saved(
    stage: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints are a hundred steps apart, so that only the signal writes one."""
    write_params(**rare_checkpoints())
    whole = finish(stage)
    keep, steps = checkpoints.Run.keep, count(1)

    def keep_and_stop(run: checkpoints.Run, state: checkpoints.State) -> None:
        keep(run, state)
        if next(steps) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def main() -> None:
        checkpoints.Run.keep = keep_and_stop  # type: ignore[method-assign,assignment]
        with processes.stoppable():
            stage.main()

    without_outs(stage)
    assert forked(main) == 143
    assert [path.name for path in Path(".resume").rglob("step_*")] == ["step_000001"]
    assert finish(stage) == whole


def rare_checkpoints() -> dict[str, Any]:
    """Sections of params.yaml with a hundred steps, or batches, between checkpoints."""
    summarize = json.loads(Path("params.json").read_text())["summarize"]
    return {"ppo": PPO | {"checkpoint_every": 100}, "summarize": summarize | {"checkpoint_every": 100}}


def test_changed_parameters_start_afresh() -> None:
    """The state of the first run stays, for the day on which its parameters come back."""
    changed = PPO | {"learning_rate": 0.02}
    first = finish(train_ppo)
    write_params(ppo=changed)
    second = finish(train_ppo)
    assert first != second
    write_params()
    assert stopped(train_ppo, commit_of(2)) == -signal.SIGKILL
    write_params(ppo=changed)
    without_outs(train_ppo)
    train_ppo.main()
    assert contents(*OUTS[train_ppo]) == second
    assert len(list(Path(".resume").rglob("step_000001"))) == 1
    write_params()
    assert finish(train_ppo) == first


def test_a_copy_of_the_repository_finds_the_state_by_dvc_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `dvc exp run --temp` makes one for each run, with DVC_ROOT naming the repository."""
    root, whole = Path.cwd(), finish(train_ppo)
    monkeypatch.setenv("DVC_ROOT", str(root))
    for name in ("first", "second"):
        shutil.copytree(root, tmp_path / name, ignore=shutil.ignore_patterns(".resume"))
        monkeypatch.chdir(tmp_path / name)
        without_outs(train_ppo)
        if name == "first":
            assert stopped(train_ppo, commit_of(2)) == -signal.SIGKILL
            assert list((root / ".resume").rglob("step_000001"))
    train_ppo.main()
    assert contents(*OUTS[train_ppo]) == whole
    assert not list((root / ".resume").rglob("step_*"))
