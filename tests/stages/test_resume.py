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
import torch
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


def put(state: checkpoints.State, **changes: Any) -> checkpoints.State:
    return state._replace(record=state.record | changes)


def tensors(state: checkpoints.State, **changes: Any) -> checkpoints.State:
    """Tensors under other names, of other shapes, more, or none."""
    return state._replace(tensors={**state.tensors, **changes})


def drawn(state: checkpoints.State, **changes: Any) -> checkpoints.State:
    """Summaries of other adapters, or of another form."""
    return put(state, drawn={**state.record["drawn"], **changes})


def without(state: checkpoints.State, start: str) -> checkpoints.State:
    return state._replace(tensors={name: each for name, each in state.tensors.items() if not name.startswith(start)})


def flat(state: checkpoints.State) -> checkpoints.State:
    return state._replace(tensors={name: each.flatten()[:1].clone() for name, each in state.tensors.items()})


TRAIN_DAMAGES: dict[str, Callable[[checkpoints.State], checkpoints.State]] = {
    "no rows": lambda state: put(state, rows=[]),
    "rows that are a text": lambda state: put(state, rows="x"),
    "a row that is a number": lambda state: put(state, rows=[1]),
    "a row with another field": lambda state: put(state, rows=[state.record["rows"][0] | {"more": 1.0}]),
    "a row without a field": lambda state: put(state, rows=[{"step": 1}]),
    "a row with a text": lambda state: put(state, rows=[state.record["rows"][0] | {"kl": "x"}]),
    "a row of another step": lambda state: put(state, rows=[state.record["rows"][0] | {"step": 3}]),
    "a record of more": lambda state: put(state, more=1),
    "no tensors": lambda state: state._replace(tensors={}),
    "no weights": lambda state: without(state, "weights/"),
    "no moments": lambda state: without(state, "optimizer/"),
    "a moment less": lambda state: without(state, "optimizer/0/exp_avg"),
    "tensors of another shape, which torch would broadcast": flat,
    "a moment of a name that is none": lambda state: tensors(state, **{"optimizer/x/step": torch.ones(())}),
    "a tensor of whole numbers": lambda state: tensors(state, **{"weights/0": state.tensors["weights/0"].long()}),
    "a tensor of no kind": lambda state: tensors(state, more=torch.ones(2)),
    "a snapshot of a later step": lambda state: tensors(state, **{"snapshots/9/x": torch.ones(2)}),
    "a snapshot of no step": lambda state: tensors(state, **{"snapshots/x/x": torch.ones(2)}),
}
SUMMARIZE_DAMAGES: dict[str, Callable[[checkpoints.State], checkpoints.State]] = {
    "another adapter": lambda state: drawn(state, other=[]),
    "no adapter": lambda state: state._replace(record={}),
    "rows that are a text": lambda state: drawn(state, sft="x"),
    "a row that is a number": lambda state: drawn(state, sft=[1]),
    "a dialogue that is not there": lambda state: drawn(state, sft=[[999, state.record["drawn"]["sft"][0][1]]]),
    "a dialogue before the first": lambda state: drawn(state, sft=[[-1, state.record["drawn"]["sft"][0][1]]]),
    "a text less": lambda state: drawn(state, sft=[[0, state.record["drawn"]["sft"][0][1][1:]]]),
    "texts that are numbers": lambda state: drawn(state, sft=[[0, [1] * len(state.record["drawn"]["sft"][0][1])]]),
    "no curve": lambda state: state._replace(record={"drawn": state.record["drawn"]}),
    "a curve that is a text": lambda state: put(state, curve="x"),
    "a curve of more batches": lambda state: put(state, curve=state.record["curve"] * 2),
    "a curve of texts": lambda state: put(state, curve=[{"sft": "x"}]),
    "half a batch": lambda state: drawn(state, sft=state.record["drawn"]["sft"][:1]),
}
WHOLE: dict[ModuleType, dict[str, bytes]] = {}
DAMAGES = [(train_ppo, name) for name in TRAIN_DAMAGES] + [(summarize, name) for name in SUMMARIZE_DAMAGES]


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "damage"), DAMAGES, ids=lambda value: value if isinstance(value, str) else None)
def test_a_state_of_another_form_whose_manifest_agrees_is_set_aside(stage: ModuleType, damage: str) -> None:
    if stage not in WHOLE:
        WHOLE[stage] = finish(stage)
    without_outs(stage)
    assert stopped(stage, commit_of(2)) == -signal.SIGKILL
    [path] = Path(".resume").rglob("step_000001")
    harm = TRAIN_DAMAGES[damage] if stage is train_ppo else SUMMARIZE_DAMAGES[damage]
    checkpoints.write(path.parent, harm(checkpoints.read(path)))
    assert finish(stage) == WHOLE[stage]


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
