"""Stages in several processes, as a user starts them: they do one's work, and end together however one of them ends."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import start
from imports import ROOT
from projects import contents, names, write_params
from safetensors.torch import load_file
from tiny import PPO
from torch.testing import assert_close

pytest_plugins = ["models", "projects"]
pytestmark = pytest.mark.slow

LONG = PPO | {"steps": 60, "checkpoint_every": 1, "kl_limit": 1e6}
PYTHON = [sys.executable, "-m"]
LAUNCH = f"accelerate launch --config_file {ROOT / 'accelerate.yaml'} --num_processes 2 -m".split()


@pytest.fixture(autouse=True)
def project(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test stands in the project's root, whose stages may be started, with two threads to share."""
    monkeypatch.chdir(finished)
    for name, value in {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}.items():
        monkeypatch.setenv(name, value)
    write_params()
    yield
    assert not list(Path(".resume").rglob("*"))


def told(launcher: str, processes: int, **sections: Any) -> None:
    write_params(compute={"launcher": launcher, "processes": processes}, **sections)


def begun(stage: str, command: list[str] = PYTHON) -> subprocess.Popen[str]:
    return start(Path.cwd(), *command, f"stages.{stage}")


def finish(stage: str, command: list[str] = PYTHON) -> str:
    """What the stage prints, which has to succeed."""
    with begun(stage, command) as process:
        printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return printed


def children(process: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def comes(condition: Callable[[], object]) -> bool:
    """Whether this comes true; a minute is given to it."""
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def rows() -> list[dict[str, float]]:
    with Path("metrics/train.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def weights() -> dict[str, Any]:
    return load_file(Path("models/ppo/adapter_model.safetensors"))


@pytest.mark.parametrize(("command", "launcher"), [(PYTHON, "python"), (PYTHON, "accelerate"), (LAUNCH, "python")])
def test_two_processes_train_and_summarise_as_one_does_but_for_rounding(command: list[str], launcher: str) -> None:
    told("python", 1)
    finish("train_ppo")
    finish("summarize")
    alone, adapter, summaries = rows(), weights(), contents("data/summaries")
    told(launcher, 2)
    printed = finish("train_ppo", command)
    assert printed.count("PPO: 100%") == 1, "the first rank alone has a progress bar"
    for row, other in zip(rows(), alone, strict=True):
        assert row == pytest.approx(other, abs=1e-4)
    assert_close(weights(), adapter, rtol=0, atol=1e-3)
    assert names("metrics") == {"adapter.json", "train.csv", "train.json"}
    finish("summarize", command)
    assert contents("data/summaries").keys() == summaries.keys()
    for name in ("data/summaries/sft.jsonl", "data/summaries/stress.jsonl"):
        assert contents("data/summaries")[name] == summaries[name]


@pytest.mark.parametrize("launcher", ["python", "accelerate"])
@pytest.mark.parametrize(("killed", "counts"), [(1, (2, 1)), (2, (3, 2))])
def test_a_rank_that_is_killed_ends_all_by_name_and_another_number_of_them_goes_on(
    launcher: str, killed: int, counts: tuple[int, int]
) -> None:
    told("python", 1, ppo=LONG)
    finish("train_ppo")
    whole = rows()
    told(launcher, counts[0], ppo=LONG)
    with begun("train_ppo") as process:
        assert comes(lambda: list(Path(".resume").rglob("step_*/manifest.json")))
        ranks = children(process.pid)
        victim = ranks[killed - 1 if launcher == "python" else killed]
        os.kill(victim, signal.SIGKILL)
        death = time.monotonic()
        printed, _ = process.communicate()
    assert time.monotonic() - death < 60
    assert process.returncode == 1
    assert f"error: rank {killed} was killed by SIGKILL, and so all have ended: " in printed
    assert "Traceback" not in printed
    assert not [rank for rank in ranks if is_there(rank)]
    steps = int(max(path.name for path in Path(".resume").rglob("step_*"))[5:])
    told("python", counts[1], ppo=LONG)
    printed = finish("train_ppo")
    assert int(re.findall(r"(\d+)/60", printed)[0]) >= steps > 0, "it goes on from the last state"
    assert len(rows()) == len(whole) == 60
    for row, other in zip(rows()[:5], whole[:5], strict=True):
        assert row == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("launcher", ["python", "accelerate"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_all_ranks_end_with_the_process_that_was_started(launcher: str, number: int) -> None:
    told(launcher, 2, ppo=LONG)
    with begun("train_ppo") as process:
        assert comes(lambda: list(Path(".resume").rglob("step_*/manifest.json")))
        ranks = children(process.pid)
        process.send_signal(number)
        process.wait()
        assert comes(lambda: not any(is_there(rank) for rank in ranks))
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 143)
    told("python", 1, ppo=LONG)
    finish("train_ppo")


@pytest.mark.parametrize("launcher", ["python", "accelerate"])
def test_bad_input_is_one_line_however_many_read_it(launcher: str) -> None:
    told(launcher, 2, reward={"source": {"path": "nowhere", "sha256": "0" * 64}, "toxic_label": "x", "batch_size": 4})
    with begun("summarize") as process:
        printed, _ = process.communicate()
    assert process.returncode == 1
    assert [line for line in printed.splitlines() if "error" in line] == [
        "error: nowhere does not exist: check the source's path in params.yaml"
    ]
